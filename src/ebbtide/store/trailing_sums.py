"""What every pair sent and received over the last 1, 6 and 24 hours, as of an instant.

Full hours come from summaries, the ends from samples; a sample that reaches over the beginning counts with the part of
it that lies inside. So a tick reads three hours of samples at most, and the sums are those of the minutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np

from ebbtide.baseline.trailing_statistics import WINDOW_HOURS
from ebbtide.series import HOUR_NS, MINUTE_NS, Float64, Int32
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.segments import CommittedSegments

#: How long a sample may be that reaches over the beginning of a window; a longer one is a catch-up, and counts whole.
_REACH_NS = 10 * MINUTE_NS


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

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def at(self, now_ns: int, metrics: list[int]) -> TrailingSums:
        """Sums of some metrics (by number) over (now - window, now], from samples that end by `now_ns`."""
        parts = [self._sums(now_ns, window, hours) for window, hours in enumerate(WINDOW_HOURS)]
        rows = self._con.execute(
            "SELECT entity, metric, place, sum(sent) AS sent, sum(received) AS received "
            f"FROM ({' UNION ALL '.join(parts)}) WHERE entity >= 0 AND list_contains(?, metric) GROUP BY ALL",
            [metrics],
        ).fetchnumpy()
        keys = np.asarray(rows["entity"], np.int64) << 16 | np.asarray(rows["metric"], np.int64)
        pairs, at = np.unique(keys, return_inverse=True)
        sent, received = (np.zeros((len(pairs), len(WINDOW_HOURS))) for _ in range(2))
        place = np.asarray(rows["place"], np.int64)
        sent[at, place], received[at, place] = rows["sent"], rows["received"]
        return TrailingSums(
            (pairs >> 16).astype(np.int32), (pairs & 0xFFFF).astype(np.int32), sent, received, self._covered(now_ns)
        )

    def _sums(self, now_ns: int, place: int, hours: int) -> str:
        """Rows (entity, metric, place, sent, received) of one window."""
        left = now_ns - hours * HOUR_NS
        first, last = -(-left // HOUR_NS), now_ns // HOUR_NS
        if first > last:
            first = last = now_ns // HOUR_NS + 1
        ends = [(left + 1, min(first * HOUR_NS, now_ns + 1)), (max(last * HOUR_NS, left + 1), now_ns + 1)]
        full = f"hour >= {first} AND hour < {last}"
        parts = [f"SELECT entity, metric, {place} AS place, sent, received FROM hours WHERE {full}"]
        inside = f"round(value * least(1.0, (end_ns - {left}) / greatest(span_ns, 1)::DOUBLE))"
        parts += [self._part(place, inside, from_ns, to_ns) for from_ns, to_ns in ends if from_ns < to_ns]
        if left % HOUR_NS == 0:
            # The first full hour holds what ended on its stroke and what reaches into it: that part is not ours.
            parts.append(self._part(place, f"{inside} - value", left, left + _REACH_NS))
        return " UNION ALL ".join(parts)

    def _part(self, place: int, value: str, from_ns: int, to_ns: int) -> str:
        samples = self._segments.between(from_ns, to_ns)
        sides = (("sender", f"{value}, 0.0"), ("receiver", f"0.0, {value}"))
        return " UNION ALL ".join(
            f"SELECT {side}, metric, {place}, {what} FROM {samples} WHERE NOT isnan(value)" for side, what in sides
        )

    def _covered(self, now_ns: int) -> dict[str, Float64]:
        now, longest = now_ns // MINUTE_NS, WINDOW_HOURS[-1] * 60
        hour = now // 60
        known: dict[str, set[int]] = {}
        rows = self._con.execute(
            "SELECT cluster, hour, heartbeats | samples FROM coverage WHERE hour >= ? AND hour < ?",
            [(now - longest) // 60, hour],
        ).fetchall()
        for cluster, at, bits in rows:
            known.setdefault(cluster, set()).update(at * 60 + bit for bit in range(60) if bits >> bit & 1)
        samples = self._segments.between(hour * HOUR_NS + 1, now_ns + 1)
        span = {"first": hour * 60, "last": now}
        for cluster, minute in self._con.execute(query("covered").replace("{samples}", samples), span).fetchall():
            known.setdefault(cluster, set()).add(hour * 60 + minute)
        shares = {}
        for cluster, heard in known.items():
            minutes = np.array(sorted(heard))
            shares[cluster] = np.array(
                [((minutes >= now - hours * 60) & (minutes < now)).sum() / (hours * 60) for hours in WINDOW_HOURS]
            )
        return shares
