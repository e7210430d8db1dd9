"""C8, DSPOT: peaks over a threshold of the drift-free signal, and the chance of a value under their tail.

Source: Siffer, Fouque, Termier, Largouet, KDD 2017 (depth, initial level 98 %, risk q). The generalised Pareto tail is
fitted once a day to the last 30 days by the method of moments, in place of a fit at every peak by maximum likelihood.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ebbtide.lab.peers_series import PER_DAY, PER_HOUR
from ebbtide.series import Float64

LEVEL = 98.0
WINDOW_DAYS = 30
LEAST_PEAKS = 10


def drifting_tail(sent: Float64) -> Float64:
    """-ln of the chance that a sample less the mean of the day before it is this large, the largest of each hour.

    The line as shipped, q = 1e-4, is 9.2. -inf where fewer than ten peaks are known.
    """
    rest = sent - _mean_before(sent)
    days = sent.shape[1] // PER_DAY
    scores = np.full(sent.shape, -np.inf)
    for day in range(1, days):
        today = slice(day * PER_DAY, (day + 1) * PER_DAY)
        past = rest[:, max(0, day - WINDOW_DAYS) * PER_DAY : day * PER_DAY]
        scores[:, today] = _tail_surprise(rest[:, today], past)
    hourly: Float64 = scores.reshape(len(sent), -1, PER_HOUR).max(axis=-1)
    return hourly


def _mean_before(sent: Float64) -> Float64:
    """Mean of the known samples of the day before each step; NaN without any."""
    known = np.isfinite(sent)
    padding = ((0, 0), (PER_DAY, 0))
    count, total = (
        sliding_window_view(np.pad(part, padding)[:, :-1], PER_DAY, axis=1).sum(axis=-1)
        for part in (known.astype(float), np.where(known, sent, 0.0))
    )
    mean: Float64 = total / np.where(count > 0, count, np.nan)
    return mean


def _tail_surprise(now: Float64, past: Float64) -> Float64:
    known = np.isfinite(past)
    n = known.sum(axis=1)
    ordered = np.sort(past, axis=1)  # NaN last
    at = np.clip((LEVEL / 100.0 * n).astype(int), 0, past.shape[1] - 1)
    level = ordered[np.arange(len(past)), at]
    over = np.where(known, past - level[:, None], 0.0)
    peaks = over > 0
    count = peaks.sum(axis=1)
    mean = np.where(peaks, over, 0.0).sum(axis=1) / np.maximum(count, 1)
    variance = (np.where(peaks, over - mean[:, None], 0.0) ** 2).sum(axis=1) / np.maximum(count - 1, 1)
    shape = np.maximum(0.5 * (1.0 - mean**2 / np.maximum(variance, 1.0)), -1.0)  # equal peaks would give any number
    scale = np.maximum(mean * (1.0 - shape), 1e-9)
    usable = count >= LEAST_PEAKS
    return _log_tail(now, level, shape, scale, np.where(usable, count / np.maximum(n, 1), np.nan))


def _log_tail(now: Float64, level: Float64, shape: Float64, scale: Float64, share: Float64) -> Float64:
    excess = np.maximum(np.nan_to_num(now - level[:, None], nan=0.0), 0.0) / scale[:, None]
    bent = np.abs(shape) > 1e-6
    divisor = np.where(bent, shape, 1.0)[:, None]
    inside = np.maximum(1.0 + shape[:, None] * excess, 1e-12)  # beyond the end of a bounded tail
    nats = np.where(bent[:, None], np.log(inside) / divisor, excess) - np.log(np.where(share > 0, share, 1.0))[:, None]
    usable = (share > 0)[:, None] & np.isfinite(now) & (now > level[:, None])
    return np.where(usable, nats, -np.inf)
