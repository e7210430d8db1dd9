"""What every pair sent and received over the last 1, 6 and 24 hours, as of an instant.

Full hours come from summaries, the ends from samples by pieces of time that are kept; a sample that reaches over the
beginning counts with the part of it that lies inside. So a tick reads what came since the one before, the first of all
three hours of samples at most, and the sums are those of the minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np

from ebbtide.baseline.trailing_statistics import WINDOW_HOURS
from ebbtide.series import HOUR_NS, MINUTE_NS, Float64, Int32
from ebbtide.store.identity import Identity
from ebbtide.store.piece_sums import PairSums, PieceReading
from ebbtide.store.pieces import Piece, cut
from ebbtide.store.segments import CommittedSegments

#: How long a sample may be that reaches over the beginning of a window; a longer one is a catch-up, and counts whole.
_REACH_NS = 10 * MINUTE_NS
_SIDES = ("sent", "received")
_PAIR_COLUMNS = ("entity", "metric", *_SIDES)


@dataclass(frozen=True, slots=True, eq=False)
class TrailingSums:
    """Rows of pairs that sent or received anything in 24 hours.

    `sent` and `received` are (rows, windows) in the metric's unit; pairs ascend by entity, then metric.
    `covered` is, per cluster, the known share of each window (windows,), 0 to 1; a cluster never heard is missing.
    """

    entity: Int32
    metric: Int32
    sent: Float64
    received: Float64
    covered: dict[str, Float64]


class TrailingReading:
    """Reads trailing sums."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments, pieces: PieceReading
    ) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments
        self._pieces = pieces

    def at(self, now_ns: int, metrics: list[int]) -> TrailingSums:
        """Sums of some metrics (by number) over (now - window, now], from samples that end by `now_ns`."""
        windows = [_Window.of(now_ns, hours) for hours in WINDOW_HOURS]
        pieces = sorted({piece for window in windows for piece in window.pieces})
        held = dict(zip(pieces, self._pieces.pairs(pieces, metrics), strict=True))
        # A sample that reaches over the beginning is cut there: its piece is read sample by sample.
        whole = [[p for p in window.pieces if held[p].earliest_ns >= window.left_ns] for window in windows]
        apart = [window.apart(set(of)) for window, of in zip(windows, whole, strict=True)]
        rows = self._con.execute(self._sql(now_ns, windows, apart, metrics)).fetchnumpy()
        sums = _Sums(max(len(self._identity.metrics), 1), len(windows))
        entity, metric = np.asarray(rows["entity"], np.int32), np.asarray(rows["metric"], np.int32)
        for at in range(len(windows)):
            sent, received = (np.asarray(rows[f"{what}{at}"], np.float64) for what in _SIDES)
            sums.add((at,), entity, metric, sent, received)
        used: dict[tuple[int, ...], list[PairSums]] = {}
        for piece in pieces:
            used.setdefault(tuple(at for at, of in enumerate(whole) if piece in of), []).append(held[piece])
        for those, parts in used.items():
            sums.add(those, *(np.concatenate([getattr(one, name) for one in parts]) for name in _PAIR_COLUMNS))
        return sums.close(self._covered(now_ns))

    def _sql(self, now_ns: int, windows: list[_Window], apart: list[list[_Apart]], metrics: list[int]) -> str:
        """Rows (entity, metric, sent and received of each window) of full hours and of samples read one by one. One
        statement over few tables: planning it is what takes the time, so samples are read once for all windows and
        both sides.
        """
        at = range(len(windows))
        wanted = f"metric IN ({', '.join(map(str, metrics)) or 'NULL'})"
        nothing = ", ".join("0.0" for _ in at)
        full = ", ".join(
            f"CASE WHEN hour >= {window.first} THEN {what} ELSE 0.0 END AS {what}{place}"
            for what in _SIDES
            for place, window in enumerate(windows)
        )
        sums = ", ".join(f"sum({what}{place}) AS {what}{place}" for what in _SIDES for place in at)
        first, last = min(window.first for window in windows), now_ns // HOUR_NS
        hours = f"SELECT entity, metric, {full} FROM hours WHERE hour >= {first} AND hour < {last} AND {wanted}"
        grouped = f"SELECT entity, metric, {sums} FROM ({{}}) GROUP BY entity, metric"
        spans = _merged([one.span for of in apart for one in of])
        if not spans:
            return grouped.format(hours)
        samples = " UNION ALL ".join(f"SELECT * FROM {self._segments.between(*span)}" for span in spans)
        values = ", ".join(f"{_case(of)} AS value{place}" for place, of in enumerate(apart))
        value = ", ".join(f"value{place}" for place in at)
        return (
            f"WITH parts AS MATERIALIZED (SELECT sender, receiver, metric, {values} FROM ({samples}) "
            f"WHERE NOT isnan(value) AND {wanted}) "
        ) + grouped.format(
            f"{hours} UNION ALL SELECT sender, metric, {value}, {nothing} FROM parts WHERE sender >= 0 "
            f"UNION ALL SELECT receiver, metric, {nothing}, {value} FROM parts WHERE receiver >= 0"
        )

    def _covered(self, now_ns: int) -> dict[str, Float64]:
        now, longest = now_ns // MINUTE_NS, WINDOW_HOURS[-1] * 60
        hour = now // 60
        known: dict[str, set[int]] = {}
        # Of the running hour, heartbeats alone: what samples told of it was derived before they were all there.
        rows = self._con.execute(
            f"SELECT cluster, hour, CASE WHEN hour < {hour} THEN heartbeats | samples ELSE heartbeats END "
            f"FROM coverage WHERE hour >= {(now - longest) // 60} AND hour <= {hour}"
        ).fetchall()
        for cluster, at, bits in rows:
            if bits or at < hour:
                known.setdefault(cluster, set()).update(at * 60 + bit for bit in range(60) if bits >> bit & 1)
        for heard in self._pieces.heard(cut(hour * HOUR_NS, now_ns)) if now > hour * 60 else ():
            for cluster, told in heard.minutes.items():
                known.setdefault(cluster, set()).update(minute for minute in told if minute >= hour * 60)
        shares = {}
        for cluster, found in known.items():
            minutes = np.array(sorted(found), np.int64)
            shares[cluster] = np.array(
                [((minutes >= now - hours * 60) & (minutes < now)).sum() / (hours * 60) for hours in WINDOW_HOURS]
            )
        return shares


