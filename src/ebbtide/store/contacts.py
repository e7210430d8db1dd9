"""Who an entity talks to, and how much it usually sends: what makes a finding readable."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np

from ebbtide.series import HOUR_NS, Endpoint, Float64, Int32, Int64
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.segments import Segments


@dataclass(frozen=True, slots=True)
class Contact:
    """What one entity sent to one destination in a window; `first_seen_ns` is None when it never did so before."""

    entity: int
    destination: Endpoint
    sent: float
    first_seen_ns: int | None


class Contacts:
    """Reads edges and hours for a few entities at a time."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: Segments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def of(self, numbers: Int32, metric_suffix: str, from_ns: int, to_ns: int) -> list[Contact]:
        """What these entities sent to whom in [from_ns, to_ns), largest first; sums over metrics with this suffix."""
        if not len(numbers):
            return []
        few = ", ".join(map(str, numbers.tolist()))
        samples = self._segments.between(from_ns, to_ns)
        sql = query("contacts").replace("{samples}", samples).replace("{few}", few)
        rows = self._con.execute(sql, {"suffix": metric_suffix, "hour": from_ns // HOUR_NS}).fetchall()
        endpoints = self._identity.endpoints
        return [
            Contact(sender, endpoints[endpoint], value, None if hour is None else hour * HOUR_NS)
            for sender, endpoint, value, hour in rows
        ]

    def usual_hour(self, numbers: Int32, metric: str, from_ns: int, to_ns: int) -> dict[int, float]:
        """The mean of what each entity sent in an hour in which it sent anything, over full hours in the range."""
        at = self._identity.find_metric(metric)
        if at is None or not len(numbers):
            return {}
        few = ", ".join(map(str, numbers.tolist()))
        rows = self._con.execute(
            f"SELECT entity, avg(sent) FROM hours WHERE metric = ? AND hour >= ? AND hour < ? AND points > 0 "
            f"AND entity IN ({few}) GROUP BY entity",
            [at, from_ns // HOUR_NS, to_ns // HOUR_NS],
        ).fetchall()
        return {entity: float(sent) for entity, sent in rows}

    def units(self) -> dict[str, str]:
        """The unit of each import that does not carry the metric's own, by its name."""
        return dict(self._con.execute("SELECT name, unit FROM provenance WHERE unit != ''").fetchall())

    def history(self, number: int, metric: str, from_ns: int, to_ns: int) -> tuple[Int64, Float64, Float64]:
        """Start of each hour (ns), sent and received of one entity, over full hours in the range."""
        at = self._identity.find_metric(metric)
        found = self._con.execute(
            "SELECT hour, sent, received FROM hours WHERE entity = ? AND metric = ? AND hour >= ? AND hour < ? "
            "ORDER BY hour",
            [number, -1 if at is None else at, from_ns // HOUR_NS, to_ns // HOUR_NS],
        ).fetchnumpy()
        hour = np.asarray(found["hour"], np.int64)
        return hour * HOUR_NS, np.asarray(found["sent"], np.float64), np.asarray(found["received"], np.float64)
