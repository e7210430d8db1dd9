"""Learn the record model over a fleet: how often, and by how much, the next day breaks a record.

In: daily maxima of many entities. Out: coefficients of a logistic regression (is it a record) and of an exponential
regression with log link (by how much), both by Newton's method. Needs some 2,000 entity-days; below that the shipped
coefficients are the better guess.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.records import REGRESSORS, RecordModels, latest, regressors, summarise
from ebbtide.baseline.trailing_statistics import Float32
from ebbtide.series import Float64

#: Histories are cut to these many days, so that one model serves all ages.
MATURE_CUTS = (7, 14, 30, 90)
YOUNG_CUTS = (1, 2, 3, 5, 7)
RIDGE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a model is fitted on: regressors (rows, REGRESSORS) and by how much the day passed the record (rows,).

    `over` is negative or 0 where there was no record.
    """

    regressors: Float64
    over: Float64

    @classmethod
    def concat(cls, parts: list[Rows]) -> Self:
        """All rows of several parts."""
        return cls(
            np.concatenate([part.regressors for part in parts]),
            np.concatenate([part.over for part in parts]),
        )


def rows(kept: Float32, seen: Float32, days: range, cuts: tuple[int, ...]) -> Rows:
    """Rows of one statistic: each day of `days` against the history before it, cut to each of `cuts` days.

    `kept` (entities, days) are the daily maxima as the baseline keeps them (bounded), `seen` the same as they came.
    Days not valid, and histories without a valid day, give no row.
    """
    parts = [_rows_of_day(latest(kept[:, :day], cut), seen[:, day]) for day in days for cut in cuts if day > 0]
    return Rows.concat(parts)


def _rows_of_day(history: Float32, value: Float32) -> Rows:
    summary = summarise(history)
    use = (summary.days > 0) & ~np.isnan(value)
    return Rows(regressors(summary)[use], (value - summary.record)[use])


def fit(sample: Rows) -> RecordModels:
    """One model from its rows; arrays (5,) and (6,). A regressor that never varies gets deviation 1 and weight 0."""
    raw = sample.regressors[:, 1:]
    mean, deviation = raw.mean(axis=0), raw.std(axis=0)
    constant = deviation < 1e-9
    deviation = np.where(constant, 1.0, deviation)
    z = np.concatenate([sample.regressors[:, :1], (raw - mean) / deviation], axis=1)
    is_record = sample.over > 0
    return RecordModels(mean, deviation, logistic(z, is_record), exponential(z[is_record], sample.over[is_record]))


def fit_all(kept: Float32, seen: Float32, days: range) -> RecordModels:
    """Young and mature models of every statistic, from daily maxima (entities, statistics, days)."""
    return RecordModels.stack(
        [
            [fit(rows(kept[:, which], seen[:, which], days, cuts)) for cuts in (YOUNG_CUTS, MATURE_CUTS)]
            for which in range(kept.shape[1])
        ]
    )


def logistic(z: Float64, outcome: NDArray[np.bool_], ridge: float = RIDGE, steps: int = 25) -> Float64:
    """Coefficients (REGRESSORS,) of a logistic regression of `outcome` (rows,) on `z` (rows, REGRESSORS).

    The penalty is ridge / 2 times the squares of all but the first coefficient.

    >>> z = np.ones((4, 6)); z[:, 1:] = 0
    >>> logistic(z, np.array([True, False, False, False])).round(3)[0]
    np.float64(-1.099)
    """
    weights = _start(z, np.log((outcome.mean() + 1e-6) / (1.0 - outcome.mean() + 1e-6)))
    penalty = _penalty(z, ridge)
    for _ in range(steps):
        chance = 1.0 / (1.0 + np.exp(-np.clip(z @ weights, -30.0, 30.0)))
        slope = z.T @ (outcome - chance) - penalty * weights
        curve = (z * (chance * (1.0 - chance))[:, None]).T @ z + np.diag(penalty)
        weights = weights + _step(curve, slope)
    return weights


def exponential(z: Float64, excess: Float64, ridge: float = RIDGE, steps: int = 50) -> Float64:
    """Coefficients (REGRESSORS,) of the log of the mean of exponentially distributed `excess` (rows,) given `z`.

    Without rows all coefficients are 0, a mean excess of one nat.

    >>> z = np.ones((2, 6)); z[:, 1:] = 0
    >>> exponential(z, np.array([1.0, 3.0])).round(3)[0]
    np.float64(0.693)
    """
    if not len(excess):
        return np.zeros(REGRESSORS)
    weights = _start(z, np.log(excess.mean() + 1e-6))
    penalty = _penalty(z, ridge)
    for _ in range(steps):
        relative = excess * np.exp(-np.clip(z @ weights, -30.0, 30.0))
        slope = z.T @ (relative - 1.0) - penalty * weights
        curve = (z * relative[:, None]).T @ z + np.diag(penalty)
        weights = weights + _step(curve, slope)
    return weights


def _start(z: Float64, constant: float) -> Float64:
    weights = np.zeros(z.shape[1])
    weights[0] = constant
    return weights


def _penalty(z: Float64, ridge: float) -> Float64:
    penalty = np.full(z.shape[1], ridge)
    penalty[0] = 0.0
    return penalty


def _step(curve: Float64, slope: Float64) -> Float64:
    """A Newton step, held to length 1 per coefficient: far from the optimum the exponential's curve is nearly flat."""
    return np.clip(np.linalg.solve(curve + 1e-9 * np.eye(len(slope)), slope), -1.0, 1.0)
