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


def test_known_destinations_become_a_filter(ebbtide, db):
    found(ebbtide, db)
    words = ("allow", "prod/shop/checkout", "--to", "203.0.113.9", "--reason", "x", "--db", db)

    assert "hides 0 of 3" in ebbtide(*words).out
    # The other finding is of the detection that pools namespaces: its entity has none.
    assert "hides 2 of 3" in ebbtide(*words, "--to", "api.example.com").out
