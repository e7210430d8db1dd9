"""The harness on a small simulated fleet: budgets are kept, a burst is found, nothing before it changes."""

import numpy as np

from ebbtide.lab.bench import SCORE, clean_scores, daily, event_scores, fixed
from ebbtide.lab.evaluate import BUDGETS, judge, realised
from ebbtide.lab.inject import draw_events
from ebbtide.lab.inject_scenario import burst


def test_budgets_hold_on_a_still_fleet(bench):
    clean = clean_scores(bench, fixed(bench))
    for place, budget in enumerate(BUDGETS[:2]):
        firing = clean.score > clean.thresholds[place]
        assert budget / 3 < realised(firing, 24 * 31.0) < budget * 3


def test_a_large_burst_is_found_and_nothing_before_it_changes(bench):
    events = draw_events(bench.traffic, burst("burst", 5e9, 60), SCORE, 0, 1)
    raw = bench.raw_of(events)
    for scaled in (fixed(bench), daily(bench)):
        clean, scored = clean_scores(bench, scaled), event_scores(bench, raw, scaled)
        verdicts = judge(clean.score > clean.thresholds[1], clean.thresholds[1], scored)
        assert verdicts.paired.mean() > 0.9
        for row in range(len(events.entity)):
            before = int(events.start[row] // 2 - raw.first[row])
            at = slice(raw.first[row], raw.first[row] + before)
            np.testing.assert_allclose(scored.scores[row, :before], clean.score[row, at])


def test_outside_the_scored_days_nothing_fires(bench):
    clean = clean_scores(bench, fixed(bench))
    assert np.isneginf(clean.score[:, : 60 * 24]).all() and np.isfinite(clean.score[:, 60 * 24 :]).all()
