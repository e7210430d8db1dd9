"""Who an entity talks to, and how much it usually sends: what makes a finding readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from ebbtide.series import HOUR_NS, Endpoint, Float64, Int64
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.segments import CommittedSegments


@dataclass(frozen=True, slots=True)
class Span:
    """A time of one entity: [from_ns, to_ns)."""

    entity: int
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True)
class Contact:
    """What one entity sent to one destination in its span; `first_seen_ns` is None when it never did so before."""

    entity: int
    destination: Endpoint
    sent: float
    first_seen_ns: int | None


class Contacts:
    """Reads edges and hours for the few entities a finding is about."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def of(self, spans: Sequence[Span], metric_suffix: str) -> list[Contact]:
        """What each entity sent to whom in its span, largest first; sums over the metrics with this suffix."""
        if not spans:
            return []
        samples = self._segments.between(min(one.from_ns for one in spans), max(one.to_ns for one in spans))
        table = {
            "entity": pa.array([one.entity for one in spans], pa.int32()),
            "from_ns": pa.array([one.from_ns for one in spans], pa.int64()),
            "to_ns": pa.array([one.to_ns for one in spans], pa.int64()),
        }
        self._con.register("spans", pa.table(table))
        try:
            sql = query("contacts").replace("{samples}", samples)
            rows = self._con.execute(sql, {"suffix": metric_suffix}).fetchall()
        finally:
            self._con.unregister("spans")
        endpoints = self._identity.endpoints
        return [
            Contact(sender, endpoints[endpoint], value, None if hour is None else hour * HOUR_NS)
            for sender, endpoint, value, hour in rows
        ]

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

    def units(self) -> set[str]:
        """The units of what was imported; "" is the metric's own."""
        return {row[0] for row in self._con.execute("SELECT DISTINCT unit FROM provenance").fetchall()}
