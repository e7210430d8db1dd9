"""The clues laid over arrays of the laboratory: it goes where it always goes, and it receives in proportion.

In: what a fleet sent to each place by the hour, and what it received. Out: per entity and hour a clue between false and
true, from that hour and the days before it only. A clue is evidence an attacker may share (who sends to a known place,
who also receives), so what it would cost is measured beside what it would save (`surge_study`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_statistics import HOURS, Float32
from ebbtide.detect.outbound_clues import CLUES, SentMix, clues, sent_mix, usual_line, usual_shares
from ebbtide.series import Float64

#: Closed days that say what is usual.
DAYS = CLUES.days
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
        return usual_shares(np.zeros(len(before), np.int64), 1, by_hour)

    def mix(self, first: int, last: int, added: Float64 | None = None) -> SentMix:
        """Where each hour's bytes in days [first, last) went, (hours,) each.

        `added` (places + 1, hours) are bytes on top, the last row to a place that was never met.
        """
        parts = [self._day(day, None if added is None else added[:, _hours(day - first)]) for day in range(first, last)]
        return SentMix(*(np.concatenate([getattr(one, name) for one in parts]) for name in SentMix.__slots__))

    def _day(self, day: int, added: Float64 | None) -> SentMix:
        places = len(self.sent)
        sent = np.zeros((places + 1, HOURS))
        sent[:places] = self.sent[:, _hours(day)]
        if added is not None:
            sent += added
        shares = np.zeros((places + 1, 1 + HOURS))
        shares[:places] = self.usual(day)
        met = np.append(self.sent[:, max(day - DAYS, 0) * HOURS : day * HOURS].any(axis=1), False)
        hour = np.tile(np.arange(HOURS), places + 1)
        usual = np.stack([np.repeat(shares[:, 0], HOURS), shares[:, 1:].ravel()], axis=1)
        return sent_mix(hour, HOURS, sent.ravel(), usual, np.repeat(met, HOURS))

    def overlap(self, first: int, last: int, added: Float64 | None = None) -> Float64:
        """How much of each hour's bytes in days [first, last) goes where the usual mix would send it, (hours,).

        `added` as in `mix`; NaN where nothing was sent.
        """
        return self.mix(first, last, added).overlap


def _hours(day: int) -> slice:
    return slice(day * HOURS, (day + 1) * HOURS)


def is_known(mix: Mix, first: int, last: int, added: Float64 | None = None) -> NDArray[np.bool_]:
    """Whether each hour's bytes in days [first, last) go, but for little, to places met on the DAYS before.

    `added` as in `Mix.mix`. False where nothing was sent.
    """
    found = mix.mix(first, last, added)
    return clues(found.total, found, np.full(found.total.shape, CLUES.least_overlap)).known_places


def is_usual_mix(overlap: Float64, past: Float64) -> NDArray[np.bool_]:
    """Whether hours' overlaps (hours,) are those of the usual mix, given the overlaps of the hours before (past,)."""
    is_usual: NDArray[np.bool_] = np.nan_to_num(overlap, nan=0.0) >= usual_line(past[None])[0]
    return is_usual


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
