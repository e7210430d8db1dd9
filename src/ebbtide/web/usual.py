"""What is usual for an entity hour by hour, for charts and heat maps: plain order statistics a reader can check.

Pure: arrays in, arrays out. This is for looking, not for judging: what a detection compared with stands in its
findings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ebbtide.series import HOUR_NS, Float64, Int64

#: The band is drawn between these percentiles of the same hour of the day.
LOW, HIGH = 10.0, 90.0
#: With fewer days than this there is no band: it would only repeat what is there.
FEWEST_DAYS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Band:
    """Per hour the 10th and 90th percentile of the same hour of the day, (n,); NaN where too few days are known."""

    lower: Float64
    upper: Float64


def band(start_ns: Int64, sent: Float64) -> Band:
    """The usual band of hours that start at `start_ns`, from all of `sent` (NaN: not heard), both (n,).

    >>> hours = np.arange(24 * 5) * HOUR_NS
    >>> band(hours, np.repeat([1.0, 2.0, 3.0, 4.0, 5.0], 24)).upper[0].round(6)
    np.float64(4.6)
    """
    of_day = start_ns // HOUR_NS % 24
    lower, upper = np.full(len(sent), np.nan), np.full(len(sent), np.nan)
    for hour in range(24):
        at = of_day == hour
        known = sent[at][~np.isnan(sent[at])]
        if len(known) >= FEWEST_DAYS:
            lower[at], upper[at] = np.percentile(known, [LOW, HIGH])
    return Band(lower, upper)


def week(start_ns: Int64, sent: Float64) -> Float64:
    """Mean of what was sent in each hour of the week, (7, 24) from Monday 00 UTC on; NaN where nothing is known.

    >>> week(np.array([4 * 24 * HOUR_NS]), np.array([7.0]))[0, 0]
    np.float64(7.0)
    """
    # Day 0 of the epoch was a Thursday.
    at = (start_ns // HOUR_NS + 3 * 24) % 168
    known = ~np.isnan(sent)
    total = np.bincount(at[known], sent[known], 168)
    count = np.bincount(at[known], minlength=168)
    mean = np.full(168, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean.reshape(7, 24)


def levels(mean: Float64, count: int = 6) -> list[list[int | None]]:
    """For each cell of a heat map its shade: 0 nothing, 1 to `count` by rank among what is above nothing.

    By rank, because one large hour would leave all others pale.
    """
    above = np.sort(mean[mean > 0])
    shades: list[list[int | None]] = []
    for row in mean.tolist():
        line: list[int | None] = []
        for value in row:
            if np.isnan(value):
                line.append(None)
            elif value <= 0:
                line.append(0)
            else:
                rank = int(np.searchsorted(above, value, side="right"))
                line.append(min(count, 1 + (rank - 1) * count // len(above)))
        shades.append(line)
    return shades
