"""Peers that compare an hour's volume with a robust summary of earlier hours.

In: sent bytes on the 5-minute grid, whole days. Out: a score per hour. All summaries are made of closed days, but for
the decomposition, which as shipped runs once a day over the day it judges.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ebbtide.baseline.trailing import block_max, trailing_sums
from ebbtide.series import Float64

PER_HOUR = 12
PER_DAY = 288
MB = 1e6
#: Added to the volume before the logarithm.
FLOOR = 1 * MB
LEAST_SPREAD = 0.1
DECOMPOSED_DAYS = 14


def _log_hours(sent: Float64) -> Float64:
    """Log of each hour's largest hourly sum as (rows, days, 24)."""
    volume = np.log(block_max(trailing_sums(sent, PER_HOUR), PER_HOUR) + FLOOR)
    return volume.reshape(len(sent), -1, 24)


def _median(values: Float64) -> Float64:
    """Median of the known values on the last axis; NaN without any."""
    ordered = np.sort(values, axis=-1)
    known = np.isfinite(ordered).sum(axis=-1)
    low, high = np.maximum(known - 1, 0) // 2, np.minimum(known // 2, values.shape[-1] - 1)
    pick = [np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0] for at in (low, high)]
    middle: Float64 = (pick[0] + pick[1]) / 2
    return middle


def _robust_z(now: Float64, history: Float64) -> Float64:
    """(now - median) / (1.4826 MAD + 0.1) with the history on the last axis; -inf where unknown."""
    middle = _median(history)
    spread = 1.4826 * _median(np.abs(history - middle[..., None])) + LEAST_SPREAD
    z = (now - middle) / spread
    return np.where(np.isfinite(z), z, -np.inf)


def log_mad(sent: Float64) -> Float64:
    """C6: an hour's log volume against median and MAD of all hours of the last 30 days."""
    hours = _log_hours(sent)
    days = hours.shape[1]
    scores = np.full(hours.shape, -np.inf)
    for day in range(1, days):
        history = hours[:, max(0, day - 30) : day].reshape(len(sent), 1, -1)
        scores[:, day] = _robust_z(hours[:, day], history)
    return scores.reshape(len(sent), -1)


def hour_of_week(sent: Float64) -> Float64:
    """C7: an hour's log volume against the same hour of the week, one before and one after, of the last four weeks."""
    hours = _log_hours(sent)
    flat = hours.reshape(len(sent), -1)
    scores = np.full(flat.shape, -np.inf)
    week = 7 * 24
    for day in range(7, hours.shape[1]):
        at = day * 24 + np.arange(24)
        backs = [back * week + off for back in range(1, 5) for off in (-1, 0, 1) if back * week + off <= day * 24]
        places = at[:, None] - np.array(backs)[None, :]
        history = np.where(places >= 0, flat[:, np.maximum(places, 0)], np.nan)
        scores[:, at] = _robust_z(flat[:, at], history)
    return scores


def decomposition(sent: Float64) -> Float64:
    """C5: hourly sums of 14 days less a line and a daily profile; distance above the 90th percentile of what is left.

    As Sentinel's rule: once a day over hourly bins, residuals scored by Tukey's fences on the 10th to 90th percentile
    in units of that range, bytes below 10 MB per hour never count. The range is brought to the width of the quartiles
    of a normal distribution (2.563 to 1.349 deviations), our reading of the documentation.
    Facts from the public rule "Time series anomaly for data size transferred to public internet".
    """
    hour = trailing_sums(sent, PER_HOUR)[:, PER_HOUR - 1 :: PER_HOUR]
    bins = np.where(np.isnan(hour), 0.0, hour)
    width = DECOMPOSED_DAYS * 24
    padded = np.concatenate([np.zeros((len(sent), width - 24)), bins], axis=1)
    windows = sliding_window_view(padded, width, axis=1)[:, ::24]
    scores = np.stack([_decomposed(windows[:, day]) for day in range(windows.shape[1])], axis=1)
    return np.where(bins >= 10 * MB, scores.reshape(len(sent), -1), -np.inf)


def _decomposed(window: Float64) -> Float64:
    """Scores (rows, 24) of the last day of (rows, hours) windows."""
    place = np.arange(window.shape[1]) - (window.shape[1] - 1) / 2
    slope = (window * place).sum(axis=1) / (place**2).sum()
    flat = window - window.mean(axis=1, keepdims=True) - slope[:, None] * place
    profile = flat.reshape(len(window), -1, 24).mean(axis=1)
    rest = flat - np.tile(profile, DECOMPOSED_DAYS)
    low, high = np.percentile(rest, [10, 90], axis=1)
    unit = (high - low) * (1.349 / 2.563)
    last = rest[:, -24:] - high[:, None]
    score: Float64 = last / np.maximum(unit, 1.0)[:, None]
    return score
