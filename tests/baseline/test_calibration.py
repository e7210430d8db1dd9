"""Thresholds and curves against counting by hand."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ebbtide.baseline.calibration import count_findings, curve, threshold_for

scores = arrays(np.float64, (3, 30), elements=st.one_of(st.just(np.nan), st.integers(0, 12).map(float)))


def naive_count(values, threshold, merge):
    total = 0
    for row in values:
        last = None
        for step, value in enumerate(row):
            if value > threshold:
                total += last is None or step - last > merge
                last = step
    return total


@settings(max_examples=100, deadline=None)
@given(scores, st.integers(1, 8))
def test_counts_agree_with_a_loop(values, merge):
    counts = count_findings(values, merge)
    thresholds = np.arange(-1.0, 13.5, 0.5)
    assert counts.at(thresholds).tolist() == [naive_count(values, threshold, merge) for threshold in thresholds]


@settings(max_examples=100, deadline=None)
@given(scores, st.integers(1, 8), st.integers(0, 10))
def test_no_threshold_above_gives_more_and_the_next_below_does(values, merge, findings):
    counts = count_findings(values, merge)
    threshold = threshold_for(counts, findings)
    steps = [step for step in np.unique(values[~np.isnan(values)]) if step >= threshold]
    assert all(naive_count(values, step, merge) <= findings for step in [threshold, *steps])
    below = [step for step in np.unique(values[~np.isnan(values)]) if step < threshold]
    if below and threshold > counts.score[0]:
        assert naive_count(values, below[-1], merge) > findings


def test_scores_outside_a_curve():
    random = np.random.default_rng(1)
    made = curve(random.exponential(1.0, (100, 240)), 1000.0, 6)
    grid = np.linspace(-5, 40, 500)
    surprise = made.surprise(grid)
    assert np.all(np.diff(surprise) >= 0)
    assert surprise[0] == -np.log(400.0)
    assert surprise[-1] - surprise[-2] > 0


def test_the_curve_says_how_many_findings_are_this_surprising():
    values = np.random.default_rng(2).exponential(1.0, (200, 480))
    made = curve(values, 4000.0, 6)
    for threshold in (7.0, 8.0):
        counted = count_findings(values, 6).at(np.array([threshold]))[0] / 4.0
        assert abs(np.exp(-made.surprise(np.array([threshold]))[0]) / counted - 1.0) < 0.15


def test_without_scores_one_nat_is_one_nat():
    made = curve(np.full((2, 24), np.nan), 2.0, 6)
    assert np.diff(made.surprise(np.array([1.0, 2.0])))[0] == 1.0
