"""The demonstration's planted attacks: what the default detection finds of them, and that the twin is left alone."""

import pytest

from ebbtide import recording
from ebbtide.demo_attacks import ATTACKS, judge, plant
from ebbtide.detect.catalogue import load
from ebbtide.registry import DETECTORS
from ebbtide.series import MINUTE_NS
from ebbtide.store.store import Store
from once import recording_copy

OUTBOUND = load(DETECTORS).get("outbound")


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    clean = recording_copy(tmp_path_factory)
    planted = clean.with_name("planted.duckdb")
    plant(clean, planted)
    return clean, planted


def test_attacks_lie_in_the_judged_days_and_away_from_the_labels():
    for attack in ATTACKS:
        assert recording.labelled_from_ns(attack.machine) < attack.start_ns
        own = (one for one in recording.incidents() if one.machine == attack.machine and one.is_outbound)
        assert not any(one.start_ns < attack.end_ns and attack.start_ns < one.end_ns for one in own), attack


def test_all_of_an_attack_is_in_the_copy_and_nothing_in_the_original(stores):
    added = []
    for path in stores:
        with Store.open(path) as store:
            added.append(store.ask("SELECT sum(sent) FROM hours JOIN metrics USING (metric) WHERE name = 'tcp.bytes'"))
            assert len(store.ask("SELECT 1 FROM endpoints WHERE workload = '203.0.113.9'")) == (path == stores[1])
    assert added[1][0][0] > added[0][0][0]


def test_the_default_detection_finds_what_is_as_large_as_the_largest_hour_when_it_is_quiet(stores):
    picked = (ATTACKS[0], ATTACKS[6], ATTACKS[7])
    outcomes = [one for attack in picked for one in judge(*stores, attack, [OUTBOUND])]

    assert [one.after_ns for one in outcomes] == [15 * MINUTE_NS, 15 * MINUTE_NS, None]
    assert not any(one.was_firing for one in outcomes)
