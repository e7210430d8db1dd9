import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.baseline.moments import Moments, merge, merge_rows

COLUMNS = ("count", "mean", "m2", "minimum", "maximum")
values = st.lists(st.floats(0, 1e12, allow_nan=False) | st.integers(0, 10).map(float), max_size=30)


def test_by_hand():
    moments = Moments.of([2, 4, 4, 4, 5, 5, 7, 9])

    assert moments.count == 8
    assert moments.mean == 5
    assert moments.m2 == 32
    assert moments.stdev() == pytest.approx(2.138089935)
    assert (moments.minimum, moments.maximum) == (2, 9)


def test_stdev_of_nothing_is_nan_and_of_one_point_is_what_the_caller_says():
    assert np.isnan(Moments.none((1,)).stdev())
    assert Moments.of([7]).stdev() == 0
    assert np.isnan(Moments.of([7]).stdev(single=np.nan))


@given(values, values)
def test_merge_is_the_moments_of_the_union(a, b):
    merged = merge(Moments.of(a), Moments.of(b))

    assert merged.count == len(a + b)
    if a + b:
        assert merged.mean == pytest.approx(statistics.fmean(a + b), rel=1e-9, abs=1e-9)
        assert (merged.minimum, merged.maximum) == (min(a + b), max(a + b))
    if len(a + b) > 1:
        assert merged.stdev()[0] == pytest.approx(statistics.stdev(a + b), rel=1e-6, abs=max(1e-6 * max(a + b), 1e-150))


@given(values, values)
def test_merge_commutes(a, b):
    one, other = merge(Moments.of(a), Moments.of(b)), merge(Moments.of(b), Moments.of(a))

    assert one.mean == pytest.approx(other.mean, rel=1e-12)
    assert one.m2 == pytest.approx(other.m2, rel=1e-9)


@given(st.lists(values, min_size=1, max_size=6))
def test_merging_rows_equals_merging_pairwise(parts):
    rows = [Moments.of(part) for part in parts]
    pairwise = rows[0]
    for row in rows[1:]:
        pairwise = merge(pairwise, row)
    columns = [
        np.concatenate([getattr(row, name) for row in rows]) for name in ("count", "mean", "m2", "minimum", "maximum")
    ]

    merged = merge_rows(Moments(*columns), np.zeros(len(rows), np.int64), 2)

    assert merged.count.tolist() == [pairwise.count[0], 0]
    assert merged.mean[0] == pytest.approx(pairwise.mean[0], rel=1e-12)
    assert merged.m2[0] == pytest.approx(pairwise.m2[0], rel=1e-9)


@given(st.floats(1e-6, 1e12), st.integers(2, 50), st.integers(1, 49))
def test_a_constant_has_no_spread_however_it_is_cut(value, n, cut):
    merged = merge(Moments.of([value] * min(cut, n - 1)), Moments.of([value] * (n - min(cut, n - 1))))

    assert merged.m2 == 0
    assert merged.mean == value


@given(values, st.floats(0.01, 100))
def test_another_unit_scales_the_moments(a, factor):
    scaled, direct = Moments.of(a).scaled(factor), Moments.of([x * factor for x in a])

    assert scaled.mean == pytest.approx(direct.mean, rel=1e-9)
    assert scaled.stdev() == pytest.approx(direct.stdev(), rel=1e-6, abs=1e-6 * max(a, default=0) * factor, nan_ok=True)


def test_merge_refuses_different_shapes():
    with pytest.raises(ValueError, match="shape"):
        merge(Moments.none((2,)), Moments.none((3,)))
