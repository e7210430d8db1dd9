"""The commands of `ebbtide.cli.learning`, over a file and over a service."""

import json
import shutil
import time

import pytest

from ebbtide.series import Entity
from ebbtide.store.store import Store
from web_fixtures import TOKENS, serving, site_of, tokens

LATER = "2025-11-27T16:00:00Z"  # a day after the end of what was recorded


@pytest.fixture
def served(db, tmp_path):
    """What a command says to use a service over a copy of the file, as one who may write."""
    shutil.copy(db, tmp_path / "served.duckdb")
    (tmp_path / "writer").write_text(TOKENS["writer"] + "\n")
    with (
        Store.open(tmp_path / "served.duckdb") as store,
        serving(site_of(store, tokens=tokens(), now=time.time_ns)) as url,
    ):
        yield ["--server", url, "--token-file", str(tmp_path / "writer")]


def listed(ebbtide, *words):
    return json.loads(ebbtide(*words, "--json").out)


def test_learning_lists_every_entity(ebbtide, db):
    rows = listed(ebbtide, "learning", "--db", db, "--at", LATER)
    row = {one["entity"]: one for one in rows}["prod/shop/checkout/nginx"]
    assert (row["state"], row["days"]) == ("young", 1)  # only the 25th was heard whole
    assert 6 < row["covered_percent"] < 7  # two days of thirty
    assert "prod/shop/checkout" in ebbtide("learning", "--db", db).out
    at_its_end = {one["entity"]: one for one in listed(ebbtide, "learning", "--db", db)}  # it is a recording
    assert at_its_end["prod/shop/checkout/nginx"]["covered_percent"] > 6
    assert ebbtide("learning", "--csv", "--db", db).out.startswith("entity,state,days,first_seen,covered_percent")
    assert ebbtide("learning", "--db", "gone.duckdb").code == 3


def test_a_baseline_is_reset_and_given_back(ebbtide, db):
    ran = ebbtide("baseline", "reset", "prod/shop/checkout", "--reason", "rewritten", "--db", db)
    assert "1 entities learn anew" in ran.out
    assert len(listed(ebbtide, "baseline", "masks", "--db", db)) == 1

    assert "1 resets" in ebbtide("baseline", "undo", "prod/shop/checkout", "--db", db).out
    assert ebbtide("baseline", "masks", "--db", db).out == "Nothing is left out.\n"
    assert ebbtide("baseline", "reset", "checkout", "--reason", "x", "--db", db).code == 3


def test_a_service_says_and_does_what_its_file_would(ebbtide, db, served, monkeypatch):
    monkeypatch.setattr("ebbtide.cli.remote._PAGE", 1)
    monkeypatch.setattr("ebbtide.cli.remote._LONG_PAGE", 1)
    before = ("--before", "2025-11-25T00:00:00.5Z")
    for words in (
        ("learning", "--at", LATER), ("learning", "--at", LATER, "--json"), ("learning", "--at", LATER, "--csv"),
        ("baseline", "masks"), ("baseline", "reset", "prod/shop/checkout/nginx", "--reason", "rewritten", *before),
        ("baseline", "reset", "prod/shop", "--reason", "x"), ("baseline", "reset", "a/b/c", "--reason", "x"),
        ("baseline", "reset", "prod/shop/checkout", "--reason", "x", "--before", "soon"), ("baseline", "masks"),
        ("baseline", "masks", "--json"), ("baseline", "undo", "a/b/c"), ("baseline", "undo", "prod/shop/checkout"),
        ("baseline", "undo", "prod/shop/checkout"), ("baseline", "masks"), ("learning", "--at", "soon"),
    ):  # fmt: skip
        of_file = ebbtide(*words, "--db", db)

        assert ebbtide(*words, *served) == of_file, words
        assert len(of_file.out + of_file.err) > 20


def test_masks_of_a_service_come_in_pages(ebbtide, tmp_path, monkeypatch):
    monkeypatch.setattr("ebbtide.cli.remote._PAGE", 2)
    monkeypatch.setattr("ebbtide.cli.remote._LONG_PAGE", 2)
    with Store.open(tmp_path / "more.duckdb") as store:
        for number in range(5):
            store.mask(Entity("c", "n", f"w{number}", "p"), 0, 10**9, "plan move")
        with serving(site_of(store)) as url:
            names = [one["entity"] for one in listed(ebbtide, "baseline", "masks", "--server", url)]

    assert names == [f"c/n/w{number}/p" for number in range(5)]


def test_a_reset_of_a_service_needs_a_token_that_may_write(ebbtide, served, tmp_path):
    (tmp_path / "reader").write_text(TOKENS["reader"])
    reading = [*served[:2], "--token-file", "reader"]

    assert ebbtide("baseline", "reset", "prod/shop/checkout", "--reason", "x", *reading).code == 4
    assert ebbtide("baseline", "undo", "prod/shop/checkout", *reading).code == 4
    assert ebbtide("baseline", "masks", *reading).out == "Nothing is left out.\n"


def test_where_nobody_is_known_that_is_said(ebbtide, tmp_path):
    Store.open(tmp_path / "empty.duckdb").close()

    assert (
        ebbtide("learning", "--db", "empty.duckdb").out
        == "No entities yet: what arrives is learned from after its hour.\n"
    )
