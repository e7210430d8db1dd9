"""The record model by hand, against loops, and by property."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ebbtide.baseline.records import bound, forecast, latest, regressors, summarise, surprise
from ebbtide.baseline.records_shipped import shipped_models

windows = arrays(
    np.float32, (3, 20), elements=st.one_of(st.just(np.nan), st.integers(-20, 20).map(lambda value: value / 4))
)


def naive(window):
    known = [float(value) for value in window if not np.isnan(value)]
    m, ordered = len(known), sorted(float(value) for value in window if not np.isnan(value))
    if not m:
        return 0, np.nan, 0.0, 0.0, 0, 0.0
    l2 = sum((2 * j - m + 1) * x for j, x in enumerate(ordered)) / (m * (m - 1)) if m > 1 else 0.0
    broken = sum(1 for i in range(3, m) if known[i] > max(known[:i]))
    gap = ordered[-1] - ordered[-2] if m > 1 else 0.0
    return m, ordered[-1], l2, gap, broken, ordered[-1] - max(known[-7:])


@settings(max_examples=100, deadline=None)
@given(windows)
def test_summary_agrees_with_a_loop(maxima):
    ours = summarise(maxima)
    for row, expected in enumerate(naive(window) for window in maxima):
        mine = [getattr(ours, name)[row] for name in ("days", "record", "scale", "gap", "excess_count", "age")]
        np.testing.assert_allclose(mine, expected, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(windows, st.integers(1, 20))
def test_latest_keeps_the_last_known_values_in_order(maxima, days):
    for row, window in enumerate(maxima):
        known = window[~np.isnan(window)][-days:]
        mine = latest(maxima, days)[row]
        np.testing.assert_array_equal(mine[~np.isnan(mine)], known)
        assert mine.shape == (days,)


def history(entities=4, days=30, seed=1):
    return np.random.default_rng(seed).normal(size=(entities, 7, days)).astype(np.float32)


def score(values, maxima):
    summary = summarise(maxima)
    return surprise(values, maxima, summary, forecast(summary, shipped_models()))


def test_surprise_grows_with_the_value():
    maxima = history()
    values = np.broadcast_to(np.linspace(-4, 8, 200, dtype=np.float32), (4, 7, 200))
    assert np.all(np.diff(score(values, maxima), axis=-1) >= 0)


def test_surprise_by_hand():
    maxima = np.zeros((1, 7, 20), np.float32)
    maxima[..., 5] = 2.0
    summary = summarise(maxima)
    expected = forecast(summary, shipped_models())
    values = np.array([-1.0, 1.0, 3.0, np.nan], np.float32)
    ours = surprise(np.broadcast_to(values, (1, 7, 4)), maxima, summary, expected)[0, 0]
    chance, excess = expected.chance[0, 0], expected.excess[0, 0]
    by_hand = [0.0, -np.log(chance + (1 - chance) / 20), -np.log(chance) + 1.0 / excess, 0.0]
    np.testing.assert_allclose(ours, by_hand, rtol=1e-6, atol=1e-12)


def test_order_and_company_of_entities_do_not_matter():
    maxima, values = history(6), history(6, 5, seed=2)
    order = np.array([3, 0, 5])
    np.testing.assert_array_equal(score(values, maxima)[order], score(values[order], maxima[order]))


def test_without_history_nothing_is_surprising():
    empty = np.full((1, 7, 30), np.nan, np.float32)
    assert not score(np.full((1, 7, 1), 100.0, np.float32), empty).any()


def test_one_huge_day_lifts_the_record_by_three_scales():
    window = np.linspace(0, 1, 30, dtype=np.float32)[None]
    recent = summarise(window)
    held = bound(np.array([50.0], np.float32), recent)
    np.testing.assert_allclose(held, 1.0 + 3 * (recent.scale / np.log(2) + 0.12), rtol=1e-6)
    young = summarise(window[:, :9])
    assert bound(np.array([50.0], np.float32), young)[0] == 50.0
    assert np.isnan(bound(np.array([np.nan], np.float32), recent))[0]


def test_regressors_of_an_empty_window_are_finite():
    assert np.isfinite(regressors(summarise(np.full((2, 5), np.nan, np.float32)))).all()
