"""Trailing sums against a loop, and what must hold whatever comes in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ebbtide.baseline.trailing import block_last, block_max, trailing_sums

samples = arrays(np.float64, (2, 40), elements=st.one_of(st.just(np.nan), st.integers(0, 10**12).map(float)))


def naive(row, width):
    out = []
    for end in range(1, len(row) + 1):
        window = [value for value in row[max(0, end - width) : end] if not np.isnan(value)]
        out.append(sum(window) * (width / len(window)) if 2 * len(window) >= width else np.nan)
    return out


@settings(max_examples=50, deadline=None)
@given(samples, st.integers(1, 45))
def test_sums_agree_with_a_loop(values, width):
    np.testing.assert_array_equal(trailing_sums(values, width), [naive(row, width) for row in values])


@settings(max_examples=50, deadline=None)
@given(samples, st.integers(1, 12), st.integers(13, 39))
def test_a_stream_that_starts_later_gives_the_same_sums(values, width, start):
    whole = trailing_sums(values, width)[:, start:]
    tail = trailing_sums(values[:, start - width + 1 :], width)[:, width - 1 :]
    np.testing.assert_array_equal(whole, tail)


def test_negative_and_infinite_samples_count_as_unknown():
    bad = np.array([5.0, -1.0, np.inf, -np.inf, np.nan])
    np.testing.assert_array_equal(trailing_sums(bad, 1), [5.0, np.nan, np.nan, np.nan, np.nan])


def test_a_broken_counter_does_not_overflow():
    assert np.all(trailing_sums(np.full(1000, 1e300), 1000)[500:] > 0)


def test_no_steps_and_no_width():
    assert trailing_sums(np.empty((3, 0)), 4).shape == (3, 0)
    with pytest.raises(ValueError, match="at least one step"):
        trailing_sums(np.zeros(3), 0)


def test_blocks_of_nothing_known_are_nan():
    values = np.array([[np.nan, np.nan, 2.0, np.nan]])
    np.testing.assert_array_equal(block_max(values, 2), [[np.nan, 2.0]])
    np.testing.assert_array_equal(block_last(values, 2), [[np.nan, np.nan]])
    with pytest.raises(ValueError, match="whole number"):
        block_max(values, 3)
