"""`simulate` and `evaluate` as a user runs them."""

import json

import pytest

from ebbtide.cli.laboratory import simulate_command
from ebbtide.store.store import Store

SMALL = ("--entities", "16", "--days", "3")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A simulated store of three days, with its truth."""
    path = tmp_path_factory.mktemp("laboratory") / "cluster.duckdb"
    simulate_command(path, entities=16, days=3)
    assert path.with_name("cluster.duckdb.truth.json").is_file()
    return path


def test_a_simulated_file_is_imported_whole(ebbtide, tmp_path):
    file = tmp_path / "cluster.jsonl.zst"

    made = ebbtide("simulate", str(file), "--entities", "16", "--days", "1", "--inject", "X1,X10", "--gateway")
    read = ebbtide("import", "--db", str(tmp_path / "a.duckdb"), str(file), "--json")

    assert made.code == read.code == 0
    counts = json.loads(read.out)
    assert f"{counts['stored']:,} points of 16 entities" in made.out
    assert counts["rejected"] == {}
    truth = json.loads((tmp_path / "cluster.jsonl.zst.truth.json").read_text("utf-8"))
    assert {one["scenario"] for one in truth["attacks"]} == {"X1", "X10"}
    with Store.open(tmp_path / "a.duckdb") as store:
        assert any(entity.process == "xmr-agent" for entity in store.identity.entities)


def test_views_that_repeat_are_ignored_on_import(ebbtide, tmp_path):
    file = tmp_path / "cluster.binpb"

    ebbtide("simulate", str(file), "--entities", "15", "--days", "1", "--views", "az_az,id_id", "--churn", "0")
    counts = json.loads(ebbtide("import", "--db", str(tmp_path / "a.duckdb"), str(file), "--json").out)

    assert set(counts["ignored"]) == {"other_aggregation_view"}
    assert counts["ignored"]["other_aggregation_view"] > counts["stored"] > 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nowhere to write to"),
        (("a.jsonl", "--to", "http://127.0.0.1:1"), "nowhere to write to"),
        (("a.txt",), "what is a.txt"),
        (("a.jsonl", "--entities", "3"), "3 entities make no cluster"),
        (("a.jsonl", "--start", "2026-01-19T01:00:00Z"), "not a UTC midnight"),
        (("a.jsonl", "--inject", "X99"), "no scenario 'X99'"),
        (("a.jsonl", "--views", "az"), "no aggregation view"),
    ],
)
def test_what_cannot_be_simulated_is_said(ebbtide, tmp_path, words, says):
    words = tuple(str(tmp_path / word) if word.startswith("a.") else word for word in words)
    ran = ebbtide("simulate", *words, "--days", "1")

    assert ran.code == 2
    assert says in ran.err


def test_a_store_that_is_there_is_not_filled_again(ebbtide, cluster):
    assert ebbtide("simulate", str(cluster), *SMALL).code == 2


#: All detections at their own pace would take a minute.
TWO = ("-d", "outbound_network_activity_from_process_corrected", "-d", "outbound", "--every", "2h")


def test_a_recorded_store_is_evaluated_and_stays_as_it_is(ebbtide, cluster, tmp_path):
    before = cluster.read_bytes()
    page = tmp_path / "page.html"

    ran = ebbtide("evaluate", "--db", str(cluster), "--scenarios", "X1,X8", "--rounds", "1", "--out", str(page), *TWO)

    assert ran.code == 0, ran.err
    assert cluster.read_bytes() == before
    assert "As shipped" in ran.out
    assert "X1 burst" in ran.out
    assert "<svg" in page.read_text("utf-8")


def test_an_evaluation_is_json_with_its_attacks(ebbtide, cluster):
    words = ("evaluate", "--db", str(cluster), "--scenarios", "X10", "--rounds", "1", "--share", "0.5", "--json",
             *TWO)  # fmt: skip

    first, again = ebbtide(*words), ebbtide(*words)

    assert first.out == again.out
    told = json.loads(first.out)
    assert {one["scenario"] for one in told["attacks"]} == {"X10"}
    assert [one["detection"] for one in told["detections"]][-1] == "all together"
    assert told["exposure"]["entity_days"] > 10


def test_a_simulated_cluster_is_evaluated_with_benign_changes(ebbtide, tmp_path):
    ran = ebbtide(
        *("evaluate", *SMALL, "--scenarios", "none", "--negatives", "duplicates", "--work", str(tmp_path)),
        *("-d", "outbound_network_activity_from_process_corrected"),
    )

    assert ran.code == 0, ran.err
    assert "duplicates (must be 0)" in ran.out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--negatives", "all"), "need a simulated cluster"),
        (("--from", "2026-01-21T00:00:00Z"), "half a range"),
        (("--scenarios", "Y"), "no scenario"),
        (("--from", "2026-01-21", "--to", "2026-01-20"), "is empty"),
    ],
)
def test_what_cannot_be_evaluated_is_said(ebbtide, cluster, words, says):
    ran = ebbtide("evaluate", "--db", str(cluster), *words)

    assert ran.code == 2
    assert says in ran.err


def test_where_there_is_no_store_there_is_no_evaluation(ebbtide, tmp_path):
    assert ebbtide("evaluate", "--db", str(tmp_path / "none.duckdb")).code == 3
