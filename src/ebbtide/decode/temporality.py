"""Counters to deltas. A sample is what was sent over [start, end); a counter only says what was sent since it began.

In come the readings of one body as columns, and the last reading of each series before it; out go deltas. Vectorised
within a body; the state outlives bodies and, exported and imported, restarts. Without it every restart would lose one
interval of every series, or count a counter's whole life as one.

The rules (OpenTelemetry data model, metrics, "Resets and Gaps"; and what sources do in fact):
- first sight of a series is a baseline: its delta is unknown (NaN);
- the counter began after the last reading (start >= last end): it was reset, its reading is the delta since its start;
- the reading is below the last one: it was reset within, its reading is the least that was sent since the last one, and
  is taken as the delta. (OBI restarts idle series from 0 and keeps their start: only the drop shows it. A counter that
  was reset and has passed its old reading since cannot be told from one that went on.)
- a start that moves but lies before the last reading is jitter, not a reset;
- a reading not newer than the last one changes nothing: what it says is part of the newer one's delta;
- a start equal to the time means that the start is unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Float64, Int64

Bool = NDArray[np.bool_]

SERIES_MAX: Final = 2_000_000


class CounterState:
    """The last reading of every counter: series key -> (start_ns, end_ns, reading). Not shared between threads.

    Bounded: above `series_max` the quarter that has been silent longest is dropped and counted in `evicted`; a dropped
    series starts again with a baseline.

    Deltas are only true once they are stored: between `mark` and `keep` or `undo` the state remembers what it was, so
    that a body whose samples could not be kept gives the same deltas when it comes again.
    """

    def __init__(self, *, series_max: int = SERIES_MAX) -> None:
        self.series_max = series_max
        self.evicted = 0
        self._row: dict[int, int] = {}
        self._free: list[int] = []
        self._start: Int64 = np.zeros(1024, np.int64)
        self._end: Int64 = np.zeros(1024, np.int64)
        self._reading: Float64 = np.zeros(1024, np.float64)
        self._undo: list[_Before] | None = None

    def __len__(self) -> int:
        return len(self._row)

    def get(self, key: int) -> tuple[int, int, float] | None:
        """(start_ns, end_ns, reading) of a series, None if it has none."""
        row = self._row.get(key)
        if row is None:
            return None
        return int(self._start[row]), int(self._end[row]), float(self._reading[row])

    def export(self) -> dict[int, tuple[int, int, float]]:
        """Everything, for keeping: series key -> (start_ns, end_ns, reading)."""
        rows = np.fromiter(self._row.values(), np.int64, len(self._row))
        columns = (self._start[rows].tolist(), self._end[rows].tolist(), self._reading[rows].tolist())
        return dict(zip(self._row, zip(*columns, strict=True), strict=True))

    def restore(self, readings: Iterable[tuple[int, tuple[int, int, float]]]) -> None:
        """Take over readings kept elsewhere, as (key, (start_ns, end_ns, reading)); newer ones here win."""
        newest: dict[int, tuple[int, int, float]] = {}
        for key, one in readings:
            known = newest.get(key) or self.get(key)
            if known is None or known[1] < one[1]:
                newest[key] = one
        if newest:
            rows = self._rows_for(list(newest))
            start, end, reading = zip(*newest.values(), strict=True)
            self._start[rows], self._end[rows], self._reading[rows] = start, end, reading
            self._evict()

    def mark(self) -> int:
        """From here on remember what changes; the place to go back to."""
        if self._undo is None:
            self._undo = []
        return len(self._undo)

    def keep(self) -> None:
        """What changed since the first `mark` stands."""
        self._undo = None
        self._evict()

    def undo(self, place: int = 0) -> None:
        """Make everything as it was at this `mark`; marks before it stay."""
        if self._undo is None:
            return
        while len(self._undo) > place:
            before = self._undo.pop()
            known = before.is_known
            for key in before.keys[~known].tolist():
                row = self._row.pop(key, None)
                if row is not None:
                    self._free.append(row)
            rows = self._rows_for(before.keys[known].tolist())
            self._start[rows], self._end[rows] = before.start_ns[known], before.end_ns[known]
            self._reading[rows] = before.reading[known]

    def last(self, keys: list[int]) -> tuple[Bool, Int64, Float64]:
        """For each key: whether there is a reading, its end_ns, the reading; shapes (n,)."""
        rows = np.fromiter((self._row.get(key, -1) for key in keys), np.int64, len(keys))
        return rows >= 0, self._end[rows], self._reading[rows]

    def update(self, keys: list[int], start_ns: Int64, end_ns: Int64, reading: Float64, ended: Bool) -> None:
        """The newest reading of each of these (distinct) series; where `ended`, the series is forgotten."""
        if self._undo is not None:
            self._undo.append(self._before(keys))
        for key in np.asarray(keys, np.int64)[ended].tolist():
            row = self._row.pop(key, None)
            if row is not None:
                self._free.append(row)
        on = ~ended
        rows = self._rows_for(np.asarray(keys, np.int64)[on].tolist())
        self._start[rows], self._end[rows], self._reading[rows] = start_ns[on], end_ns[on], reading[on]
        self._evict()

    def _before(self, keys: list[int]) -> _Before:
        rows = np.fromiter((self._row.get(key, -1) for key in keys), np.int64, len(keys))
        return _Before(np.asarray(keys, np.int64), rows >= 0, self._start[rows], self._end[rows], self._reading[rows])

    def _rows_for(self, keys: list[int]) -> Int64:
        rows = self._row
        for key in keys:
            if key not in rows:
                rows[key] = self._free.pop() if self._free else len(rows)
        while len(rows) + len(self._free) > len(self._end):
            size = 2 * len(self._end)
            self._start, self._end = np.resize(self._start, size), np.resize(self._end, size)
            self._reading = np.resize(self._reading, size)
        return np.fromiter((rows[key] for key in keys), np.int64, len(keys))

    def _evict(self) -> None:
        if len(self._row) <= self.series_max or self._undo is not None:
            return
        keys = np.fromiter(self._row, np.int64, len(self._row))
        rows = np.fromiter(self._row.values(), np.int64, len(self._row))
        drop = len(keys) - (self.series_max * 3) // 4
        oldest = np.argpartition(self._end[rows], drop - 1)[:drop]
        for key in keys[oldest].tolist():
            self._free.append(self._row.pop(key))
        self.evicted += drop


@dataclass(frozen=True, slots=True, eq=False)
class _Before:
    """Readings of distinct series before an update, as columns (n,); where not `is_known` there was none."""

    keys: Int64
    is_known: Bool
    start_ns: Int64
    end_ns: Int64
    reading: Float64


@dataclass(frozen=True, slots=True)
class Deltas:
    """What `count` made of the rows it was given, as columns over those it kept.

    `row` (m,) indexes the input; `start_ns` is where the delta begins; `delta` is NaN at first sight. `late` counts
    readings not newer than one already known.
    """

    row: Int64
    start_ns: Int64
    delta: Float64
    late: int


def count(
    state: CounterState, key: Int64, start_ns: Int64, end_ns: Int64, reading: Float64, ended: Bool, interval_ns: int
) -> Deltas:
    """Deltas of cumulative readings, all columns (n,), in any order; moves `state`.

    `start_ns` is 0 where unknown, below `end_ns` elsewhere; readings are finite and not negative. Where `ended` the
    row is a staleness marker: its series is forgotten and the row is in no result. `interval_ns` dates the start of a
    baseline whose counter does not say when it began. Rows come out by series and time.

    >>> five = np.array([7, 7, 7]); no = np.zeros(3, bool)
    >>> count(CounterState(), five, np.zeros(3, int), np.array([10, 20, 30]), np.array([4.0, 9, 2]), no, 10).delta
    array([nan,  5.,  2.])
    """
    order = np.lexsort((end_ns, key))
    key, end_ns = key[order], end_ns[order]
    first = np.ones(len(key), bool)
    first[1:] = key[1:] != key[:-1]
    group = np.cumsum(first) - 1
    known, last_end, last_reading = state.last(key[first].tolist())
    late = known[group] & (end_ns <= last_end[group])
    late[1:] |= ~first[1:] & (end_ns[1:] == end_ns[:-1])
    n_late = int(np.count_nonzero(late & ~ended[order]))

    order, key, end_ns, group = (column[~late] for column in (order, key, end_ns, group))
    start_ns, reading, ended = start_ns[order], reading[order], ended[order]
    first = np.ones(len(key), bool)
    first[1:] = key[1:] != key[:-1]
    last = np.roll(first, -1)
    before_end = np.where(first, last_end[group], np.roll(end_ns, 1))
    before = np.where(first, last_reading[group], np.roll(reading, 1))
    has_before = np.where(first, known[group], ~np.roll(ended, 1))

    began = (start_ns > 0) & (start_ns >= before_end)
    delta = np.where(began | (reading < before), reading, reading - before)
    since = np.where(began, start_ns, before_end)
    unknown_start = np.where(start_ns > 0, start_ns, end_ns - interval_ns)
    delta = np.where(has_before, delta, np.nan)
    since = np.where(has_before, since, unknown_start)
    state.update(key[last].tolist(), since[last], end_ns[last], reading[last], ended[last])
    kept = ~ended
    return Deltas(order[kept], since[kept], delta[kept], n_late)
