"""Sums per sender and receiver, bounded, and the points they become.

In: the rows of one interval with both ends named. Out: points in the names of opentelemetry-network, each edge in both
directions. Bounded twice: the largest destinations of each process and the rest as "(other)"; and a limit on edges in
all. Folding moves counts, it never drops them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ebbtide.meter.flow import PORT_CLASSES, Flow, FlowKey, FlowValue, Opener, Protocol
from ebbtide.meter.place import Place, other
from ebbtide.series import EndpointClass

Attributes = tuple[tuple[str, str], ...]
_UNITS = {"bytes": "By", "packets": "1", "new_sockets": "1"}


@dataclass(frozen=True, slots=True)
class Edge:
    """A local process and a remote place, by protocol, opener and class of the port that was connected to."""

    local: Place
    remote: Place
    protocol: Protocol
    opener: Opener
    port_class: str


@dataclass(frozen=True, slots=True)
class Point:
    """One number to export. `is_delta` tells a sum over the interval from a gauge at its end."""

    metric: str
    unit: str
    value: int
    attributes: Attributes
    is_delta: bool = True


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """How many edges may leave each interval.

    `per_process`: destinations of one process with rows of their own (50: a scan has one row, the usual peers keep
    theirs). `total`: of the node (20,000: about 4 MB of OTLP before gzip).
    """

    per_process: int = 50
    total: int = 20_000


@dataclass(frozen=True, slots=True)
class Edges:
    """What became of one interval's rows. `folded` edges were added to an "(other)"."""

    sums: dict[Edge, FlowValue]
    folded: int


def sum_edges(
    flows: Iterable[Flow],
    local: Callable[[FlowKey], Place],
    remote: Callable[[FlowKey], Place],
    limits: EdgeLimits,
) -> Edges:
    """Sum rows into edges and fold what is beyond the limits. Nothing is lost: totals before and after are equal."""
    by_process: dict[Place, dict[Edge, FlowValue]] = defaultdict(dict)
    locals_of: dict[tuple[int, int, bytes], Place] = {}
    for flow in flows:
        key = flow.key
        who = (key.cgroup, key.tgid, key.name)
        if who not in locals_of:
            locals_of[who] = local(key)
        edge = Edge(locals_of[who], remote(key), key.protocol, key.opener, PORT_CLASSES[key.port_class])
        _add(by_process[edge.local], edge, flow.value)
    folded = 0
    for place, edges in by_process.items():
        by_process[place], count = _fold(edges, limits.per_process)
        folded += count
    sums = {edge: value for edges in by_process.values() for edge, value in edges.items()}
    if len(sums) > limits.total:
        sums, count = _fold_processes(sums, limits.total)
        folded += count
    return Edges(sums, folded)


def _add(edges: dict[Edge, FlowValue], edge: Edge, value: FlowValue) -> None:
    if edge in edges:
        edges[edge].add(value)
    else:
        edges[edge] = replace(value)


def _weight(item: tuple[Edge, FlowValue]) -> tuple[int, int]:
    value = item[1]
    return value.tx_bytes + value.rx_bytes, value.tx_packets + value.rx_packets + value.sockets


def _fold(edges: dict[Edge, FlowValue], keep: int) -> tuple[dict[Edge, FlowValue], int]:
    """The `keep` heaviest edges, the rest summed by kind of destination."""
    if len(edges) <= keep:
        return edges, 0
    ranked = sorted(edges.items(), key=_weight, reverse=True)
    kept = dict(ranked[:keep])
    for edge, value in ranked[keep:]:
        folded = Edge(edge.local, other(edge.remote.kind), edge.protocol, edge.opener, PORT_CLASSES[0])
        _add(kept, folded, value)
    return kept, len(ranked) - keep


def _fold_processes(sums: dict[Edge, FlowValue], keep: int) -> tuple[dict[Edge, FlowValue], int]:
    """Beyond the node's limit a light edge goes under its workload without process and destination.

    Where even that is too much (more workloads than rows) it goes under "(other)" of the node.
    """
    ranked = sorted(sums.items(), key=_weight, reverse=True)
    kept = dict(ranked[: keep // 2])
    rest: dict[Edge, FlowValue] = {}
    for edge, value in ranked[keep // 2 :]:
        place = replace(edge.local, process="", container="", image="", path="", sha256="")
        _add(rest, Edge(place, other(edge.remote.kind), edge.protocol, Opener.UNKNOWN, PORT_CLASSES[0]), value)
    if len(rest) > keep - keep // 2:
        everything, rest = rest, {}
        for edge, value in everything.items():
            nobody = other(EndpointClass.UNKNOWN)
            _add(rest, Edge(nobody, nobody, edge.protocol, Opener.UNKNOWN, PORT_CLASSES[0]), value)
    for edge, value in rest.items():
        _add(kept, edge, value)
    return kept, len(ranked) - keep // 2


def points_of(edges: dict[Edge, FlowValue]) -> list[Point]:
    """Points of every edge, both directions; zeros are left out: absent is zero while the heartbeat lives.

    A new socket is a point whose source is the side that opened it. Where the meter's node is the destination the
    source was seen from afar: `ebbtide.reporter` says which end measured, so that two meters' views of one edge can be
    told apart.
    """
    points = []
    for edge, value in edges.items():
        prefix = edge.protocol.name.lower()
        sent, received = attributes_of(edge, is_sent=True), attributes_of(edge, is_sent=False)
        opened = received if edge.opener is Opener.REMOTE else sent
        for metric, amount, attributes in (
            ("bytes", value.tx_bytes, sent),
            ("bytes", value.rx_bytes, received),
            ("packets", value.tx_packets, sent),
            ("packets", value.rx_packets, received),
            ("new_sockets", value.sockets, opened),
        ):
            if amount > 0:
                points.append(Point(f"{prefix}.{metric}", _UNITS[metric], amount, attributes))
    return points


def attributes_of(edge: Edge, *, is_sent: bool) -> Attributes:
    """Attributes of one direction of an edge, sorted by name; what is not known is absent."""
    source, dest = (edge.local, edge.remote) if is_sent else (edge.remote, edge.local)
    found = {**_place_attributes("source", source), **_place_attributes("dest", dest)}
    found["ebbtide.reporter"] = "source" if is_sent else "dest"
    if edge.opener is not Opener.UNKNOWN:
        is_source = (edge.opener is Opener.LOCAL) == is_sent
        found["connection.opener"] = "source" if is_source else "dest"
        found["dest.port.class" if is_source else "source.port.class"] = edge.port_class
    return tuple(sorted((name, text) for name, text in found.items() if text))


def _place_attributes(side: str, place: Place) -> dict[str, str]:
    return {
        f"{side}.workload.name": place.workload,
        f"{side}.namespace.name": place.namespace,
        f"{side}.process.name": place.process,
        f"{side}.container.name": place.container,
        f"{side}.image_version": place.image,
        f"{side}.resolution_type": place.resolution,
        f"{side}.class": place.kind.value,
        f"{side}.dns.name": place.dns_name,
        f"{side}.ip": place.ip,
        f"{side}.process.executable.path": place.path,
        f"{side}.process.executable.sha256": place.sha256,
    }
