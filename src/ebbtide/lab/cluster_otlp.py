"""Injected attacks as points of the simulated source, among the ordinary ones: for files and live receivers."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator

import numpy as np

from ebbtide.lab.cluster_inject import Injection
from ebbtide.lab.simulate_plan import INTERVAL_S, Party, Plan
from ebbtide.lab.simulate_series import Label, Points, describe
from ebbtide.series import SECOND_NS, Endpoint, EndpointClass, Entity


def joined(parts: Iterable[Points]) -> Points:
    """Several sets of points as one, by interval; within an interval in the order given."""
    parts = list(parts)
    labels: list[Label] = []
    refs = []
    for part in parts:
        refs.append(part.ref + len(labels))
        labels += part.labels
    ref, interval, value = (
        np.concatenate(refs),
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("interval", "value")),
    )
    order = np.argsort(interval, kind="stable")
    return Points(tuple(labels), ref[order], interval[order], value[order])


def within(points: Points, first: int, last: int) -> Points:
    """The points of intervals [first, last); `points` are by interval."""
    rows = slice(*np.searchsorted(points.interval, [first, last]).tolist())
    return Points(points.labels, points.ref[rows], points.interval[rows], points.value[rows])


def injected_points(plan: Plan, injection: Injection) -> Points:
    """One injection as the source would tell it, by interval."""
    added = injection.added
    sender = _party(plan, injection.event.sender)
    kind = "udp" if added.is_udp else "tcp"
    columns = [
        (f"{kind}.bytes", False, added.sent),
        (f"{kind}.packets", False, added.packets_out),
        ("tcp.new_sockets", False, added.sockets),
        (f"{kind}.bytes", True, added.received),
        (f"{kind}.packets", True, added.packets_in),
    ]
    interval = added.start_ns // (INTERVAL_S * SECOND_NS)
    parts = []
    for metric, is_back, value in columns:
        if not (added.is_udp and metric == "tcp.new_sockets"):
            labels = tuple(Label(metric, tuple(_attributes(plan, sender, place, is_back))) for place in added.places)
            parts.append(Points(labels, added.place, interval, value.astype(np.int64)))
    return joined(parts)


def _attributes(plan: Plan, sender: Party, place: Endpoint, is_back: bool) -> Iterator[tuple[str, str]]:
    other = _place(plan, place)
    source, dest = (other, sender) if is_back else (sender, other)
    equal = "true" if source.entity and dest.entity else "false"
    yield from (("aggregation", "az_az"), ("az_equal", equal), ("sf_product", "network-explorer"))
    yield from describe("source", source, 1)
    yield from describe("dest", dest, 1)


def _party(plan: Plan, entity: Entity) -> Party:
    """The plan's party that is this entity, or a process more of its workload."""
    for party in plan.parties:
        if party.entity == entity:
            return party
    for party in plan.parties:
        known = party.entity
        if known and (known.namespace, known.workload) == (entity.namespace, entity.workload):
            return dataclasses.replace(party, process=entity.process, shown="")
    return Party(entity.workload, entity.process, entity.namespace, entity.cluster, "K8S_CONTAINER")


def _place(plan: Plan, place: Endpoint) -> Party:
    if place.kind is EndpointClass.EXTERNAL:
        is_address = place.workload.replace(".", "").isdigit()
        return Party(place.workload, resolution="IP" if is_address else "DNS")
    return _party(plan, Entity(place.cluster, place.namespace, place.workload, place.process))
