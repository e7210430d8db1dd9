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
        windows = [_Window.of(now_ns, hours) for hours in WINDOW_HOURS]
        rows = self._con.execute(self._sql(now_ns, windows, metrics)).fetchnumpy()
        entity, metric = np.asarray(rows["entity"], np.int32), np.asarray(rows["metric"], np.int32)
        sent, received = (
            np.stack([np.asarray(rows[f"{what}{at}"], np.float64) for at in range(len(windows))], axis=-1)
            for what in ("sent", "received")
        )
        return TrailingSums(entity, metric, sent, received, self._covered(now_ns))

    def _sql(self, now_ns: int, windows: list[_Window], metrics: list[int]) -> str:
        """Rows (entity, metric, sent and received of each window). One statement over few tables: planning it is what
        takes the time, so samples are read once for all windows and both sides.
        """
        at = range(len(windows))
        wanted = f"metric IN ({', '.join(map(str, metrics)) or 'NULL'})"
        spans = _merged([span for window in windows for span in window.spans])
        samples = " UNION ALL ".join(f"SELECT * FROM {self._segments.between(*span)}" for span in spans)
        values = ", ".join(f"{window.value} AS value{place}" for place, window in enumerate(windows))
        nothing = ", ".join("0.0" for _ in at)
        full = ", ".join(
            f"CASE WHEN hour >= {window.first} THEN {what} ELSE 0.0 END AS {what}{place}"
            for what in ("sent", "received")
            for place, window in enumerate(windows)
        )
        value = ", ".join(f"value{place}" for place in at)
        sums = ", ".join(f"sum({what}{place}) AS {what}{place}" for what in ("sent", "received") for place in at)
        first, last = min(window.first for window in windows), now_ns // HOUR_NS
        return (
            f"WITH parts AS MATERIALIZED (SELECT sender, receiver, metric, {values} FROM ({samples}) "
            f"WHERE NOT isnan(value) AND {wanted}) "
            f"SELECT entity, metric, {sums} FROM ("
            f"SELECT entity, metric, {full} FROM hours WHERE hour >= {first} AND hour < {last} AND {wanted} "
            f"UNION ALL SELECT sender, metric, {value}, {nothing} FROM parts WHERE sender >= 0 "
            f"UNION ALL SELECT receiver, metric, {nothing}, {value} FROM parts WHERE receiver >= 0"
            ") GROUP BY entity, metric ORDER BY entity, metric"
        )

    def _covered(self, now_ns: int) -> dict[str, Float64]:
        now, longest = now_ns // MINUTE_NS, WINDOW_HOURS[-1] * 60
        hour = now // 60
        known: dict[str, set[int]] = {}
        rows = self._con.execute(
            "SELECT cluster, hour, heartbeats | samples FROM coverage "
            f"WHERE hour >= {(now - longest) // 60} AND hour < {hour}"
        ).fetchall()
        for cluster, at, bits in rows:
            known.setdefault(cluster, set()).update(at * 60 + bit for bit in range(60) if bits >> bit & 1)
        if now > hour * 60:
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


@dataclass(frozen=True, slots=True)
class _Window:
    """One window as a tick reads it: full hours from `first` on, and samples that end in `spans` ([from, to) each).

    `value` is the SQL of what a sample counts for; 0 where it counts for other windows alone.
    """

    first: int
    spans: tuple[tuple[int, int], ...]
    value: str

    @classmethod
    def of(cls, now_ns: int, hours: int) -> _Window:
        """The window of so many hours up to `now_ns`."""
        left = now_ns - hours * HOUR_NS
        first, last = -(-left // HOUR_NS), now_ns // HOUR_NS
        inside = f"round(value * least(1.0, (end_ns - {left}) / greatest(span_ns, 1)::DOUBLE))"
        ends = [(left + 1, first * HOUR_NS), (last * HOUR_NS, now_ns + 1)]
        counted = [(span, inside) for span in ends if span[0] < span[1]]
        if left % HOUR_NS == 0:
            # The first full hour holds what ended on its stroke and what reaches into it: that part is not ours.
            counted.append(((left, left + _REACH_NS), f"{inside} - value"))
        cases = " ".join(f"WHEN end_ns >= {a} AND end_ns < {b} THEN {what}" for (a, b), what in counted)
        return cls(first, tuple(span for span, _ in counted), f"CASE {cases} ELSE 0.0 END")


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Spans [from, to) in order, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged
