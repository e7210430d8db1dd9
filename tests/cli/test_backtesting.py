"""`backtest`: what is found over a range, with a changed option, under a filter, and with planted attacks."""

import json
from pathlib import Path

import pytest

from ebbtide.cli.backtesting import changed_detections
from ebbtide.detect.catalogue import load
from ebbtide.errors import UsageError
from ebbtide.registry import DETECTORS

CORRECTED = "outbound_network_activity_from_process_corrected"


def test_backtest_counts_and_detect_agrees(ebbtide, db):
    result = json.loads(ebbtide("backtest", "--db", db, "--every", "1h", "--json").out)

    by_id = {one["detection"]: one for one in result["backtests"]}
    corrected = by_id["outbound_network_activity_from_process_corrected"]
    assert corrected["findings"] == 1
    assert corrected["noisiest"] == [{"entity": "prod/shop/checkout/nginx", "findings": 1}]
    assert corrected["ticks"] == 24


def test_backtest_prints_findings_a_day(ebbtide, db):
    ran = ebbtide("backtest", "--db", db, "--every", "1h")

    assert "a day" in ran.out
    assert "Noisiest under" in ran.out


def test_a_backtest_plants_attacks_in_a_copy_and_leaves_the_store_alone(ebbtide, db):
    before = Path(db).read_bytes()
    words = ("backtest", "--db", db, "-d", CORRECTED, "--inject", "X1", "--rounds", "1")

    told = json.loads(ebbtide(*words, "--json").out)
    ran = ebbtide(*words)

    assert Path(db).read_bytes() == before
    assert told["backtests"][0]["findings"] == 1
    [attack] = told["injected"]["attacks"]
    assert attack["outcome"] in ("caught", "told anyway", "missed")
    assert "1 attacks planted" in ran.out
    assert "Planted attacks" in ran.out  # names wrap in a narrow terminal


def test_a_scenario_that_is_not_there_is_usage(ebbtide, db):
    assert ebbtide("backtest", "--db", db, "--to", "1764100000", "--inject", "X99").code == 2


def test_a_changed_option_is_told_with_what_it_removes(ebbtide, db):
    words = ("backtest", "--db", db, "-d", CORRECTED, "--set", "more_than=300")

    [changed] = json.loads(ebbtide(*words, "--json").out)["changed"]
    ran = ebbtide(*words)

    assert (changed["before"]["findings"], changed["after"]["findings"]) == (1, 0)
    assert changed["options"]["more_than"] == 300
    assert changed["appeared"] == []
    [gone] = changed["disappeared"]
    assert "nginx in shop/checkout sent" in gone
    assert f"{CORRECTED} with more_than 300: 0 findings, 0.00 a day" in ran.out
    assert "0 appear, 1 disappear." in ran.out and f"- {gone[:60]}" in ran.out


def test_a_filter_is_told_with_what_it_would_hide(ebbtide, db):
    words = ("backtest", "--db", db, "-d", CORRECTED)

    hidden = json.loads(ebbtide(*words, "--hide", '{process="nginx"}', "--json").out)["would_hide"]
    nothing = ebbtide(*words, "--hide", '{process="curl"}').out

    assert len(hidden) == 1 and "nginx" in hidden[0]
    assert "would hide 0 of 1 findings." in nothing
    assert "would_hide" not in json.loads(ebbtide(*words, "--json").out)


def test_an_option_is_set_where_there_is_one_or_where_it_is_named():
    catalogue = load(DETECTORS)
    both = [catalogue.get("outbound"), catalogue.get("novelty"), catalogue.get(CORRECTED)]

    assert {one.id: one.options["budget"] for one in changed_detections(both, ["budget=3"]).values()} == {
        "outbound": 3.0,
        "novelty": 3.0,
    }
    assert list(changed_detections(both, ["outbound.budget=3", "outbound.ratio_share=0.5"])) == ["outbound"]


@pytest.mark.parametrize("text", ["budget", "nothing=1", "novelty.ratio_share=1", "budget=[", "budget=-1"])
def test_what_is_no_option_is_usage(text):
    catalogue = load(DETECTORS)
    with pytest.raises(UsageError):
        changed_detections([catalogue.get("outbound"), catalogue.get("novelty")], [text])
