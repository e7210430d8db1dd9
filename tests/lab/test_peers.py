"""Every peer: causal, no further back than its memory, and by hand where it is simple."""

import numpy as np
import pytest

from ebbtide.lab.inject import draw_events
from ebbtide.lab.inject_scenario import burst
from ebbtide.lab.peers import HUGE, PEERS, peer_events, repaired, thirty_day_record, upstream
from ebbtide.lab.traffic import Traffic

MB = 1e6


def sent(days=42, entities=3, seed=1):
    random = np.random.default_rng(seed)
    values = random.lognormal(0.0, 0.7, (entities, days * 288)) * MB
    values[1, 5000:5100] = np.nan
    values[2, ::3] = 0.0
    return values


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_nothing_later_changes_a_score(peer):
    values = sent()
    changed = values.copy()
    day = 38
    changed[:, day * 288 :] *= 30.0
    before, after = peer.score(values), peer.score(changed)
    np.testing.assert_array_equal(before[:, : day * 24], after[:, : day * 24])
    assert before.shape == (3, 42 * 24) and not np.isnan(before).any()


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_window_of_its_memory_is_enough(peer):
    values = sent()
    whole = peer.score(values)[:, 40 * 24 :]
    part = peer.score(values[:, (40 - peer.memory_days) * 288 :])[:, peer.memory_days * 24 :]
    finite = np.isfinite(whole)
    np.testing.assert_allclose(part[finite], whole[finite], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_burst_lifts_the_score(peer):
    values = sent()
    traffic = Traffic(("a", "b", "c"), values, values, 0, 300)
    events = draw_events(traffic, burst("burst", 50e9, 60), range(36, 42), 0, 1)
    quiet, loud = peer.score(values), peer_events(peer, traffic, events)
    for row in range(3):
        at = slice(loud.start[row] - loud.first[row], loud.stop[row] - loud.first[row])
        clean = quiet[row, loud.start[row] : loud.stop[row]]
        assert loud.scores[row, at].max() > clean.max()


def test_upstream_by_hand():
    values = np.tile([1.0, 3.0], (1, 31 * 144)) * MB  # mean 2 MB, deviation 1 MB
    values[0, -12:] = 2 * MB
    values[0, -6:] = 7 * MB
    score = upstream(values)[0, -1]
    assert score == pytest.approx(5.0, rel=1e-3)  # six spans stand 5 MB above the mean
    values[0, -6] = 0.0
    assert upstream(values)[0, -1] == pytest.approx(0.0, abs=1e-3)  # five spans are not enough


def test_upstream_with_a_constant_baseline():
    values = np.full((1, 3 * 288), 5.0)
    values[0, -12:] = 6.0
    assert upstream(values)[0, -1] == HUGE
    assert upstream(np.full((1, 288), np.nan)).max() == -HUGE


def test_repaired_waits_a_day():
    values = sent(2)
    assert (repaired(values)[0, :24] == -HUGE).all() and np.isfinite(repaired(values)[0, 30])


def test_a_record_by_hand():
    values = np.full((1, 4 * 288), 10 * MB / 12)
    values[0, 3 * 288 + 24 : 3 * 288 + 36] = 70 * MB / 12
    score = thirty_day_record(values)
    assert score[0, 3 * 24 + 2] == pytest.approx(np.log(80 / 20))
    assert score[0, 3 * 24] == pytest.approx(0.0, abs=1e-9)
