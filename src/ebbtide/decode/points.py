"""Points to a Batch: the checks and conversions that every format shares, on columns.

Decoders gather points in request order; `Points.batch` rejects, ignores, converts and counts them. Each point ends as
exactly one of accepted, rejected, ignored, and one bad point costs no other.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ebbtide.decode.catalog import ACCEPTED, HEARTBEAT, TIME_MAX_NS, TIME_MIN_NS, Catalog
from ebbtide.decode.label import Repair
from ebbtide.decode.mapping import Meant
from ebbtide.decode.temporality import CounterState, count
from ebbtide.series import Batch, Counts, Float64, Heartbeat, Int64

#: Above this a value is no count of bytes or packets, but would drown every sum it enters. All 64-bit integers pass.
VALUE_MAX = 1e19

Bool = NDArray[np.bool_]
UInt64 = NDArray[np.uint64]


class Points:
    """Points of one body, in order. A column chunk per call, or point by point."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.counts = Counts()
        self._chunks: list[tuple[Int64, UInt64, UInt64, Float64, Bool]] = []
        self._rows: list[tuple[int, int, int, float, bool]] = []

    def add(self, at: int, start_ns: int, end_ns: int, value: float, ended: bool = False) -> None:
        """One point of the series `at`; times as sent (0 = unknown), below 2**64."""
        self._rows.append((at, start_ns, end_ns, value, ended))

    def extend(self, at: Int64, start_ns: UInt64, end_ns: UInt64, value: Float64, ended: Bool) -> None:
        """Many points, as columns of equal length."""
        self._flush()
        self._chunks.append((at, start_ns, end_ns, value, ended))

    def reject(self, reason: str, points: int = 1) -> None:
        """Points that could not even be read."""
        if points:
            self.counts.rejected[reason] += points

    def ignore(self, reason: str, points: int = 1) -> None:
        """Points that are not ours, whatever they say."""
        if points:
            self.counts.ignored[reason] += points

    def _flush(self) -> None:
        if self._rows:
            at, start, end, value, ended = zip(*self._rows, strict=True)
            columns = (np.array(at, np.int64), np.array(start, np.uint64), np.array(end, np.uint64))
            self._chunks.append((*columns, np.array(value, np.float64), np.array(ended, bool)))
            self._rows = []

    def batch(self, state: CounterState) -> Batch:
        """Everything gathered, as a Batch; moves `state`."""
        self._flush()
        if not self._chunks:
            return Batch.empty(self.counts)
        if len(self._chunks) == 1:
            at, start, end, value, ended = self._chunks[0]
        else:
            at, start, end, value, ended = (np.concatenate(column) for column in zip(*self._chunks, strict=True))
        return _Rows(self, at, _times(start), _times(end), value, ended).batch(state)


def _times(column: UInt64) -> Int64:
    return np.minimum(column, np.uint64(2**63 - 1)).astype(np.int64)


