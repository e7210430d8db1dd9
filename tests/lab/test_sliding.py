"""Decisions at every step: the same thresholds' world, only sooner, and never from later."""

import numpy as np
import pytest

from ebbtide.lab.bench import SCORE
from ebbtide.lab.evaluate import judge, realised
from ebbtide.lab.inject import draw_events
from ebbtide.lab.inject_scenario import burst
from ebbtide.lab.sliding import delays, run_sliding, sliding_events


@pytest.fixture(scope="module")
def sliding(bench):
    return run_sliding(bench)


def test_budgets_hold(sliding):
    firing = sliding.score > sliding.thresholds[0]
    assert sliding.score.shape == (24, 31 * 48)
    assert 100 / 3 < realised(firing, 24 * 31.0, 12) < 300


def test_an_event_changes_nothing_before_it(sliding):
    events = draw_events(sliding.bench.traffic, burst("burst", 5e9, 60), SCORE, 0, 1)
    scored = sliding_events(sliding, events)
    for row in range(24):
        before = int(scored.start[row] - scored.first[row])
        clean = sliding.score[row, scored.first[row] : scored.start[row]]
        np.testing.assert_allclose(scored.scores[row, :before], clean)


def test_a_large_burst_is_found_in_its_first_step(sliding):
    events = draw_events(sliding.bench.traffic, burst("burst", 50e9, 120), SCORE, 0, 2)
    scored = sliding_events(sliding, events)
    line = sliding.thresholds[1]
    verdicts = judge(sliding.score > line, np.full(sliding.score.shape[1], line), scored)
    waited = delays(sliding, events, scored, verdicts.paired, line)
    assert len(waited.minutes) == verdicts.paired.sum() > 20
    assert np.median(waited.minutes) == 30.0
    assert np.median(waited.lost) == pytest.approx(12.5e9) and np.median(waited.share) == pytest.approx(0.25)
