"""Flows to the points a source would send: one series per metric, direction, labels and part of an edge.

The source is opentelemetry-network (its reducer, v0.10.2): deltas of 30 s, every edge in both directions with the
sender of the bytes as `source`, new sockets on one of the two, labels that change with an image, and `aggregation`
views that repeat the same bytes. In: `Flows`. Out: `Points`, columns that refer to labels.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ebbtide.errors import UsageError
from ebbtide.lab.simulate_plan import INTERVAL_S, Party, Plan
from ebbtide.lab.simulate_traffic import Flows, Simulation
from ebbtide.series import SECOND_NS, Int64

VIEWS = ("az_az", "id_id", "az_id", "id_az")
#: Pods of a workload in the views that tell them apart; as many times as many when it is scaled out.
PODS = 2
UNITS = {"tcp.bytes": "By", "tcp.packets": "1", "tcp.new_sockets": "1", "udp.bytes": "By", "udp.packets": "1"}
_TCP = ("tcp.bytes", "tcp.packets", "tcp.new_sockets")
_UDP = ("udp.bytes", "udp.packets")
Attributes = tuple[tuple[str, str], ...]


class Label(NamedTuple):
    """One series, as the source names it."""

    metric: str
    attributes: Attributes


class Slot(NamedTuple):
    """Which of an edge's series: metric, direction, view, and which part of it (a zone or a pod)."""

    metric: str
    is_down: bool
    view: str
    part: int


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points by interval, (points,): `ref` indexes `labels`, `interval` since 1970, `value` whole, all int64."""

    labels: tuple[Label, ...]
    ref: Int64
    interval: Int64
    value: Int64

    def __len__(self) -> int:
        return len(self.ref)

    @property
    def end_ns(self) -> Int64:
        """When each point's interval ended."""
        return (self.interval + 1) * (INTERVAL_S * SECOND_NS)


