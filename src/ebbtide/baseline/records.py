"""How surprising is today's largest value, given the largest of each day before: a record model learned over a fleet.

In: daily maxima of a statistic over some window of days. Out: the record, the chance that the next day breaks it, and
by how much if it does; from these a surprise in nats for any value. A fixed rate (1 in n + 1) and one scale for all
would cost up to ten points of recall at the smallest budgets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_statistics import Float32
from ebbtide.series import Float64

#: Below this many valid days the young model speaks.
MATURE_DAYS = 10
RECENT_DAYS = 7
#: Records are counted from the fourth valid day on: before it nearly every day is one.
FIRST_COUNTED = 4
#: Regressors of the record model, the constant first.
REGRESSORS = 6
YOUNG, MATURE = 0, 1
LOG2 = float(np.log(2.0))


@dataclass(frozen=True, slots=True, eq=False)
class RecordSummary:
    """What the record model needs of a window of daily maxima; every field has the window's shape without its days.

    `days` valid days m, `record` their largest (NaN when m is 0), `scale` the second L-moment (0 below two days),
    `gap` largest minus second largest (0 below two days), `excess_count` how many values from the fourth on exceeded
    all before them, `age` record minus the largest of the last seven valid days.
    """

    days: NDArray[np.int64]
    record: Float64
    scale: Float64
    gap: Float64
    excess_count: NDArray[np.int64]
    age: Float64


def summarise(maxima: Float32) -> RecordSummary:
    """Summary of windows of daily maxima (..., days), oldest first, NaN where a day is not valid.

    Source of the second L-moment: Hosking 1990, J. R. Statist. Soc. B 52, 105-124.

    >>> s = summarise(np.array([[1, 2, np.nan, 4, 3, 7]], np.float32))
    >>> [a.item() for a in (s.days, s.record, s.scale.round(3), s.gap, s.excess_count, s.age)]
    [5, 7.0, 1.4, 3.0, 1, 0.0]
    """
    valid = ~np.isnan(maxima)
    days = valid.sum(axis=-1)
    ordered = np.sort(maxima, axis=-1).astype(np.float64)
    record, second = _ranked(ordered, days - 1), _ranked(ordered, days - 2)
    two = days >= 2
    values = np.where(valid, maxima, -np.inf).astype(np.float64)
    before = np.full_like(values, -np.inf)
    before[..., 1:] = np.maximum.accumulate(values, axis=-1)[..., :-1]
    rank = np.cumsum(valid, axis=-1)
    recent = valid & (rank > (days - RECENT_DAYS)[..., None])
    latest = np.where(recent, values, -np.inf).max(axis=-1)
    return RecordSummary(
        days,
        record,
        _second_l_moment(ordered, days),
        np.where(two, record - second, 0.0),
        (valid & (values > before) & (rank >= FIRST_COUNTED)).sum(axis=-1),
        np.where(days > 0, record - latest, 0.0),
    )


def latest(maxima: Float32, days: int) -> Float32:
    """The last `days` valid values of (..., kept), oldest first; NaN in front where there are fewer.

    >>> latest(np.array([[1.0, 2.0, np.nan, 4.0]], np.float32), 3)
    array([[1., 2., 4.]], dtype=float32)
    """
    order = np.argsort(~np.isnan(maxima), axis=-1, kind="stable")
    kept: Float32 = np.take_along_axis(maxima, order[..., -days:], axis=-1)
    return kept


def _ranked(ordered: Float64, rank: NDArray[np.int64]) -> Float64:
    picked: Float64 = np.take_along_axis(ordered, np.maximum(rank, 0)[..., None], axis=-1)[..., 0]
    known: Float64 = np.where(rank >= 0, picked, np.nan)
    return known


def _second_l_moment(ordered: Float64, days: NDArray[np.int64]) -> Float64:
    """sum_j (2j - m + 1) x_(j) / (m (m - 1)) over the m known values in ascending order; 0 for m below 2."""
    m = days[..., None]
    place = np.arange(ordered.shape[-1])
    weights = np.where(place < m, 2 * place - m + 1, 0)
    total = (weights * np.where(place < m, ordered, 0.0)).sum(axis=-1)
    moment: Float64 = np.maximum(total / np.maximum(days * (days - 1), 1), 0.0)
    return moment


def bound(value: Float32, recent: RecordSummary, scales: float = 3.0, least_days: int = 10) -> Float32:
    """A day's maximum, held at `scales` scales above the record of the last 30 days: bounded influence.

    One huge day, an attack included, lifts the record by no more; a lasting change is accepted in a few days. Below
    `least_days` valid days nothing is held; NaN stays NaN. The scale is l2 / ln 2 + 0.12, in nats.

    >>> recent = summarise(np.zeros((1, 30), np.float32))
    >>> bound(np.array([5.0], np.float32), recent).round(2)
    array([0.36], dtype=float32)
    """
    limit = recent.record + scales * (recent.scale / LOG2 + 0.12)
    held = np.minimum(value, np.where(recent.days >= least_days, limit, np.inf))
    return held.astype(np.float32)


def regressors(summary: RecordSummary) -> Float64:
    """The record model's inputs (..., REGRESSORS), before standardisation.

    1, ln(m / 30), ln(l2 / ln 2 + 0.05), ln(gap + 0.05), ln((q + 0.5) / (ln(max(m, 4) / 3) + 0.5)), ln(age + 0.05).
    """
    m = np.maximum(summary.days, 1)
    expected = np.log(np.maximum(m, 4) / 3) + 0.5
    columns = (
        np.ones(m.shape),
        np.log(m / 30),
        np.log(summary.scale / LOG2 + 0.05),
        np.log(summary.gap + 0.05),
        np.log((summary.excess_count + 0.5) / expected),
        np.log(summary.age + 0.05),
    )
    return np.stack(columns, axis=-1)


@dataclass(frozen=True, slots=True, eq=False)
class RecordModels:
    """One record model per statistic and age (`YOUNG`, `MATURE`): arrays (statistics, 2, ...).

    `mean` and `deviation` (..., 5) standardise all regressors but the constant; `rate` (..., 6) are the coefficients b
    of the logit of a record, `excess` (..., 6) the coefficients c of the log of its mean excess.
    """

    mean: Float64
    deviation: Float64
    rate: Float64
    excess: Float64

    @classmethod
    def stack(cls, models: list[list[RecordModels]]) -> Self:
        """One object from single models [statistic][age], each with arrays (5,) and (6,)."""
        return cls(
            *(
                np.array([[getattr(one, name) for one in row] for row in models])
                for name in ("mean", "deviation", "rate", "excess")
            )
        )

    def single(self, statistic: int, age: int) -> RecordModels:
        """One model of it, with arrays (5,) and (6,)."""
        return RecordModels(
            self.mean[statistic, age], self.deviation[statistic, age], self.rate[statistic, age],
            self.excess[statistic, age],
        )  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What the next day is expected to bring: `chance` of a record and mean `excess` in nats if it comes."""

    chance: Float64
    excess: Float64


