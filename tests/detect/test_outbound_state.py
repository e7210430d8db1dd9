"""Closing days: what is kept, what it weighs, and that no row knows of another."""

import numpy as np

from ebbtide.baseline.trailing_statistics import STATISTICS, Statistic
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_state import (
    DayValues,
    OutboundState,
    close_day,
    day_maxima,
    day_values,
    open_day,
    run_cusum,
)

OPTIONS = OutboundOptions()
HOURS = np.arange(24)


def closed(days, entities=3, seed=1):
    random = np.random.default_rng(seed)
    state = OutboundState.empty(entities, OPTIONS)
    for _ in range(days):
        peaks = random.normal(16, 1, (entities, 5, 24)).astype(np.float32)
        ratio = random.normal(0, 1, (entities, 24)).astype(np.float32)
        reference = open_day(state, OPTIONS)
        cusum = run_cusum(state, reference, ratio, OPTIONS)
        state = close_day(state, day_values(peaks, peaks[:, 2], HOURS, cusum, reference), ratio, cusum, OPTIONS)
    return state


def test_state_with_a_day_of_five_minute_sums_is_below_16_kib():
    assert closed(1).bytes_per_entity + 2 * 288 * 8 < 16 * 1024


def statistics(reference):
    flat = np.ones((1, 5, 24), np.float32)
    return day_values(flat, flat[:, 0], HOURS, np.zeros((1, 24), np.float32), reference).statistics


def test_usual_hour_and_drip_need_history():
    first = open_day(OutboundState.empty(1, OPTIONS), OPTIONS)
    values = statistics(first)
    assert np.isnan(values[:, [Statistic.USUAL_HOUR, Statistic.DRIP]]).all()
    later = open_day(closed(3, 1), OPTIONS)
    values = statistics(later)
    assert np.isfinite(values).all()


def test_a_day_with_too_few_hours_has_no_maximum():
    hourly = np.full((1, STATISTICS, 24), np.nan, np.float32)
    hourly[..., :11] = 1.0
    assert np.isnan(day_maxima(hourly)).all()
    hourly[..., 11] = 2.0
    assert (day_maxima(hourly) == 2.0).all()


def test_a_huge_day_is_held_once_there_is_history():
    state = closed(12, 1)
    hourly = np.full((1, STATISTICS, 24), 100.0, np.float32)
    ratio = np.zeros((1, 24), np.float32)
    after = close_day(state, DayValues(hourly, ratio, ratio), ratio, ratio, OPTIONS)
    assert after.maxima[0, Statistic.VOLUME_1H, -1] < 30.0


def test_rows_are_independent():
    state = closed(40, 5)
    for name in OutboundState.__slots__:
        np.testing.assert_array_equal(getattr(state, name)[[4, 0]], getattr(state.take(np.array([4, 0])), name))
    assert open_day(state, OPTIONS).usual_volume.shape == (5, 24)
