"""A finding can say why."""

from dataclasses import replace

import numpy as np

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.baseline.trailing_statistics import STATISTICS, Statistic
from ebbtide.detect.outbound import day_records, score_day
from ebbtide.detect.outbound_explain import explain
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_state import DayValues, OutboundState

OPTIONS = OutboundOptions()


def given(statistics):
    nothing = np.zeros((statistics.shape[0], statistics.shape[2]), np.float32)
    return DayValues(statistics, nothing, nothing)


def test_the_largest_surprise_comes_first_with_its_record():
    empty = OutboundState.empty(2, OPTIONS)
    maxima = np.full_like(empty.maxima, np.nan)
    maxima[..., -20:] = np.linspace(0.0, 1.0, 20)[np.random.default_rng(1).permutation(20)]
    state = replace(empty, maxima=maxima)
    records = day_records(state, shipped_models(), OPTIONS)
    values = np.full((2, STATISTICS, 1), 0.2, np.float32)
    values[1, Statistic.RATIO_1H] = 3.0
    values[1, Statistic.DRIP] = np.nan
    raw = score_day(given(values), records, OPTIONS)

    told = explain(given(values), records, raw, 1, 0)

    assert [one.statistic for one in told[:1]] == [Statistic.RATIO_1H]
    assert told[0].value == 3.0 and told[0].return_days == np.exp(told[0].surprise)
    assert [one.window_days for one in told[0].evidence] == [30, 90]
    ago = told[0].evidence[0].days_ago
    assert ago is not None and maxima[0, 0, -ago] == told[0].evidence[0].record == 1.0
    usual = next(one for one in told if one.statistic is Statistic.USUAL_HOUR)
    assert len(usual.evidence) == 1
    assert next(one for one in told if one.statistic is Statistic.DRIP).surprise == 0.0


def test_an_empty_window_has_no_record_to_date():
    records = day_records(OutboundState.empty(1, OPTIONS), shipped_models(), OPTIONS)
    values = np.zeros((1, STATISTICS, 1), np.float32)
    told = explain(given(values), records, score_day(given(values), records, OPTIONS), 0, 0)
    assert all(one.evidence[0].days_ago is None and one.surprise == 0.0 for one in told)
    assert all(one.evidence[0].is_young for one in told)
