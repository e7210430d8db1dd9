"""The commands of `ebbtide.cli.triage`."""

import json


def listed(ebbtide, *words):
    return json.loads(ebbtide(*words, "--json").out)


def found(ebbtide, db) -> str:
    ebbtide("detect", "--db", db)
    return listed(ebbtide, "findings", "--db", db)[0]["uid"]


def test_a_verdict_takes_its_time_out_of_the_baseline(ebbtide, db):
    uid = found(ebbtide, db)

    ran = ebbtide("verdict", uid[:8], "attack", "--note", "a paste site", "--db", db)

    assert (ran.code, "is not learned from" in ran.out) == (0, True)
    [mask] = listed(ebbtide, "baseline", "masks", "--db", db)
    assert mask["reason"] == f"verdict on {uid}"
    assert ebbtide("verdict", "zzz", "benign", "--db", db).code == 3


def test_a_baseline_is_reset_and_given_back(ebbtide, db):
    ran = ebbtide("baseline", "reset", "prod/shop/checkout", "--reason", "rewritten", "--db", db)
    assert "1 entities learn anew" in ran.out
    assert len(listed(ebbtide, "baseline", "masks", "--db", db)) == 1

    assert "1 resets" in ebbtide("baseline", "undo", "prod/shop/checkout", "--db", db).out
    assert ebbtide("baseline", "masks", "--db", db).out == "Nothing is left out.\n"
    assert ebbtide("baseline", "reset", "checkout", "--reason", "x", "--db", db).code == 3


def test_a_planned_change_is_added_listed_and_removed(ebbtide, db):
    found(ebbtide, db)
    ran = ebbtide(
        "plans", "add", "move", "--match", '{workload="checkout"}', "--from", "2020-01-01T00:00:00Z", "--to", "99999d",
        "--reason", "migration", "--learn", "--db", db,
    )  # fmt: skip
    assert "marks 3 of 3 findings" in ran.out
    [plan] = listed(ebbtide, "plans", "list", "--db", db)
    assert (plan["owner"], plan["masked"]) == ("tester", False)
    assert "No findings that no filter hides" in ebbtide("findings", "--db", db).out

    assert ebbtide("plans", "remove", "move", "--db", db).code == 0
    assert ebbtide("plans", "list", "--db", db).out == "No plans.\n"


def test_known_destinations_become_a_filter(ebbtide, db):
    found(ebbtide, db)
    words = ("allow", "prod/shop/checkout", "--to", "203.0.113.9", "--reason", "x", "--db", db)

    assert "hides 0 of 3" in ebbtide(*words).out
    # The other finding is of the detection that pools namespaces: its entity has none.
    assert "hides 2 of 3" in ebbtide(*words, "--to", "api.example.com").out
