"""Count, mean, spread and range of disjoint sets of samples, kept so that they can be merged.

Hours merge to days and days to a 30-day baseline, so no tick ever reads the raw samples of a month. One definition
serves every statistic of this kind; what SQL aggregates for speed is held equal to it by a test.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from ebbtide.series import Float64, Int64


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Moments of some sets of samples, one set per array position; all arrays have the same shape.

    `count` is int64, the rest float64 in the metric's own unit (`m2`, the sum of squared deviations, in its square).
    Where `count` is 0, `mean` and `m2` are 0, `minimum` is +inf and `maximum` -inf. Where all samples of a set are
    equal, `mean` is that value and `m2` is 0 to the bit: a constant never has a spread by floating-point residue.
    """

    count: Int64
    mean: Float64
    m2: Float64
    minimum: Float64
    maximum: Float64

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Self:
        """Moments of empty sets."""
        return cls(
            np.zeros(shape, np.int64), np.zeros(shape), np.zeros(shape), np.full(shape, np.inf), np.full(shape, -np.inf)
        )

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Moments of one set of samples, as arrays of shape (1,).

        >>> Moments.of([3.0, 5.0, 10.0]).stdev()
        array([3.60555128])
        """
        x = np.asarray(list(values), np.float64)
        if not len(x):
            return cls.none((1,))
        low, high = x.min(), x.max()
        mean = low if low == high else x.mean()
        m2 = 0.0 if low == high else ((x - mean) ** 2).sum()
        return cls(np.array([len(x)], np.int64), np.array([mean]), np.array([m2]), np.array([low]), np.array([high]))

    def stdev(self, *, single: float = 0.0) -> Float64:
        """Sample standard deviation (n - 1), same shape; NaN for an empty set, `single` for a set of one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(self.m2 / (self.count - 1))
        return np.where(self.count > 1, spread, np.where(self.count == 1, single, np.nan))

    def take(self, rows: Int64) -> Moments:
        """The sets at these positions of the first axis, in this order."""
        return Moments(self.count[rows], self.mean[rows], self.m2[rows], self.minimum[rows], self.maximum[rows])

    def scaled(self, factor: float) -> Moments:
        """Moments of the same sets in another unit (`factor` > 0), for instance per bucket instead of per second."""
        return Moments(
            self.count, self.mean * factor, self.m2 * factor**2, self.minimum * factor, self.maximum * factor
        )


def merge(a: Moments, b: Moments) -> Moments:
    """Moments of the union of two disjoint sets of samples, position by position.

    Shapes must agree; an empty set on either side is legal. Units are the metric's own.
    Raises ValueError when the shapes differ.
    Source: Chan, Golub, LeVeque 1983, The American Statistician 37(3), pairwise update.

    >>> merge(Moments.of([1, 2]), Moments.of([3, 6])).mean
    array([3.])
    """
    if a.count.shape != b.count.shape:
        raise ValueError(f"moments differ in shape: {a.count.shape} and {b.count.shape}")
    count = a.count + b.count
    safe = np.maximum(count, 1)
    delta = b.mean - a.mean
    mean = np.where(a.count == 0, b.mean, a.mean + delta * (b.count / safe))
    between = np.where((a.count > 0) & (b.count > 0), delta**2 * (a.count * (b.count / safe)), 0.0)
    m2: Float64 = a.m2 + b.m2 + between
    return _settled(count, mean, m2, np.minimum(a.minimum, b.minimum), np.maximum(a.maximum, b.maximum))


def merge_rows(rows: Moments, group: Int64, groups: int) -> Moments:
    """Moments (groups,) of all rows (n,) with the same group number (n,), 0 <= group < groups.

    Two passes (mean first, then deviations from it) keep the precision of the pairwise update.

    >>> merge_rows(Moments.of([1, 2]).take(np.array([0, 0])), np.array([1, 1]), 2).count
    array([0, 4])
    """
    count = np.bincount(group, rows.count, groups).astype(np.int64)
    safe = np.maximum(count, 1)
    mean = np.bincount(group, rows.count * rows.mean, groups) / safe
    m2 = np.bincount(group, rows.m2 + rows.count * (rows.mean - mean[group]) ** 2, groups)
    minimum, maximum = np.full(groups, np.inf), np.full(groups, -np.inf)
    np.minimum.at(minimum, group, rows.minimum)
    np.maximum.at(maximum, group, rows.maximum)
    return _settled(count, mean, m2, minimum, maximum)


def _settled(count: Int64, mean: Float64, m2: Float64, minimum: Float64, maximum: Float64) -> Moments:
    constant = minimum == maximum
    return Moments(count, np.where(constant, minimum, mean), np.where(constant, 0.0, m2), minimum, maximum)
