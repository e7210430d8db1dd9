"""The commands of `ebbtide.cli.plans`, over a file and over a service."""

import json
import shutil
import time

from ebbtide.store.store import Store
from web_fixtures import TOKENS, serving, site_of, tokens


def listed(ebbtide, *words):
    return json.loads(ebbtide(*words, "--json").out)


def adding(name: str, to: str = "4h", match: str = '{workload="checkout"}', how: str = "--mask") -> tuple[str, ...]:
    start = ("--from", "2025-11-25T00:00:00Z", "--to", to)
    return ("plans", "add", name, "--match", match, *start, "--reason", "migration", how)


def test_a_planned_change_is_added_listed_and_removed(ebbtide, db):
    ebbtide("detect", "--db", db)
    ran = ebbtide(*adding("move", "99999d", how="--learn"), "--db", db)
    assert "marks 3 of 3 findings" in ran.out
    [plan] = listed(ebbtide, "plans", "list", "--db", db)
    assert (plan["owner"], plan["masked"]) == ("tester", False)
    assert "No findings that no filter hides" in ebbtide("findings", "--db", db).out

    assert ebbtide("plans", "remove", "move", "--db", db).code == 0
    assert ebbtide("plans", "list", "--db", db).out == "No plans.\n"


def test_a_service_says_and_does_what_its_file_would(ebbtide, db, tmp_path):
    ebbtide("detect", "--db", db)
    shutil.copy(db, tmp_path / "served.duckdb")
    (tmp_path / "writer").write_text(TOKENS["writer"])
    with (
        Store.open(tmp_path / "served.duckdb") as store,
        serving(site_of(store, tokens=tokens(), now=time.time_ns)) as url,
    ):
        there = ("--server", url, "--token-file", "writer")
        for words, code in (
            (("plans", "list"), 0), (adding("move", "99999d"), 0), (adding("move", "9999-12-31T00:00:00Z"), 0),
            (adding("load.test", how="--learn"), 0), (("plans", "remove", "absent"), 3),
            (("baseline", "masks"), 0), (("baseline", "masks", "--json"), 0),
            (adding("a/b"), 2), (adding("x", "2025-11-24T00:00:00Z"), 2), (adding("x", "soon"), 2),
            (adding("x", match='{destination="d"}'), 2), (adding("x", match="{"), 2),
        ):  # fmt: skip
            of_file, of_service = ebbtide(*words, "--db", db), ebbtide(*words, *there)

            assert (of_file.code, of_service.code) == (code, code), words
            assert of_service.out == of_file.out, words

        both = [listed(ebbtide, "plans", "list", *where) for where in (there, ("--db", db))]
        assert [[one.pop("owner") for one in rows] for rows in both] == [["writer"] * 2, ["tester"] * 2]
        assert both[0] == both[1]
        assert [one["name"] for one in both[0]] == ["load.test", "move"]
        assert ebbtide("plans", "remove", "move", *there).code == 0
        assert [one.name for one in store.plans.all()] == ["load.test"]
