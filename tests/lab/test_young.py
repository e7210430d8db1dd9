"""Cut histories: the long one changes nothing, one day is a day."""

import numpy as np

from ebbtide.lab.bench import SCORE
from ebbtide.lab.inject import draw_events
from ebbtide.lab.inject_scenario import burst
from ebbtide.lab.young import cut_options, young_events, young_scores


def test_a_history_of_90_days_is_the_whole_one(bench):
    scores = young_scores(bench, SCORE, 90)
    np.testing.assert_array_equal(scores.ratio, bench.raw.ratio[:, SCORE.start * 24 :])
    np.testing.assert_array_equal(scores.volume, bench.raw.volume[:, SCORE.start * 24 :])


def test_a_day_of_history_scores_lower_and_has_no_drip(bench):
    cut = cut_options(bench.options, 1)
    assert cut.history_days == (1, 1) and cut.usual_days == cut.ratio_days == 1
    assert young_scores(bench, SCORE, 1).ratio.max() < bench.raw.ratio[:, SCORE.start * 24 :].max()


def test_events_of_the_whole_history_are_those_of_the_bench(bench):
    events = draw_events(bench.traffic, burst("burst", 5e9, 60), SCORE, 0, 1)
    young, whole = young_events(bench, events, 90), bench.raw_of(events)
    np.testing.assert_array_equal(young.raw.ratio, whole.raw.ratio)
    np.testing.assert_array_equal(young.first, whole.first)
