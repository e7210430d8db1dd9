"""The command of `ebbtide.cli.entities`, over a file and over a service."""

import csv
import io
import json
import shutil

import pytest

from build import Point, batch_of
from ebbtide.cli import console
from ebbtide.series import Entity
from ebbtide.store.store import Store
from web_fixtures import TOKENS, serving, site_of, tokens

#: What ends within [15:00, 16:00): an interval of every 30 s, and 20 of them with 10 MB to one more place.
LAST_HOUR = sum(250_000 + (tick or 120) % 7 * 9_000 for tick in range(120)) + 20 * 10_000_000


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    """Tables are cut where there is no terminal; here they are wide wherever the tests run."""
    monkeypatch.setattr(console.out, "_width", 200)


def test_who_sends_is_listed_with_what_and_since_when(ebbtide, db):
    [row] = json.loads(ebbtide("entities", "--json", "--db", db).out)

    who = (row["cluster"], row["namespace"], row["workload"], row["process"])
    assert who == ("prod", "shop", "checkout", "nginx")
    assert (row["first_seen"], row["last_seen"]) == ("2025-11-24T16:00:00Z", "2025-11-26T16:00:10Z")
    assert (row["state"], row["days"]) == ("young", 1)
    assert row["sent_hour"] == LAST_HOUR < row["sent_day"]
    [of_csv] = csv.DictReader(io.StringIO(ebbtide("entities", "--csv", "--db", db).out))
    assert of_csv == {name: str(value) for name, value in row.items()}
    assert f"{row['sent_day']:,}" in ebbtide("entities", "--db", db).out


def test_matchers_words_and_states_choose(ebbtide, db):
    for words, is_there in (
        (("--match", '{namespace="shop",process!="redis"}'), True), (("--match", 'process!~"ngi.*"'), False),
        (("--match", "CHECKOUT prod"), True), (("--match", "stage"), False),
        (("--state", "young"), True), (("--state", "mature"), False),
    ):  # fmt: skip
        ran = ebbtide("entities", *words, "--db", db)
        assert (ran.code, "nginx" in ran.out) == (0, is_there), words
    assert ran.out == "No entity is like that.\n"


def test_where_nothing_is_derived_yet_that_is_said(ebbtide, tmp_path):
    Store.open(tmp_path / "empty.duckdb").close()

    assert (
        ebbtide("entities", "--db", "empty.duckdb").out == "No entities yet: what arrives is listed after its hour.\n"
    )


@pytest.fixture
def many(tmp_path) -> str:
    """Three workloads, the last of which sends most."""
    with Store.open(tmp_path / "many.duckdb") as store:
        points = [Point(1_764_000_060, 10.0 * n + 1, sender=Entity("c", "n", f"w{n}", "p"), to="a") for n in range(3)]
        store.append(batch_of([*points, Point(1_764_003_660, 1.0, sender=Entity("c", "n", "w0", "p"), to="a")]),
                     store.begin("test", "many"))  # fmt: skip
        store.roll_up()
    return "many.duckdb"


def test_a_long_table_is_cut_and_says_so(ebbtide, many):
    ran = ebbtide("entities", "--limit", 1, "--db", many)

    assert "2 more, which sent less" in ran.out
    assert [word for word in ran.out.split() if word.startswith("c/n/")] == ["c/n/w2/p"]


def test_a_service_says_what_its_file_would(ebbtide, db, tmp_path, monkeypatch):
    monkeypatch.setattr("ebbtide.cli.remote._PAGE", 1)
    monkeypatch.setattr("ebbtide.cli.remote._LONG_PAGE", 1)
    shutil.copy(db, tmp_path / "served.duckdb")
    (tmp_path / "reader").write_text(TOKENS["reader"])
    with Store.open(tmp_path / "served.duckdb") as store, serving(site_of(store, tokens=tokens())) as url:
        for words, code in (
            (("--json",), 0), (("--csv",), 0), ((), 0), (("--match", "stage"), 0), (("--match", 'process="nginx"'), 0),
            (("--match", '{destination="x"}'), 2), (("--match", '{process="x'), 2), (("--state", "old"), 2),
        ):  # fmt: skip
            of_file = ebbtide("entities", *words, "--db", db)
            of_service = ebbtide("entities", *words, "--server", url, "--token-file", "reader")
            assert (of_file.code, of_service.code) == (code, code), words
            assert of_service.out == of_file.out, words
        assert ebbtide("entities", "--server", url).code == 4