class _Sums:
    """Sums by pair and window that grow."""

    def __init__(self, metrics: int, windows: int) -> None:
        self._metrics = metrics
        self._seen = np.empty(0, np.bool_)
        self._sums = np.empty((2, windows, 0))

    def add(self, windows: tuple[int, ...], entity: Int32, metric: Int32, sent: Float64, received: Float64) -> None:
        """Add rows, of whatever pairs, to these windows."""
        if not windows:
            return
        code = entity.astype(np.int64) * self._metrics + metric
        size = max(int(code.max(initial=-1)) + 1, len(self._seen))
        grown = size - len(self._seen)
        self._seen = np.pad(self._seen, (0, grown))
        self._sums = np.pad(self._sums, ((0, 0), (0, 0), (0, grown)))
        self._seen[code] = True
        for side, values in enumerate((sent, received)):
            self._sums[side, list(windows)] += np.bincount(code, values, size)

    def close(self, covered: dict[str, Float64]) -> TrailingSums:
        """The sums of pairs that were added."""
        at = np.flatnonzero(self._seen)
        sent, received = (np.ascontiguousarray(side[:, at].T) for side in self._sums)
        entity, metric = np.divmod(at, self._metrics)
        return TrailingSums(entity.astype(np.int32), metric.astype(np.int32), sent, received, covered)


@dataclass(frozen=True, slots=True)
class _Apart:
    """Samples that end in `span` ([from, to)) and what each counts for (SQL)."""

    span: tuple[int, int]
    value: str


@dataclass(frozen=True, slots=True)
class _Window:
    """One window as a tick reads it: full hours from `first` on, and the pieces before and after them."""

    left_ns: int
    first: int
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, now_ns: int, hours: int) -> _Window:
        """The window of so many hours up to `now_ns`."""
        left = now_ns - hours * HOUR_NS
        first, last = -(-left // HOUR_NS), now_ns // HOUR_NS
        # What ends on the stroke of an hour is that hour's.
        return cls(left, first, (*cut(left, first * HOUR_NS - 1), *cut(last * HOUR_NS - 1, now_ns)))

    def apart(self, whole: set[Piece]) -> list[_Apart]:
        """What is read sample by sample, but for what is taken as a whole."""
        inside = f"round(value * least(1.0, (end_ns - {self.left_ns}) / greatest(span_ns, 1)::DOUBLE))"
        found = [_Apart((piece.start_ns + 1, piece.end_ns + 1), inside) for piece in self.pieces if piece not in whole]
        if self.left_ns % HOUR_NS == 0:
            # The first full hour holds what ended on its stroke and what reaches into it: that part is not ours.
            found.append(_Apart((self.left_ns, self.left_ns + _REACH_NS), f"{inside} - value"))
        return found


def _case(apart: list[_Apart]) -> str:
    """The SQL of what a sample counts for in a window; 0 where it counts for others alone."""
    cases = " ".join(f"WHEN end_ns >= {a} AND end_ns < {b} THEN {one.value}" for one in apart for a, b in [one.span])
    return f"CASE {cases} ELSE 0.0 END" if cases else "0.0"


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans [from, to) in order, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
