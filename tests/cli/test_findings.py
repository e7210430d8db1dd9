import json
import shutil

import pyarrow.csv
import pyarrow.parquet
import pytest


@pytest.fixture
def db(ebbtide, imported, db):
    """A store with the findings of its last hour, judged once."""
    judged = imported.with_name("judged.duckdb")
    if not judged.exists():
        assert ebbtide("detect", "--db", db).code == 0
        shutil.copy(db, judged)
    shutil.copy(judged, db)
    return db


def test_findings_are_kept_and_listed(ebbtide, db):
    listed = json.loads(ebbtide("findings", "--db", db, "--json").out)

    assert len(listed) == 3
    assert all(one["entity"]["workload"] == "checkout" for one in listed)
    assert "ebbtide explain" in ebbtide("findings", "--db", db).out


def test_explain_tells_all_and_repeats_the_verdict(ebbtide, db):
    uid = json.loads(ebbtide("findings", "--db", db, "--json").out)[0]["uid"]

    ran = ebbtide("explain", uid[:10], "--db", db)

    assert ran.code == 0
    for word in ("ATT&CK", "Risk", "never seen before", "Repeated from the evidence alone"):
        assert word in ran.out


def test_explain_of_nothing_is_data(ebbtide, db):
    assert ebbtide("explain", "zzz", "--db", db).code == 3


def test_a_filter_hides_and_counts_and_its_findings_stay(ebbtide, db):
    added = ebbtide("filters", "add", "nightly", "--match", '{workload="checkout"}', "--reason", "known", "--db", db)
    hidden = json.loads(ebbtide("findings", "--db", db, "--json").out)
    kept = json.loads(ebbtide("findings", "--db", db, "--all", "--json").out)

    assert "hides 3 of 3" in added.out
    assert "more than half" in added.err
    assert hidden == []
    assert [one["hidden_by"] for one in kept] == [["nightly"]] * 3
    assert ebbtide("detect", "--db", db, "--fail-on-findings").code == 0


def test_a_removed_filter_shows_what_it_hid(ebbtide, db):
    ebbtide("filters", "add", "x", "--match", '{process="nginx"}', "--reason", "known", "--db", db)
    ebbtide("filters", "remove", "x", "--db", db)

    assert len(json.loads(ebbtide("findings", "--db", db, "--json").out)) == 3
    assert ebbtide("filters", "remove", "x", "--db", db).code == 3


def test_a_mistake_in_a_matcher_is_said_with_its_place(ebbtide, db):
    ran = ebbtide("filters", "add", "x", "--match", '{workloat="a"}', "--reason", "r", "--db", db)

    assert ran.code == 2
    assert "workload" in ran.err


@pytest.mark.parametrize("what", ["findings", "entities", "hours", "days", "edges", "samples"])
@pytest.mark.parametrize("ending", ["parquet", "csv", "jsonl"])
def test_every_table_can_be_exported(ebbtide, db, tmp_path, what, ending):
    to = tmp_path / f"{what}.{ending}"

    ran = ebbtide("export", what, "--to", to, "--db", db)

    assert ran.code == 0
    rows = {"findings": 3, "entities": 1, "hours": 49, "days": 2, "edges": 50, "samples": 5780}[what]
    if ending == "parquet":
        assert pyarrow.parquet.read_table(to).num_rows == rows
    elif ending == "csv":
        assert pyarrow.csv.read_csv(to).num_rows == rows
    else:
        assert len(to.read_text().splitlines()) == rows


def test_an_unknown_ending_is_usage(ebbtide, db, tmp_path):
    assert ebbtide("export", "hours", "--to", tmp_path / "hours.xls", "--db", db).code == 2


def test_what_was_told_is_shown_against_the_budget(ebbtide, db):
    ebbtide("detect", "--db", db)
    lines = ebbtide("findings", "--db", db, "--budget").out.splitlines()
    rows = {one["detection"]: one for one in json.loads(ebbtide("findings", "--db", db, "--budget", "--json").out)}

    [line] = [line for line in lines if line.startswith("joined: 1 in 2 days: 0.50 a day of 10, ")]
    assert line.endswith("per 1000 entity-days of 10: OVER THE BUDGET")
    assert rows["joined"]["findings"] == 1 and rows["joined"]["budget"] == 10
    assert rows["joined"]["effective"] == 10 and rows["joined"]["held_back"] == 0


def test_the_budget_of_a_settings_file_is_the_one_compared_with(ebbtide, db, tmp_path):
    config = tmp_path / "ebbtide.yaml"
    config.write_text("budget: {per_day: 4}\ndetections: {overrides: {joined: {options: {budget: 3}}}}\n")
    ebbtide("detect", "--db", db)
    told = ebbtide("findings", "--db", db, "--budget", "--json", "--config", config).out
    [joined] = [one for one in json.loads(told) if one["detection"] == "joined"]
    health = json.loads(ebbtide("health", "--db", db, "--json", "--config", config).out)
    [same] = [one for one in health["budget"] if one["detection"] == "joined"]

    assert (joined["budget"], joined["budget_a_day"]) == (3, 4)
    assert (same["budget"], same["budget_a_day"]) == (3, 4)