class Labeller:
    """Turns flows of one simulation into points. Remembers labels, so that a second hour costs less."""

    def __init__(self, simulation: Simulation, views: tuple[str, ...] = VIEWS[:1]) -> None:
        unknown = [view for view in views if view not in VIEWS]
        if unknown or not views:
            raise UsageError(f"no aggregation view {unknown or views}", hint="any of " + ", ".join(VIEWS))
        self._simulation, self._plan = simulation, simulation.plan
        self._views = views
        self._labels: dict[tuple[int, int, Slot], Label] = {}
        self._is_udp = simulation.columns.whole["is_udp"].astype(bool)
        self._sockets_down = _sockets_down(simulation)

    def points(self, flows: Flows) -> Points:
        """The points of some flows, by interval, then edge, direction and metric."""
        pairs, at = np.unique(flows.edge << 20 | flows.epoch, return_inverse=True)
        pods = PODS * int(flows.replicas.max(initial=1))
        slots = {is_udp: self._slots(_UDP if is_udp else _TCP, pods) for is_udp in (False, True)}
        width = max(map(len, slots.values()))
        udp = self._is_udp[flows.edge]
        parts = [
            (rows, number, self._values(flows, rows, slot))
            for is_udp, of_kind in slots.items()
            for number, slot in enumerate(of_kind)
            for rows in (np.flatnonzero((udp == is_udp) & (slot.part < self._parts(flows, slot))),)
        ]
        rows = np.concatenate([one[0] for one in parts])
        numbers = np.concatenate([np.full(len(one[0]), one[1]) for one in parts])
        values = np.concatenate([one[2] for one in parts])
        order = np.argsort(rows * width + numbers, kind="stable")
        rows, numbers, values = rows[order], numbers[order], values[order]
        used, ref = np.unique(at[rows] * width + numbers, return_inverse=True)
        labels = tuple(self._label(int(pairs[one // width]), slots, int(one % width)) for one in used.tolist())
        return Points(labels, ref, flows.interval[rows], values)

    def _slots(self, metrics: tuple[str, ...], pods: int) -> list[Slot]:
        return [
            Slot(metric, is_down, view, part)
            for view in self._views
            for part in range(self._plan.parameters.zones if view == VIEWS[0] else pods)
            for is_down in (False, True)
            for metric in metrics
        ]

    def _parts(self, flows: Flows, slot: Slot) -> Int64:
        """Into how many series of its kind each flow is split."""
        zones = self._plan.parameters.zones
        return np.full(len(flows), zones) if slot.view == VIEWS[0] else PODS * flows.replicas

    def _values(self, flows: Flows, rows: Int64, slot: Slot) -> Int64:
        if slot.metric.endswith(".bytes"):
            whole = flows.down[rows] if slot.is_down else flows.up[rows]
        elif slot.metric.endswith(".packets"):
            whole = flows.down_packets[rows] if slot.is_down else flows.up_packets[rows]
        else:
            whole = np.where(self._sockets_down[flows.edge[rows]] == slot.is_down, flows.sockets[rows], 0)
        parts = self._parts(flows, slot)[rows]
        return whole // parts + (slot.part < whole % parts)

    def _label(self, pair: int, slots: dict[bool, list[Slot]], number: int) -> Label:
        edge, epoch = pair >> 20, pair & 0xFFFFF
        slot = slots[bool(self._is_udp[edge])][number]
        key = (edge, epoch, slot)
        if key not in self._labels:
            self._labels[key] = Label(slot.metric, self._attributes(edge, epoch, slot))
        return self._labels[key]

    def _attributes(self, edge: int, epoch: int, slot: Slot) -> Attributes:
        one, epochs = self._plan.edges[edge], self._simulation.epochs
        since = epochs.times(self._plan, edge)[epoch - 1] if epoch else 0
        ends = (one.server, one.client) if slot.is_down else (one.client, one.server)
        sides: list[tuple[str, str]] = []
        for name, end in zip(("source", "dest"), ends, strict=True):
            party = self._plan.parties[end]
            version = 1 + sum(time <= since for time in epochs.of_party.get(end, ()))
            sides += describe(name, party, version, slot.part if slot.view == VIEWS[0] else 0)
            if slot.view == "id_id" or slot.view == ("id_az" if name == "source" else "az_id"):
                sides += _pod(name, party, slot.part)
        equal = "true" if all(self._plan.parties[end].entity for end in ends) else "false"
        return (("aggregation", slot.view), ("az_equal", equal), ("sf_product", "network-explorer"), *sides)


def _sockets_down(simulation: Simulation) -> Int64:
    """Which edges' new sockets are told from the server's side, (edges,) 0 or 1.

    The reporting side has them: the local one for a peer outside, else whichever agent came first.
    """
    plan = simulation.plan
    thrown = (simulation.columns.key >> np.uint64(60)) & np.uint64(1)
    local = np.array([_is_local(plan, edge.client) for edge in plan.edges], bool)
    remote = np.array([_is_local(plan, edge.server) for edge in plan.edges], bool)
    return np.where(local & remote, thrown.astype(np.int64), (~local).astype(np.int64))


def _is_local(plan: Plan, party: int) -> bool:
    return plan.parties[party].entity is not None


def describe(side: str, party: Party, version: int, zone: int = 0) -> list[tuple[str, str]]:
    """A party's attributes on one side (`source` or `dest`), as the reducer writes them; empty ones are left out."""
    is_local = party.entity is not None
    named = {
        "workload.name": party.shown or party.workload or "(unknown)",
        "workload.uid": _uid(party) if party.resolution == "K8S_CONTAINER" else "",
        "namespace.name": party.namespace,
        "process.name": party.process,
        "container.name": party.container,
        "image_version": f"'{party.image}{version}'" if party.image else "",
        "environment": party.cluster if is_local else "(no agent)",
        "availability_zone": f"zone-{'abcdefghij'[zone % 10]}" if is_local else "",
        "resolution_type": party.resolution,
    }
    return [(f"{side}.{name}", value) for name, value in named.items() if value]


def _pod(side: str, party: Party, number: int) -> list[tuple[str, str]]:
    if party.entity is None:
        return []
    digest = hashlib.blake2b(f"{_uid(party)}/{number}".encode(), digest_size=4).digest()
    address = f"10.{digest[0]}.{digest[1]}.{digest[2]}"
    name = f"{party.workload}-{digest.hex()}"
    return [(f"{side}.id", digest.hex()), (f"{side}.ip", address), (f"{side}.pod", name)]


def _uid(party: Party) -> str:
    text = f"{party.cluster}/{party.namespace}/{party.workload}"
    return str(uuid.UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest()))
