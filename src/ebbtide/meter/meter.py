"""One interval after another: read, name, sum, encode, send. The path in order, and what the meter says about itself.

In: a source of flows and the tables of names. Out: OTLP bodies in the exporter. `tick` is given the time; the loop that
knows the clock is `run`.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Protocol

from ebbtide.meter.edge import Attributes, Edges, Point, points_of, sum_edges
from ebbtide.meter.export import Exporter
from ebbtide.meter.flow import Reading
from ebbtide.meter.inbox import Inbox
from ebbtide.meter.kube_watch import ClusterWatch
from ebbtide.meter.otlp import Interval, encode
from ebbtide.meter.place import Names
from ebbtide.meter.probe import Probe
from ebbtide.meter.settings import MeterSettings, SourceKind
from ebbtide.meter.sockdiag import existing_owners

VERSION = "1"
_ADOPT_EVERY_S = 30.0
_SECOND_NS = 1_000_000_000
_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where flows come from. One thread calls all of it; `read` gives each count once."""

    def start(self) -> None:
        """Begin to count. Raises ServiceError where the kernel refuses."""
        ...

    def read(self) -> Reading:
        """Everything counted since the last call."""
        ...

    def close(self) -> None:
        """Stop counting."""
        ...


@dataclass(slots=True)
class Meter:
    """The state between intervals. `missing` is what this source cannot see; `why` why it is not the better one."""

    settings: MeterSettings
    source: Source
    names: Names
    exporter: Exporter
    inbox: Inbox
    kind: SourceKind = SourceKind.EBPF
    missing: tuple[str, ...] = ()
    why: str = ""
    cluster: ClusterWatch | None = None
    _since_ns: int = 0
    _adopted_at_s: float = float("-inf")
    _unnamed_before: dict[str, int] = field(default_factory=dict)

    def begin(self, now_ns: int) -> None:
        """Start counting at `now_ns`."""
        self.source.start()
        self._since_ns = now_ns
        self._adopt(now_ns)

    def tick(self, now_ns: int) -> Edges:
        """One interval that ends at `now_ns`: everything counted leaves as points, with a heartbeat."""
        reading = self.source.read()
        now_s = now_ns / _SECOND_NS
        self.inbox.empty(now_s)
        for tgid, name in {(flow.key.tgid, flow.key.name) for flow in reading.flows}:
            self.names.processes.meet(tgid, name)
        self.names.processes.hash_pending()
        edges = sum_edges(
            reading.flows, self.names.local, lambda key: self.names.remote(key, now_s), self.settings.limits
        )
        points = points_of(edges.sums) + self.own_points(reading, edges)
        interval = Interval(self._since_ns, now_ns)
        for body in encode(points, interval, self.resource(), VERSION):
            self.exporter.put(body)
        self._since_ns = now_ns
        self.exporter.flush(now_s)
        if any(not flow.key.tgid for flow in reading.flows):
            self._adopt(now_ns)
        return edges

    def resource(self) -> Attributes:
        """Attributes of every body."""
        found = {"host.name": self.settings.host, "service.name": "ebbtide-meter"}
        if self.settings.cluster:
            found["k8s.cluster.name"] = self.settings.cluster
        return tuple(sorted(found.items()))

    def own_points(self, reading: Reading, edges: Edges) -> list[Point]:
        """The heartbeat, and everything that is not in a row or not under its name, by reason."""
        points = [Point("ebpf_net.up", "1", 1, (("host.name", self.settings.host), ("source", self.kind.value)), False)]
        points += [_gauge("missing", 1, ("what", what)) for what in self.missing]
        for reason, loss in reading.losses.items():
            points += _delta("unattributed.bytes", "By", loss.bytes, ("reason", reason))
            points += _delta("unattributed.packets", "1", loss.packets, ("reason", reason))
        nobody = [flow.value for flow in reading.flows if not flow.key.tgid]
        unowned = sum(value.tx_bytes + value.rx_bytes for value in nobody)
        points += _delta("unattributed.bytes", "By", unowned, ("reason", "no_process"))
        for reason, count in self.names.unnamed.items():
            points += _delta("unnamed.rows", "1", count - self._unnamed_before.get(reason, 0), ("reason", reason))
        self._unnamed_before = dict(self.names.unnamed)
        points += _delta("dns.dropped", "1", self.inbox.take_dropped())
        again = sum(flow.value.tx_again for flow in reading.flows)
        points += _delta("retransmitted.packets", "1", again)
        points += _delta("folded.edges", "1", edges.folded)
        points += [_gauge("map.rows", len(reading.flows)), _gauge("map.capacity", reading.capacity)]
        return points + self._export_points() + self._kubernetes_points()

    def _export_points(self) -> list[Point]:
        counts = self.exporter.counts
        states = {
            "sent": counts.sent,
            "rejected": counts.rejected,
            "dropped_full": counts.dropped_full,
            "dropped_refused": counts.dropped_refused,
            "waiting": self.exporter.waiting_points,
        }
        points = [_gauge("export.points", amount, ("state", state)) for state, amount in states.items()]
        return [*points, _gauge("export.failures", counts.failures)]

    def _kubernetes_points(self) -> list[Point]:
        if self.cluster is None:
            return []
        age_s = self.cluster.age_s
        known = [_gauge("kubernetes.age", int(age_s), unit="s")] if age_s < float("inf") else []
        return [*known, _gauge("kubernetes.failures", self.cluster.failures)]

    def _adopt(self, now_ns: int) -> None:
        """Find the owners of sockets older than the programs; what they sent before that has no process."""
        now_s = now_ns / _SECOND_NS
        if isinstance(self.source, Probe) and now_s - self._adopted_at_s >= _ADOPT_EVERY_S:
            self._adopted_at_s = now_s
            self.source.adopt(existing_owners(self.settings.proc))

    def run(self, stop: threading.Event) -> None:
        """Tick on the clock until told to stop; the last tick sends what is left."""
        self.begin(time.time_ns())
        interval_s = self.settings.interval_s
        while True:
            is_stopping = stop.wait(interval_s - time.time() % interval_s)
            edges = self.tick(time.time_ns())
            counts = self.exporter.counts
            _log.debug("tick edges=%d sent=%d failures=%d", len(edges.sums), counts.sent, counts.failures)
            if is_stopping:
                return


def _gauge(name: str, value: int, *attributes: tuple[str, str], unit: str = "1") -> Point:
    return Point(f"ebbtide.meter.{name}", unit, value, attributes, is_delta=False)


def _delta(name: str, unit: str, value: int, *attributes: tuple[str, str]) -> list[Point]:
    return [Point(f"ebbtide.meter.{name}", unit, value, attributes)] if value > 0 else []