class _Rows:
    """The columns on their way to a Batch: each step drops rows and counts them."""

    def __init__(self, points: Points, at: Int64, start_ns: Int64, end_ns: Int64, value: Float64, ended: Bool) -> None:
        self.catalog = points.catalog
        self.counts = points.counts
        self.interval_ns = points.catalog.mapper.preset.interval
        self.at, self.start_ns, self.end_ns, self.value, self.ended = at, start_ns, end_ns, value, ended
        self.reading: Float64 = np.full(len(at), np.nan)

    def batch(self, state: CounterState) -> Batch:
        self._mend_starts()
        heartbeats = self._verdicts()
        self._reject(self.end_ns == 0, "no_time")
        self._reject((self.end_ns < TIME_MIN_NS) | (self.end_ns > TIME_MAX_NS), "bad_time")
        self._reject(self.end_ns > self.catalog.time_max_ns, "in_future")
        self._ignore(self.ended & (self._meant() != Meant.CUMULATIVE), "no_recorded_value")
        self._reject(~np.isfinite(self.value) & ~self.ended, "not_finite")
        self._reject(~(np.abs(self.value) <= VALUE_MAX) & ~self.ended, "too_large")
        self._reject((self.value < 0) & (self._meant() != Meant.VALUE) & ~self.ended, "negative")
        self._count(state)
        self.start_ns = np.where(self.start_ns > 0, self.start_ns, self.end_ns - self.interval_ns)
        return self._finish(heartbeats)

    def _has_time(self) -> Bool:
        return (self.end_ns >= TIME_MIN_NS) & (self.end_ns <= self.catalog.time_max_ns)

    def _meant(self) -> NDArray[np.int8]:
        return self.catalog.meant[self.at]

    def _keep(self, keep: Bool) -> None:
        self.at, self.start_ns, self.end_ns = self.at[keep], self.start_ns[keep], self.end_ns[keep]
        self.value, self.ended, self.reading = self.value[keep], self.ended[keep], self.reading[keep]

    def _reject(self, bad: Bool, reason: str) -> None:
        if n := int(np.count_nonzero(bad)):
            self.counts.rejected[reason] += n
            self._keep(~bad)

    def _ignore(self, other: Bool, reason: str) -> None:
        if n := int(np.count_nonzero(other)):
            self.counts.ignored[reason] += n
            self._keep(~other)

    def _mend_starts(self) -> None:
        """A start that is not before the end, or no time at all, is unknown: 0."""
        bad = (self.start_ns >= self.end_ns) | (self.start_ns < TIME_MIN_NS)
        self.start_ns = np.where(bad, 0, self.start_ns)

    def _verdicts(self) -> tuple[Heartbeat, ...]:
        """Drop what is not ours, by reason; heartbeats are kept as such."""
        verdict = self.catalog.verdict[self.at]
        if not verdict.any():
            return ()
        beats = self._heartbeats(verdict == HEARTBEAT)
        for reason, n in enumerate(np.bincount(verdict).tolist()):
            if n and reason != ACCEPTED:
                self.counts.ignored[self.catalog.verdicts[reason]] += n
        self._keep(verdict == ACCEPTED)
        return beats

    def _heartbeats(self, is_beat: Bool) -> tuple[Heartbeat, ...]:
        alive = np.flatnonzero(is_beat & self._has_time() & (self.value > 0) & ~self.ended)
        beats: dict[Heartbeat, None] = {}
        for row in alive.tolist():
            end = int(self.end_ns[row])
            start = int(self.start_ns[row])
            # A gauge's start may be when its process began; a beat proves no more than its interval.
            start = start if 0 < end - start <= 3 * self.interval_ns else end - self.interval_ns
            beats[Heartbeat(self.catalog.clusters[int(self.at[row])], start, end)] = None
        return tuple(beats)

    def _count(self, state: CounterState) -> None:
        """Cumulative rows to deltas."""
        counter = self._meant() == Meant.CUMULATIVE
        if not counter.any():
            return
        self._ignore_ended_counters(counter)
        rows = np.flatnonzero(counter)
        found = count(
            state,
            self.catalog.key[self.at[rows]],
            self.start_ns[rows],
            self.end_ns[rows],
            self.value[rows],
            self.ended[rows],
            self.interval_ns,
        )
        if found.late:
            self.counts.ignored["late_reading"] += found.late
        kept = rows[found.row]
        keep = ~counter
        keep[kept] = True
        self.reading[kept] = self.value[kept]
        self.value = self.value.copy()
        self.value[kept] = found.delta
        self.start_ns[kept] = found.start_ns
        self._keep(keep)

    def _ignore_ended_counters(self, counter: Bool) -> None:
        if n := int(np.count_nonzero(counter & self.ended)):
            self.counts.ignored["no_recorded_value"] += n

    def _finish(self, heartbeats: tuple[Heartbeat, ...]) -> Batch:
        catalog = self.catalog
        ids, ref = np.unique(self.at, return_inverse=True)
        ids, ref = _one_per_key(catalog.key, ids, ref)
        self._count_repairs()
        self.counts.accepted += len(self.at)
        series = tuple(one for one in map(catalog.series.__getitem__, ids.tolist()) if one is not None)
        return Batch(
            series,
            ref.astype(np.int32),
            self.start_ns,
            self.end_ns,
            self.value * catalog.scale[self.at],
            self.reading,
            heartbeats,
            self.counts,
        )

    def _count_repairs(self) -> None:
        repair = self.catalog.repair[self.at]
        if repair.any():
            for one in Repair:
                if n := int(np.count_nonzero(repair & one)):
                    self.counts.clipped[(one.name or "").lower()] += n


def _one_per_key(key: Int64, ids: Int64, ref: Int64) -> tuple[Int64, Int64]:
    """The same series may have several ids (its bytes came in another order): keep the first."""
    keys = key[ids]
    _, first, same = np.unique(keys, return_index=True, return_inverse=True)
    if len(first) == len(ids):
        return ids, ref
    order = np.sort(first)
    position = np.empty(len(ids), np.int64)
    position[order] = np.arange(len(order))
    return ids[order], position[first[same]][ref]
