"""A source's attributes to our nouns: (metric, attributes) -> a series, or the reason why not.

This is the compiled form of a `Preset`. It runs once per new series, not per point, so it may look at everything; it
keeps no state but a memo of endpoints, which `forget` empties.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

from ebbtide.decode.preset import Meaning, MetricRule, Pick, Preset, Side
from ebbtide.series import Endpoint, EndpointClass, Entity

Labels = Mapping[str, str]
_ENTITY_KINDS: Final = frozenset({EndpointClass.INTERNAL, EndpointClass.HOST})
_SCALE_BY_MAX: Final = 1e6


class Meant(IntEnum):
    """What the numbers of a series mean."""

    DELTA = 0
    CUMULATIVE = 1
    VALUE = 2


@dataclass(frozen=True, slots=True)
class Ignored:
    """This series is not ours, and why. For a heartbeat `cluster` says whose."""

    reason: str
    cluster: str = ""


class Edge(NamedTuple):
    """Who is on either side, as the preset's `sender` and `receiver` read it.

    `own_cluster` is false where the configured default stood in for the cluster.
    """

    near: Entity | None
    far: Entity | None
    near_end: Endpoint
    far_end: Endpoint
    image_version: str
    own_cluster: bool


class Mapped(NamedTuple):
    """What a series is. `edge.near` is who sent, unless `is_received`: then it is who received."""

    metric: str
    meant: Meant
    scale: float
    is_received: bool
    edge: Edge


class Mapper:
    """The pure function of a preset. `default_cluster` names the cluster of points that name none."""

    def __init__(self, preset: Preset, default_cluster: str = "default") -> None:
        self.preset = preset
        self.default_cluster = default_cluster if preset.default_cluster else ""
        self._missing = frozenset(preset.missing)
        self._missing_clusters = self._missing | frozenset(preset.missing_clusters)
        self._rules: dict[str, tuple[MetricRule, ...]] = {}
        self._identity = [(rule, re.compile(rule.pattern)) for rule in preset.identity]
        self._picks: dict[str, re.Pattern[str]] = {}
        self._heartbeats = frozenset(preset.heartbeats)
        self._edges: dict[tuple[str | None, ...], Edge | None] = {}
        self._edge_attributes = _edge_attributes(preset)

    def forget(self) -> None:
        """Drop the memo; what is dropped is only slower the next time."""
        self._edges.clear()
        self._rules.clear()

    def wants(self, metric: str) -> bool:
        """Whether some rule, or the heartbeat, is about this metric."""
        return metric in self._heartbeats or bool(self._rules_for(metric))

    def map(self, metric: str, meant: Meant | None, point: Labels, resource: Labels) -> Mapped | Ignored:
        """Whose traffic a series is. `meant` None: the source gave no type, the preset decides.

        Point attributes win over the resource's of the same name; a missing value counts as absent.
        """
        if metric in self._heartbeats:
            return Ignored("heartbeat", self._reporter(point, resource)[0])
        rule = self._rule(metric, point, resource)
        if isinstance(rule, Ignored):
            return rule
        views = self.preset.views
        if views is not None:
            level = point.get(views.attribute) or resource.get(views.attribute) or views.use
            if level != views.use:
                return Ignored("other_aggregation_view")
        if meant is None:
            if rule.untyped == "ignore":
                return Ignored("untyped")
            meant = _MEANT[rule.untyped]
        edge = self._edge(point, resource)
        if edge is None:
            return Ignored("no_entity")
        if rule.counts_for != "both":
            edge = edge._replace(far=None) if rule.counts_for == "sender" else edge._replace(near=None)
            if edge.near is None and edge.far is None:
                return Ignored("other_end")
        to = metric if rule.to == "*" else rule.to
        scale = rule.scale if rule.scale_by is None else rule.scale * self._scale_by(rule.scale_by, point, resource)
        return Mapped(to, meant, scale, rule.direction == "receive", edge)

    def _edge(self, point: Labels, resource: Labels) -> Edge | None:
        """Both ends, None if neither is an entity. Most new series have an edge seen before, of another pod or zone."""
        key = tuple(map(point.get, self._edge_attributes))
        if resource:
            key += tuple(map(resource.get, self._edge_attributes))
        if key not in self._edges:
            self._edges[key] = self._make_edge(point, resource)
        return self._edges[key]

    def _make_edge(self, point: Labels, resource: Labels) -> Edge | None:
        sender, receiver = self.preset.sender, self.preset.receiver
        cluster, own_cluster = self._reporter(point, resource)
        here = self._cluster(sender.environment, point, resource)
        there = self._cluster(receiver.environment, point, resource)
        near_end, near = self._end(sender, point, resource, _side_cluster(here, there, cluster))
        far_end, far = self._end(receiver, point, resource, _side_cluster(there, here, cluster))
        if near is None and far is None:
            return None
        image_version = self._read(sender.image_version, point, resource)
        return Edge(near, far, near_end, far_end, image_version, own_cluster)

    # -- fields

    def _read(self, picks: list[Pick], point: Labels, resource: Labels) -> str:
        """The first pick that is not missing, "" if all are."""
        for pick in picks:
            for labels in (point, resource):
                value = labels.get(pick.attribute)
                if value is not None and pick.pattern is not None:
                    found = self._compiled(pick.pattern).search(value)
                    value = found[1] if found else None
                if value is not None and value not in self._missing:
                    return value
        return ""

    def _compiled(self, pattern: str) -> re.Pattern[str]:
        if pattern not in self._picks:
            self._picks[pattern] = re.compile(pattern)
        return self._picks[pattern]

    def _cluster(self, picks: list[Pick], point: Labels, resource: Labels) -> str:
        value = self._read(picks, point, resource) if picks else ""
        return "" if value in self._missing_clusters else value

    def _reporter(self, point: Labels, resource: Labels) -> tuple[str, bool]:
        """The cluster a point comes from, and whether it said so itself."""
        preset = self.preset
        for picks in (preset.cluster, preset.sender.environment, preset.receiver.environment):
            if cluster := self._cluster(picks, point, resource):
                return cluster, True
        return self.default_cluster, False

    def _end(self, side: Side, point: Labels, resource: Labels, cluster: str) -> tuple[Endpoint, Entity | None]:
        """One end as a place, and as an entity where it is known well enough."""
        namespace = self._read(side.namespace, point, resource)
        workload = self._read(side.workload, point, resource)
        process = self._read(side.process, point, resource)
        kind = self._kind(side, workload, point, resource)
        is_local = kind in _ENTITY_KINDS or side.any_kind_is_entity
        if is_local:
            workload = self._identify("workload", workload)
            process = self._identify("process", self._cut(process))
        known = {"namespace": namespace, "workload": workload, "process": process}
        entity = None
        if is_local and all(known[field] for field in side.needs):
            entity = Entity(cluster, namespace, workload, process)
        place = workload or self._read(side.place, point, resource)
        return Endpoint(cluster if is_local else "", namespace, place, process, kind), entity

    def _kind(self, side: Side, workload: str, point: Labels, resource: Labels) -> EndpointClass:
        rule = side.kind
        if workload in rule.names:
            return rule.names[workload]
        for attribute in rule.attributes:
            value = point.get(attribute) or resource.get(attribute)
            if value in rule.values:
                return rule.values[value]
        return rule.known if workload else rule.otherwise

    def _cut(self, process: str) -> str:
        encoded = process.encode("utf-8", "replace")
        limit = self.preset.process_bytes or len(encoded)
        return process if len(encoded) <= limit else encoded[:limit].decode("utf-8", "ignore")

    def _identify(self, field: str, name: str) -> str:
        for rule, pattern in self._identity:
            if rule.field == field:
                name = pattern.sub(rule.replace, name) or name
        return name

    # -- rules

    def _rule(self, metric: str, point: Labels, resource: Labels) -> MetricRule | Ignored:
        rules = self._rules_for(metric)
        if not rules:
            return Ignored("other_metric")
        for rule in rules:
            if not rule.where or all(self._fits(*one, point, resource) for one in rule.where.items()):
                return rule
        return Ignored("filtered")

    def _rules_for(self, metric: str) -> tuple[MetricRule, ...]:
        rules = self._rules.get(metric)
        if rules is None:
            rules = tuple(rule for rule in self.preset.metrics if any(_names(name, metric) for name in rule.name))
            if rules or len(self._rules) < 10_000:
                self._rules[metric] = rules
        return rules

    def _fits(self, attribute: str, values: list[str] | None, point: Labels, resource: Labels) -> bool:
        value = point.get(attribute) or resource.get(attribute) or ""
        if values is None:
            return value in self._missing
        return value.casefold() in (one.casefold() for one in values)

    @staticmethod
    def _scale_by(attribute: str, point: Labels, resource: Labels) -> float:
        """The number in a rule's sampling attribute; 1 where it is absent or not a number above 0."""
        try:
            factor = float(point.get(attribute) or resource.get(attribute) or 1)
        except ValueError:
            return 1.0
        return factor if 0 < factor <= _SCALE_BY_MAX else 1.0


_MEANT: Final[dict[Meaning, Meant]] = {
    "delta": Meant.DELTA,
    "cumulative": Meant.CUMULATIVE,
    "value": Meant.VALUE,
}


def _edge_attributes(preset: Preset) -> tuple[str, ...]:
    """The attributes that decide about an edge: two series that agree in these have the same ends."""
    names = {pick.attribute: None for pick in preset.cluster}
    for side in (preset.sender, preset.receiver):
        for picks in (side.environment, side.namespace, side.workload, side.process, side.place, side.image_version):
            names.update((pick.attribute, None) for pick in picks)
        names.update(dict.fromkeys(side.kind.attributes))
    return tuple(names)


def _names(pattern: str, metric: str) -> bool:
    return metric.startswith(pattern[:-1]) if pattern.endswith("*") else metric == pattern


def _side_cluster(own: str, other: str, reporter: str) -> str:
    """The cluster of one end, from the environments of both and the cluster that reports.

    The reporter's name wins (a collector may call the cluster otherwise than its agents do), except where the two
    ends say that they are in different clusters and the other end is the reporter's own.
    """
    return own if own and other and own != other and other == reporter else reporter
