"""What attacks add, by hand and by property."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.lab.cluster_pattern import added_by
from ebbtide.lab.cluster_scenarios import choose, grid
from ebbtide.lab.simulate_plan import Draws
from ebbtide.series import SECOND_NS, Endpoint

DAY = 1440
START_NS = 1_768_780_800 * SECOND_NS
BY_NAME = {one.name: one for one in grid()}


def added(name: str, history: np.ndarray | None = None, interval_s: int = 30, places: int = 1, seed: int = 1):
    history = np.full(10 * DAY, 60_000.0) if history is None else history
    ends = tuple(Endpoint("", "", f"p{at}") for at in range(places))
    return added_by(BY_NAME[name], history, START_NS, interval_s, Draws(seed, 9), (ends, (None,) * places))


def test_a_burst_is_even_whole_and_followed_by_one_zero():
    one = added("burst 200 MB in 30 min")

    assert len(one) == 61
    assert one.sent[:60].sum() == pytest.approx(200e6, rel=1e-6)
    assert one.sent[60] == one.received[60] == one.packets_out[60] == 0
    assert one.start_ns[0] == START_NS
    assert one.sockets.tolist() == [1.0] + [0.0] * 60


def test_the_way_back_and_the_packets_are_in_proportion():
    for seed in range(20):
        one = added("burst 1 GB in 1 h", seed=seed)
        assert 0.00999 <= one.received.sum() / one.sent.sum() <= 0.0401
        assert 900 <= one.sent.sum() / one.packets_out.sum() <= 1401


def test_as_much_may_come_back_as_is_sent():
    one = added("burst 1 GB in 30 min, as much back")

    assert one.received.sum() == one.sent.sum()


@pytest.mark.parametrize("interval_s", [10, 30, 60, 300])
def test_the_grid_does_not_change_how_much_is_sent(interval_s):
    for name, size in (("burst 50 MB in 5 min", 50e6), ("drip 10 MB/h, 6 h", 60e6), ("DNS tunnel 1 KB/s, 1 h", 3.6e6)):
        assert added(name, interval_s=interval_s).sent.sum() == pytest.approx(size, rel=1e-3)


def test_a_relative_burst_is_a_multiple_of_the_entitys_own():
    history = np.full(10 * DAY, 1e6)
    history[5000] = 8e6
    history[6000] = np.nan

    assert added("3 x own maximum, 30 min", history).sent.sum() == pytest.approx(3 * 8e6 * 30, rel=1e-6)
    assert added("3 x own p99, 30 min", history).sent.sum() == pytest.approx(3 * 1e6 * 30, rel=1e-6)


def test_three_times_nothing_is_still_an_attack():
    assert added("3 x own maximum, 30 min", np.zeros(DAY)).sent.sum() == pytest.approx(3e6, rel=1e-4)
    assert added("3 x own maximum, 30 min", np.empty(0)).sent.sum() == pytest.approx(3e6, rel=1e-4)


def test_a_mimic_is_a_share_of_what_was_sent_a_week_ago():
    history = np.arange(10 * DAY, dtype=float) * 10
    one = added("mimic +50 % for 2 d".replace(" %", "%"), history)

    expected = 0.5 * history[3 * DAY : 5 * DAY].sum()
    assert one.sent.sum() == pytest.approx(expected, rel=1e-4)


def test_nights_are_a_day_apart():
    one = added("300 MB on 2 nights in a quiet hour")
    speaks = one.start_ns[one.sent > 0]

    assert speaks.max() - speaks.min() == (86_400 + 1800 - 30) * SECOND_NS
    assert one.sent.sum() == pytest.approx(600e6, rel=1e-6)
    assert one.sockets.sum() == 2


def test_chunks_and_beats_come_one_at_a_time():
    chunks, beats = added("drip 10 MB/h in 5 MB chunks, 24 h"), added("beacon 1 KB every 5 min, 24 h")

    assert chunks.sent.sum() == 240e6
    assert (chunks.sent > 0).sum() == pytest.approx(48, abs=2)
    assert beats.sent.sum() == 288_000
    assert beats.sockets.sum() == 1


def test_a_scan_opens_its_sockets_among_all_destinations():
    one = added("scan 10 sockets/s to 500, 10 min", places=500)

    assert one.sockets.sum() == 6000
    assert len(np.unique(one.place[one.sockets > 0])) == 500
    assert one.sent.sum() == pytest.approx(120 * 6000, rel=0.02)


def test_a_first_contact_sends_as_much_as_usual():
    history = np.zeros(10 * DAY)
    history[::3] = 30_000

    one = added("5 new services of the cluster, 1 h", history, places=5)

    assert one.sent.sum() == pytest.approx(30_000 * 60, rel=1e-3)
    assert set(one.place.tolist()) == set(range(5))


def test_poison_runs_for_a_third_of_the_history_first():
    one = added("1 GB in 30 min, a drip before")

    lead = one.start_ns < START_NS
    assert one.start_ns.min() == START_NS - int(10 * 86_400 / 3) * SECOND_NS
    assert one.sent[lead].sum() == pytest.approx(50e6 / 3600 * 10 * 86_400 / 3, rel=1e-3)
    assert one.sent[~lead].sum() == pytest.approx(1e9, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([one.name for one in choose(["core"])]), st.sampled_from([30, 60, 300]), st.integers(0, 99))
def test_every_scenario_adds_whole_samples_with_a_zero_after_each_stretch(name, interval_s, seed):
    places = BY_NAME[name].destinations
    one = added(name, interval_s=interval_s, places=places, seed=seed)

    for column in (one.sent, one.received, one.packets_out, one.packets_in, one.sockets):
        assert (column >= 0).all()
        assert (column == np.floor(column)).all()
    assert (one.end_ns - one.start_ns == interval_s * SECOND_NS).all()
    keys = set(zip(one.place.tolist(), one.start_ns.tolist(), strict=True))
    assert len(keys) == len(one)
    speaks = (one.sent > 0) | (one.sockets > 0)
    for place, end_ns in zip(one.place[speaks].tolist(), one.end_ns[speaks].tolist(), strict=True):
        assert (place, end_ns) in keys
