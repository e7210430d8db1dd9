"""Who an entity talks to, and how much it usually sends: what makes a finding readable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from ebbtide.finding.evidence import DestinationShare
from ebbtide.series import HOUR_NS, Endpoint, Entity, Float64, Int64
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


def destinations_of(contacts: list[Contact], label_of: dict[int, Entity]) -> dict[Entity, tuple[DestinationShare, ...]]:
    """For each row of the window its destinations, each once, the largest first."""
    sent: dict[Entity, dict[Endpoint, float]] = {}
    seen: dict[tuple[Entity, Endpoint], int] = {}
    for contact in contacts:
        label, place = label_of[contact.entity], contact.destination
        places = sent.setdefault(label, {})
        places[place] = places.get(place, 0.0) + contact.sent
        if contact.first_seen_ns is not None:
            seen[label, place] = min(seen.get((label, place), contact.first_seen_ns), contact.first_seen_ns)
    shares = {}
    for label, places in sent.items():
        total = sum(places.values())
        shares[label] = tuple(
            DestinationShare(place, value, value / total if total else 0.0, seen.get((label, place)))
            for place, value in sorted(places.items(), key=lambda item: (-item[1], item[0]))
        )
    return shares
