"""Clues that a surge is benign: it goes where the entity always sends. Their nats are taken off the score.

In: what entities sent to each place, this hour and by the hour over closed days. Out: two clues per pair of entity and
metric, each known or not. Bytes to a place never met can only take a clue away, so they never make a score smaller; who
sends to known places shares the clue, and what that costs is measured in docs/quality.md. An entity whose source names
no destinations has no clue.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.series import Float64, Int64

#: Columns of usual shares: of all hours, then of each hour of day.
COLUMNS = 1 + HOURS
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ClueOptions:
    """What can be set about the clues; the figures behind the defaults are in docs/quality.md.

    `known_places`, `usual_mix`  nats each clue takes off the score where it holds; 0 switches it off.
    `days`                    closed days that say what is usual.
    `known_share`             places are known ones if so much of the hour's bytes goes where the entity sent before.
    `least_overlap`           a mix is the usual one if so much of the bytes goes where the usual mix would send it,
    `calm_share`              or as much as on all but this share of the entity's own hours in those days,
    `least_hours`             of which so many must be known.
    `shipped_shift`           nats added to the score of who has a usual mix while the scale that ships is used: it was
                              learned without destinations, where clues could only quiet.
    `shift_from`              but only for hours of at least this share of the metric's floor: a record that is broken
                              by a kilobyte is none.
    `most_places`             so many places of an entity, the largest, are in its usual mix; the others are only known.
    """

    known_places: float = 2.0
    usual_mix: float = 2.0
    days: int = 14
    known_share: float = 0.95
    least_overlap: float = 0.8
    calm_share: float = 0.25
    least_hours: int = HOURS
    most_places: int = 32
    shipped_shift: float = 2.5
    shift_from: float = 0.05


#: The clues that ship.
CLUES = ClueOptions()


def clue_share(options: ClueOptions) -> float:
    """What these clues can take off, as a share of what those that ship can; at most 1.

    >>> clue_share(ClueOptions()), clue_share(ClueOptions(known_places=0))
    (1.0, 0.5)
    """
    return min((options.known_places + options.usual_mix) / (CLUES.known_places + CLUES.usual_mix), 1.0)


def usual_shares(group: Int64, groups: int, by_hour: Float64) -> Float64:
    """Shares (rows, COLUMNS) of each group's bytes that each row has: of all hours, then of each hour of day.

    `by_hour` (rows, HOURS) are bytes of one place by hour of day; an hour of day counts its two neighbours too. A
    column in which a group has no bytes is 0.

    >>> usual_shares(np.array([0, 0]), 1, np.array([[3.0] * 24, [1.0] * 24]))[:, 0]
    array([0.75, 0.25])
    """
    around = by_hour + np.roll(by_hour, 1, axis=1) + np.roll(by_hour, -1, axis=1)
    columns = np.concatenate([by_hour.sum(axis=1, keepdims=True), around], axis=1)
    total = np.zeros((groups, COLUMNS))
    np.add.at(total, group, columns)
    shares: Float64 = columns / np.where(total > 0, total, 1.0)[group]
    return shares


@dataclass(frozen=True, slots=True, eq=False)
class SentMix:
    """Where hours' bytes went, each of the same shape: `total` bytes, how many of them to places never met before
    (`unfamiliar`), and `overlap`, the share that went where the usual mix would send it (NaN where nothing was sent).
    """

    total: Float64
    unfamiliar: Float64
    overlap: Float64


def sent_mix(cell: Int64, cells: int, sent: Float64, usual: Float64, is_met: Bools) -> SentMix:
    """The mix of each cell (an hour of an entity), from rows of what it sent to one place each.

    `sent` (rows,) bytes, `usual` (rows, 2) the place's usual shares of all hours and of this hour of day, 0 where it is
    not in the usual mix; the larger of the two overlaps counts. Results are (cells,).

    >>> usual = np.array([[0.5, 0.9], [0.0, 0.0]])
    >>> mix = sent_mix(np.array([0, 0]), 1, np.array([6.0, 2.0]), usual, np.array([True, False]))
    >>> mix.unfamiliar, mix.overlap
    (array([2.]), array([0.75]))
    """
    total = _sum(cell, sent, cells)
    share = sent / np.where(total > 0, total, 1.0)[cell]
    alike = np.maximum(*(_sum(cell, np.minimum(share, usual[:, column]), cells) for column in range(2)))
    return SentMix(total, _sum(cell, np.where(is_met, 0.0, sent), cells), np.where(total > 0, alike, np.nan))


def _sum(cell: Int64, values: Float64, cells: int) -> Float64:
    return np.bincount(cell, values, cells).astype(np.float64)


def usual_line(past: Float64, options: ClueOptions = CLUES) -> Float64:
    """From what overlap on an hour has the usual mix, (entities,): `past` (entities, hours) overlaps, NaN unknown.

    >>> usual_line(np.array([[0.9] * 24, [0.5] * 24, [0.5] * 23 + [np.nan]]))
    array([0.8, 0.5, 0.8])
    """
    ordered = np.sort(past, axis=1)
    known = np.isfinite(ordered).sum(axis=1)
    if not past.shape[1]:
        return np.full(len(past), options.least_overlap)
    at = options.calm_share * np.maximum(known - 1, 0)
    low = np.floor(at).astype(np.int64)
    row = np.arange(len(past))
    below, above = ordered[row, low], ordered[row, np.minimum(low + 1, np.maximum(known - 1, 0))]
    calm = below + (above - below) * (at - low)
    return np.where(known >= options.least_hours, np.fmin(calm, options.least_overlap), options.least_overlap)


@dataclass(frozen=True, slots=True, eq=False)
class Clues:
    """Which clues hold, of one shape: `known_places` and `usual_mix`."""

    known_places: Bools
    usual_mix: Bools

    def nats(self, options: ClueOptions) -> Float64:
        """What they take off the score."""
        known = np.where(self.known_places, options.known_places, 0.0)
        off: Float64 = known + np.where(self.usual_mix, options.usual_mix, 0.0)
        return off


def clues(own: Float64, mix: SentMix, line: Float64, options: ClueOptions = CLUES) -> Clues:
    """The clues of hours in which `own` bytes of the metric in question were sent, all of one shape.

    What is unusual about where all of an entity's bytes go is held against the metric's own bytes alone, so that little
    to a new place by one protocol does not hide behind much by another. `line` NaN, or nothing sent: no clue.
    """
    sent = np.minimum(own, mix.total)
    is_sending = (sent > 0) & np.isfinite(line)
    known = is_sending & (sent - mix.unfamiliar >= options.known_share * sent)
    apart = (1.0 - mix.overlap) * mix.total / np.where(sent > 0, sent, 1.0)
    overlap = np.where(sent >= mix.total, mix.overlap, 1.0 - apart)
    return Clues(known, is_sending & (np.nan_to_num(overlap, nan=0.0) >= line))
