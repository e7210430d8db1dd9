"""What is known of an entity and of a source: destinations over a month, hours, versions, what was heard.

Read from hourly tables, so a page about one of 10,000 entities costs milliseconds and works long after the samples are
gone; only versions look at samples, and tell of those that are still there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from ebbtide.finding.filters import Matcher
from ebbtide.series import HOUR_NS, MINUTE_NS, Endpoint, Entity, Float64, Int64
from ebbtide.store.identity import Identity
from ebbtide.store.presence import Presence, presences
from ebbtide.store.segments import CommittedSegments


@dataclass(frozen=True, slots=True)
class Known:
    """One destination of an entity: bytes both ways over the time asked for, hours with traffic, first and last."""

    endpoint: Endpoint
    sent: float
    received: float
    hours: int
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Version:
    """An image version of an entity, and between which instants its stored samples lie."""

    name: str
    first_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Heard:
    """A cluster's source over some hours: minutes heard of all, the latest hour, its interval, its first hour ever."""

    cluster: str
    minutes: int
    of_minutes: int
    last_ns: int
    interval_s: int
    first_ns: int
    entities: int


class Profile:
    """Reads the hourly tables of one open store."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def numbers(self, wanted: Entity) -> list[int]:
        """The entities that agree with this one in every column it has, ascending."""
        exact = self._identity.find_entity(wanted)
        if exact is not None:
            return [exact]
        asked = [name for name in ("cluster", "namespace", "workload", "process") if getattr(wanted, name)]
        return [
            number
            for number, one in enumerate(self._identity.entities)
            if asked and all(getattr(one, name) == getattr(wanted, name) for name in asked)
        ]

    def hours(self, numbers: Sequence[int], metric: str, from_ns: int, to_ns: int) -> tuple[Int64, Float64, Float64]:
        """Start of each full hour in the range, sent and received of the entities together; NaN where not heard."""
        first, last = from_ns // HOUR_NS, to_ns // HOUR_NS
        width = max(0, last - first)
        sent, received = np.full(width, np.nan), np.full(width, np.nan)
        clusters = sorted({self._identity.entities[one].cluster for one in numbers})
        heard = self._con.execute(
            f"SELECT DISTINCT hour - ? FROM coverage WHERE cluster IN ({_marks(clusters)}) "
            "AND hour >= ? AND hour < ? AND (samples <> 0 OR heartbeats <> 0)",
            [first, *clusters, first, last],
        ).fetchall()
        at = np.array([row[0] for row in heard], np.int64)
        sent[at] = received[at] = 0.0
        number = self._identity.find_metric(metric)
        rows = self._con.execute(
            f"SELECT hour - ?, sum(sent), sum(received) FROM hours WHERE entity IN ({_marks(numbers)}) "
            "AND metric = ? AND hour >= ? AND hour < ? GROUP BY ALL",
            [first, *numbers, -1 if number is None else number, first, last],
        ).fetchall()
        for hour, out, back in rows:
            sent[hour], received[hour] = out, back
        return (first + np.arange(width, dtype=np.int64)) * HOUR_NS, sent, received

    def metrics(self, numbers: Sequence[int], from_ns: int, to_ns: int) -> list[str]:
        """The metrics the entities sent in the range."""
        rows = self._con.execute(
            f"SELECT DISTINCT metric FROM hours WHERE entity IN ({_marks(numbers)}) AND hour >= ? AND hour < ?",
            [*numbers, from_ns // HOUR_NS, to_ns // HOUR_NS],
        ).fetchall()
        return [self._identity.metrics[number] for number in sorted(row[0] for row in rows)]

    def destinations(self, numbers: Sequence[int], from_ns: int, to_ns: int, most: int = 200) -> list[Known]:
        """Whom the entities talked to in the range, by bytes sent."""
        rows = self._con.execute(
            "SELECT endpoint, sum(sent_bytes), sum(received_bytes), count(DISTINCT hour), min(hour), max(hour) "
            f"FROM edges WHERE entity IN ({_marks(numbers)}) AND hour >= ? AND hour < ? "
            "GROUP BY endpoint ORDER BY sum(sent_bytes) DESC, endpoint LIMIT ?",
            [*numbers, from_ns // HOUR_NS, -(-to_ns // HOUR_NS), most],
        ).fetchall()
        return [
            Known(self._identity.endpoints[endpoint], sent, received, hours, first * HOUR_NS, (last + 1) * HOUR_NS)
            for endpoint, sent, received, hours, first, last in rows
        ]

    def versions(self, numbers: Sequence[int], from_ns: int, to_ns: int) -> list[Version]:
        """The image versions in the entities' samples that are still stored, oldest first."""
        samples = self._segments.between(from_ns, to_ns)
        rows = self._con.execute(
            "SELECT image_version, min(first), max(end_ns) FROM "
            f"(SELECT series, min(end_ns) AS first, max(end_ns) AS end_ns FROM {samples} "
            f"WHERE sender IN ({_marks(numbers)}) GROUP BY series) JOIN series USING (series) "
            "WHERE image_version <> '' GROUP BY image_version ORDER BY min(first)",
            list(numbers),
        ).fetchall()
        return [Version(*row) for row in rows]

    def named(self, words: Sequence[str], matchers: Sequence[Matcher] = ()) -> list[int]:
        """The entities whose name has all these words and that all matchers accept; those look at its parts alone."""
        return [
            number
            for number, one in enumerate(self._identity.entities)
            if all(word.lower() in str(one).lower() for word in words)
            and all(matcher.accepts(getattr(one, matcher.field)) for matcher in matchers)
        ]

    def entities(
        self, from_ns: int, until_ns: int, chosen: Sequence[int] | None = None, skip: int = 0, size: int | None = None
    ) -> list[Presence]:
        """Entities by bytes sent since an instant, the most first, as of `until_ns`; `chosen`: only these."""
        return presences(self._con, self._identity, from_ns, until_ns, chosen, skip, size)

    def span_hours(self, numbers: Sequence[int]) -> tuple[int, int, int]:
        """Start of the first and end of the last hour the entities sent in, and in how many hours; zeros if none."""
        row = self._con.execute(
            f"SELECT min(hour), max(hour), count(DISTINCT hour) FROM hours WHERE entity IN ({_marks(numbers)})",
            list(numbers),
        ).fetchall()[0]
        return (0, 0, 0) if row[0] is None else (row[0] * HOUR_NS, (row[1] + 1) * HOUR_NS, row[2])

    def heard(self, from_ns: int, to_ns: int) -> list[Heard]:
        """Every cluster's source: what was heard of it in the range."""
        rows = self._con.execute(
            "SELECT cluster, sum(bit_count(samples | heartbeats)) FILTER (hour >= $from AND hour < $to), "
            "max(hour) FILTER (samples <> 0 OR heartbeats <> 0), max_by(interval_s, hour) FILTER (interval_s > 0), "
            "min(hour) FROM coverage GROUP BY cluster ORDER BY cluster",
            {"from": from_ns // HOUR_NS, "to": to_ns // HOUR_NS},
        ).fetchall()
        known: dict[str, int] = {}
        for one in self._identity.entities:
            known[one.cluster] = known.get(one.cluster, 0) + 1
        of_minutes = 60 * max(0, to_ns // HOUR_NS - from_ns // HOUR_NS)
        return [
            Heard(cluster, int(minutes or 0), of_minutes, (last + 1) * HOUR_NS, int(interval or 0), first * HOUR_NS,
                  known.get(cluster, 0))
            for cluster, minutes, last, interval, first in rows
            if last is not None
        ]  # fmt: skip

    def minutes_heard(self, clusters: Sequence[str], from_ns: int, to_ns: int) -> NDArray[np.bool_]:
        """Whether any of the clusters was heard in each minute of [from_ns, to_ns), as far as hours are derived."""
        first, last = from_ns // MINUTE_NS, -(-to_ns // MINUTE_NS)
        rows = self._con.execute(
            f"SELECT hour, bit_or(samples | heartbeats) FROM coverage WHERE cluster IN ({_marks(clusters)}) "
            "AND hour >= ? AND hour <= ? GROUP BY hour",
            [*clusters, first // 60, last // 60],
        ).fetchall()
        heard = np.zeros(max(0, last - first), bool)
        for hour, bits in rows:
            for minute in range(60):
                at = hour * 60 + minute - first
                if bits >> minute & 1 and 0 <= at < len(heard):
                    heard[at] = True
        return heard

    def received_buckets(
        self, numbers: Sequence[int], metric: str, from_ns: int, to_ns: int, bucket_ns: int
    ) -> Float64:
        """What the entities received in each bucket of [from_ns, to_ns), by the samples that are still stored."""
        number = self._identity.find_metric(metric)
        samples = self._segments.between(from_ns, to_ns)
        found = np.zeros(max(0, -(-(to_ns - from_ns) // bucket_ns)))
        rows = self._con.execute(
            f"SELECT (end_ns - ?) // ? AS bucket, sum(value) FROM {samples} WHERE receiver IN ({_marks(numbers)}) "
            "AND metric = ? AND NOT isnan(value) GROUP BY bucket",
            [from_ns, bucket_ns, *numbers, -1 if number is None else number],
        ).fetchall()
        for at, value in rows:
            if 0 <= at < len(found):
                found[int(at)] = value
        return found

    def received(self) -> dict[str, int]:
        """What became of the points of every import and session, by `accepted`, `rejected_<reason>` and so on."""
        found: dict[str, int] = {}
        for (text,) in self._con.execute("SELECT counts FROM provenance").fetchall():
            counts = json.loads(text)
            found["accepted"] = found.get("accepted", 0) + int(counts.get("accepted", 0))
            for kind in ("rejected", "ignored", "dropped"):
                for reason, many in counts.get(kind, {}).items():
                    found[f"{kind}_{reason}"] = found.get(f"{kind}_{reason}", 0) + int(many)
        return found


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values)) or "NULL"
