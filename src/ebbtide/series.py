"""The nouns every room shares: who sent what to whom, as columns.

`decode` makes a `Batch`, `store` keeps it and gives back a `Window`, `detect` reads windows. Nothing here knows a
clock, a file or a socket. Times are Unix nanoseconds (int64), values are the metric's own unit per sample (bytes,
packets, sockets). Without these shapes each room would invent its own keys, and keys pasted from strings collide.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

Int32 = NDArray[np.int32]
Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 3600 * SECOND_NS
DAY_NS = 24 * HOUR_NS

#: The metrics of the analytic this product succeeds. `net.*` stands for sources that do not tell TCP from UDP.
METRICS = (
    "tcp.bytes",
    "tcp.packets",
    "tcp.new_sockets",
    "udp.bytes",
    "udp.packets",
    "net.bytes",
    "net.packets",
)


class EndpointClass(StrEnum):
    """What kind of place a sender or receiver is, as far as the source could tell."""

    INTERNAL = "internal"  # a workload of a watched cluster
    HOST = "host"  # a process on a node, outside any pod
    EXTERNAL = "external"  # outside every watched cluster
    METADATA = "metadata"  # a cloud's instance metadata service
    DNS = "dns"  # a name server (port 53)
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """Whose traffic is learned: one process of one workload. `process` is "" where the source does not know it.

    Under the profile `splunk` the cluster may be "" too: that analytic pools clusters in its baseline.
    """

    cluster: str
    namespace: str
    workload: str
    process: str = ""

    def __str__(self) -> str:
        return f"{self.cluster or '-'}/{self.namespace or '-'}/{self.workload or '-'}/{self.process or '*'}"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One end of an edge as a place: it need not be known well enough to be an entity."""

    cluster: str = ""
    namespace: str = ""
    workload: str = ""
    process: str = ""
    kind: EndpointClass = EndpointClass.UNKNOWN


@dataclass(frozen=True, slots=True)
class Series:
    """One stream of samples of one metric from one source endpoint to one destination.

    `key` is a signed 64-bit hash of the metric name and of *all* attributes as received: the identity for
    de-duplication and for cumulative-to-delta. Many series share their canonical columns (pods, zones, image versions).
    `sender` is the entity whose *sent* this is, `receiver` the one whose *received* it is; None where unknown.
    """

    key: int
    metric: str
    sender: Entity | None
    receiver: Entity | None
    source: Endpoint
    destination: Endpoint
    image_version: str = ""
    #: Everything as received, as one JSON object with sorted keys: evidence, never a key.
    attributes: str = "{}"


@dataclass(slots=True)
class Counts:
    """What became of every point of some input. Each point is exactly one of accepted, rejected, ignored.

    `rejected` were ours and unusable (NaN, negative, time 0 ...), `ignored` were not ours (other metrics, other
    aggregation views, histograms), `clipped` were accepted with a label shortened. Reasons are snake_case words.
    """

    accepted: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    clipped: Counter[str] = field(default_factory=Counter)

    @property
    def received(self) -> int:
        """Points that came in."""
        return self.accepted + self.rejected.total() + self.ignored.total()

    def add(self, other: Counts) -> None:
        """Add another input's counts to these."""
        self.accepted += other.accepted
        self.rejected.update(other.rejected)
        self.ignored.update(other.ignored)
        self.clipped.update(other.clipped)


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """Proof that a cluster's agents lived over [start_ns, end_ns), whether or not anything was sent."""

    cluster: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one body held: samples as columns of equal length (n,), and the series they refer to.

    `ref` (int32) indexes `series`. A sample covers [start_ns, end_ns) and belongs to the bucket of its end.
    `value` (float64) is the delta over that time, in the metric's unit; NaN where only a reading is known (first sight
    of a counter). `reading` (float64) is a cumulative counter as received, NaN for sources that send deltas.
    """

    series: tuple[Series, ...]
    ref: Int32
    start_ns: Int64
    end_ns: Int64
    value: Float64
    reading: Float64
    heartbeats: tuple[Heartbeat, ...] = ()
    counts: Counts = field(default_factory=Counts)

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.ref, self.start_ns, self.end_ns, self.value, self.reading)}
        if len(lengths) != 1:
            raise ValueError(f"columns of a batch differ in length: {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.ref)

    @classmethod
    def empty(cls, counts: Counts | None = None) -> Self:
        """A batch without samples, for bodies in which nothing was usable."""
        none64, nonef = np.empty(0, np.int64), np.empty(0, np.float64)
        return cls((), np.empty(0, np.int32), none64, none64, nonef, nonef, counts=counts or Counts())

    @classmethod
    def concat(cls, batches: Iterable[Batch]) -> Batch:
        """One batch with the samples of all, in order; series that occur in several are kept once."""
        parts = list(batches)
        if len(parts) == 1:
            return parts[0]
        index: dict[int, int] = {}
        series: list[Series] = []
        refs = []
        counts = Counts()
        for part in parts:
            for one in part.series:
                if one.key not in index:
                    index[one.key] = len(series)
                    series.append(one)
            at = np.fromiter((index[one.key] for one in part.series), np.int32, len(part.series))
            refs.append(at[part.ref])
            counts.add(part.counts)
        if not parts:
            return cls.empty()
        return cls(
            tuple(series),
            np.concatenate(refs).astype(np.int32),
            np.concatenate([part.start_ns for part in parts]),
            np.concatenate([part.end_ns for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.reading for part in parts]),
            tuple(beat for part in parts for beat in part.heartbeats),
            counts,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What some entities sent over [start_ns, start_ns + buckets * bucket_ns), on a grid.

    Arrays are (entities, metrics, buckets). `total` (float64) is the sum of the values of all points of that bucket
    over all destinations, `points` (int32) how many points that were; where `points` is 0 `total` is 0. A point
    belongs to the bucket of its end.
    """

    entities: tuple[Entity, ...]
    metrics: tuple[str, ...]
    start_ns: int
    bucket_ns: int
    total: Float64
    points: Int32

    @property
    def end_ns(self) -> int:
        """The first instant after the last bucket."""
        return self.start_ns + int(self.total.shape[2]) * self.bucket_ns


def joined_batches(batches: Iterable[Batch], most: int) -> Iterator[Batch]:
    """Batches joined until they have `most` samples, so that a commit is worth it."""
    waiting: list[Batch] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += len(batch)
        if size >= most:
            yield Batch.concat(waiting)
            waiting, size = [], 0
    if waiting:
        yield Batch.concat(waiting)