def forecast(summary: RecordSummary, models: RecordModels) -> Forecast:
    """The next day's chance of a record, 1 / (1 + exp(-b.z)), and its mean excess, exp(c.z).

    `summary` has shape (entities, statistics); so have the results. The log of the excess is held in [-5, 3]. Where
    there is no valid day at all the result has no meaning.
    """
    age = (summary.days >= MATURE_DAYS).astype(np.int64)
    which = np.arange(models.rate.shape[0])[None, :]
    z = regressors(summary)
    z[..., 1:] = (z[..., 1:] - models.mean[which, age]) / models.deviation[which, age]
    logit = (models.rate[which, age] * z).sum(axis=-1)
    log_excess = np.clip((models.excess[which, age] * z).sum(axis=-1), -5.0, 3.0)
    return Forecast(1.0 / (1.0 + np.exp(-logit)), np.exp(log_excess))


def surprise(values: Float32, maxima: Float32, summary: RecordSummary, expected: Forecast) -> Float64:
    """How surprising each value is for one day, in nats: exp of it is the return period in days.

    `values` is (entities, statistics, instants), `maxima` (entities, statistics, days) the window the summary and the
    forecast (entities, statistics) were made of. Above the record: -ln pi + (x - record) / sigma. Else
    -ln(pi + (1 - pi) k / m), k days of m having reached x. A missing value, or a window without a valid day, is 0.
    """
    reached = np.zeros(values.shape, np.int16)
    for day in range(maxima.shape[-1]):
        reached += maxima[..., day, None] >= values
    return _nats(values, reached, summary, expected)


def _nats(values: Float32, reached: NDArray[np.int16], summary: RecordSummary, expected: Forecast) -> Float64:
    chance, excess = expected.chance[..., None], expected.excess[..., None]
    over = values - summary.record[..., None]
    share = reached / np.maximum(summary.days, 1)[..., None]
    nats = -np.log(chance + (1.0 - chance) * share)
    nats += np.where(over > 0, over, 0.0) / excess
    return np.where(np.isnan(values) | (summary.days == 0)[..., None], 0.0, np.maximum(nats, 0.0))
