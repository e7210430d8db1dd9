"""Clues that a surge is benign: it goes where it always goes, and it receives in proportion.

In: what a fleet sent to each place by the hour, and what it received. Out: per entity and hour a clue between false and
true, from that hour and the days before it only. A clue is evidence an attacker may share (who sends to a known place,
who also receives), so what it would cost is measured beside what it would save (`surge_study`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_statistics import HOURS, Float32
from ebbtide.series import Float64

#: Closed days that say what is usual.
DAYS = 14
#: A mix is the usual one if this share of the bytes goes where the usual mix would send it, or as much as on the
#: entity's own calmer three quarters of hours.
LEAST_OVERLAP = 0.8
#: Places are known ones if so much of the bytes goes where the entity sent before.
KNOWN_SHARE = 0.95
#: A ratio is the usual one up to this quantile of the entity's own hours.
RATIO_QUANTILE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class Mix:
    """Where one entity sends: `sent` (places, hours) bytes, hours from a UTC midnight on, whole days."""

    sent: Float32

    def usual(self, day: int) -> Float64:
        """Shares (places, 1 + HOURS) over the DAYS before a day: of all hours, then of each hour of day and its
        neighbours. Columns without any bytes are 0.
        """
        before = self.sent[:, max(day - DAYS, 0) * HOURS : day * HOURS].astype(np.float64)
        by_hour = before.reshape(len(before), -1, HOURS).sum(axis=1)
        around = by_hour + np.roll(by_hour, 1, axis=1) + np.roll(by_hour, -1, axis=1)
        columns = np.concatenate([before.sum(axis=1, keepdims=True), around], axis=1)
        total = columns.sum(axis=0)
        shares: Float64 = columns / np.where(total > 0, total, 1.0)
        return shares

    def overlap(self, first: int, last: int, added: Float64 | None = None) -> Float64:
        """How much of each hour's bytes in days [first, last) goes where the usual mix would send it, (hours,).

        The larger of the overlaps with the mix of all hours and of this hour of day; NaN where nothing was sent.
        `added` (places + 1, hours) are bytes on top, the last row to a place that was never met.
        """
        found = np.full((last - first) * HOURS, np.nan)
        for day in range(first, last):
            here = slice((day - first) * HOURS, (day - first + 1) * HOURS)
            sent = self.sent[:, day * HOURS : (day + 1) * HOURS].astype(np.float64)
            total = sent.sum(axis=0)
            if added is not None:
                sent, total = sent + added[:-1, here], total + added[:, here].sum(axis=0)
            shares = sent / np.where(total > 0, total, 1.0)
            usual = self.usual(day)
            alike = np.maximum(
                np.minimum(shares, usual[:, :1]).sum(axis=0), np.minimum(shares, usual[:, 1:]).sum(axis=0)
            )
            found[here] = np.where(total > 0, alike, np.nan)
        return found


def is_known(mix: Mix, first: int, last: int, added: Float64 | None = None) -> NDArray[np.bool_]:
    """Whether each hour's bytes in days [first, last) go, but for 1 - KNOWN_SHARE, to places met on the DAYS before.

    `added` as in `Mix.overlap`. False where nothing was sent.
    """
    found = np.zeros((last - first) * HOURS, np.bool_)
    for day in range(first, last):
        here = slice((day - first) * HOURS, (day - first + 1) * HOURS)
        sent = mix.sent[:, day * HOURS : (day + 1) * HOURS].astype(np.float64)
        total = sent.sum(axis=0)
        if added is not None:
            sent, total = sent + added[:-1, here], total + added[:, here].sum(axis=0)
        met = mix.sent[:, max(day - DAYS, 0) * HOURS : day * HOURS].any(axis=1)
        found[here] = (total > 0) & (sent[met].sum(axis=0) >= KNOWN_SHARE * total)
    return found


def is_usual_mix(overlap: Float64, past: Float64) -> NDArray[np.bool_]:
    """Whether hours' overlaps (hours,) are those of the usual mix, given the overlaps of the hours before (past,)."""
    known = past[np.isfinite(past)]
    line = min(LEAST_OVERLAP, float(np.quantile(known, 0.25))) if len(known) >= HOURS else LEAST_OVERLAP
    return np.nan_to_num(overlap, nan=0.0) >= line


def is_usual_ratio(sent: Float64, received: Float64, past: Float64, floor: float) -> NDArray[np.bool_]:
    """Whether hours are no more lopsided than most of the hours before; `past` are log ratios of those."""
    known = past[np.isfinite(past)]
    if len(known) < HOURS:
        return np.zeros(len(sent), np.bool_)
    return log_ratio(sent, received, floor) <= float(np.quantile(known, RATIO_QUANTILE))


def log_ratio(sent: Float64, received: Float64, floor: float) -> Float64:
    """ln of sent over received, both with the floor added.

    >>> log_ratio(np.array([10.0]), np.array([0.0]), 10.0).round(2)
    array([0.69])
    """
    ratio: Float64 = np.log(sent + floor) - np.log(received + floor)
    return ratio


def known_place(mix: Mix, day: int, draw: float) -> int:
    """The place a draw in [0, 1) picks by its share of the days before, -1 where nothing was sent.

    >>> known_place(Mix(np.array([[1.0] * 48, [3.0] * 48], np.float32)), 1, 0.5)
    1
    """
    shares = mix.usual(day)[:, 0]
    return int(np.searchsorted(np.cumsum(shares), draw, side="right")) if shares.sum() > 0 else -1
