"""The two strategies of Grafana's anomaly detection rules for Prometheus, carried to 5-minute samples.

Facts taken from grafana/promql-anomaly-detection, rules/adaptive.yml and rules/robust.yml: windows, multipliers and how
the bands combine. An alert holds for 5 minutes: two samples in a row. The score is the log of level over upper band, so
0 is the line as shipped. Those rules leave out samples of 0. The robust strategy does so here too; the adaptive one
keeps them, which is kinder to it: a burst out of silence is otherwise its own mean (recall 0.45 in place of 0.69).
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ebbtide.baseline.trailing import block_max
from ebbtide.lab.peers_series import PER_DAY, PER_HOUR
from ebbtide.series import Float64

MULTIPLIER = 2.0
MARGIN = 0.5
#: Variation below this share of the mean is not taken into the adaptive band.
LEAST_VARIATION = 0.5
SMOOTH_STEPS = 26 * PER_HOUR
DAY_BEFORE = 282  # 23 h 30 min
WEEK_BEFORE = 2010  # 167 h 30 min
ROBUST_DAY_BEFORE = 285  # 23 h 45 min
ROBUST_WEEK_BEFORE = 2013  # 167 h 45 min


def adaptive_bands(sent: Float64) -> Float64:
    """C3: a sample against the hour's mean and smoothed deviation, and the hour a day and a week ago."""
    level = sent
    mean, deviation = _rolling_moments(level, PER_HOUR)
    varied = np.where(deviation > LEAST_VARIATION * mean, deviation, np.nan)
    smooth, _ = _rolling_moments(varied, SMOOTH_STEPS)
    bands = [mean + MULTIPLIER * smooth, mean * (1 + MARGIN)]
    bands += [_shift(mean + MULTIPLIER * deviation, back) for back in (DAY_BEFORE, WEEK_BEFORE)]
    return _hourly_excess(level, bands)


def robust_bands(sent: Float64) -> Float64:
    """C4: the hour's median against median and MAD of a day, and of the hour a day and a week ago.

    The day's median and MAD are renewed once an hour.
    """
    level = np.where(sent > 0, sent, np.nan)
    hour = _rolling_median(level, PER_HOUR, 1)
    day = np.repeat(_rolling_median(level, PER_DAY, PER_HOUR), PER_HOUR, axis=1)
    spread = np.repeat(_rolling_median(np.abs(level - day), PER_DAY, PER_HOUR), PER_HOUR, axis=1)
    hour_spread = _rolling_median(np.abs(level - hour), PER_HOUR, 1)
    bands = [day + MULTIPLIER * spread, day * (1 + MARGIN)]
    bands += [_shift(hour + MULTIPLIER * hour_spread, back) for back in (ROBUST_DAY_BEFORE, ROBUST_WEEK_BEFORE)]
    return _hourly_excess(hour, bands)


def _hourly_excess(level: Float64, bands: list[Float64]) -> Float64:
    """Log of level over the highest known band, held for two samples, the largest of each hour; -inf where unknown."""
    highest = np.stack([np.where(np.isnan(band), -np.inf, band) for band in bands]).max(axis=0)
    usable = np.isfinite(highest) & (highest > 0) & (level > 0)
    excess = np.where(usable, np.log(np.where(usable, level, 1.0) / np.where(usable, highest, 1.0)), -np.inf)
    held = np.full_like(excess, -np.inf)
    held[:, 1:] = np.minimum(excess[:, 1:], excess[:, :-1])
    hourly = block_max(np.where(np.isneginf(held), np.nan, held), PER_HOUR)
    return np.where(np.isnan(hourly), -np.inf, hourly)


def _shift(values: Float64, steps: int) -> Float64:
    shifted = np.full_like(values, np.nan)
    shifted[:, steps:] = values[:, :-steps]
    return shifted


def _rolling_moments(values: Float64, width: int) -> tuple[Float64, Float64]:
    """Mean and population deviation of the known values of the last `width` steps; NaN without any."""
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    padding = ((0, 0), (width - 1, 0))
    counts, totals, squares = (
        sliding_window_view(np.pad(part, padding), width, axis=1).sum(axis=-1)
        for part in (known.astype(float), filled, filled**2)
    )
    n = np.where(counts > 0, counts, np.nan)
    mean = totals / n
    return mean, np.sqrt(np.maximum(squares / n - mean**2, 0.0))


def _rolling_median(values: Float64, width: int, every: int) -> Float64:
    """Median of the known values of the last `width` steps, at each `every`-th step; NaN without any."""
    padded = np.pad(values, ((0, 0), (width - 1, 0)), constant_values=np.nan)
    windows = sliding_window_view(padded, width, axis=1)[:, every - 1 :: every]
    result = np.empty(windows.shape[:2])
    for row in range(len(values)):
        ordered = np.sort(windows[row], axis=-1)
        known = np.isfinite(ordered).sum(axis=-1)
        place = np.arange(len(ordered))
        low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, width - 1)
        result[row] = (ordered[place, low] + ordered[place, high]) / 2
    return result
