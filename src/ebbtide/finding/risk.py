"""How much a finding adds to whose risk, and what that adds up to over a day.

Risk = impact x confidence / 100, as upstream's page defines it. Points of one object add up; above 100 in 24 h it is an
incident (the default rule of Splunk ES, strictly greater: four findings of 25 are not, five are). A finding adds once,
when it opens or re-opens; upstream adds 25 every hour for as long as a process stays high.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ebbtide.detect.detection import Detection
from ebbtide.series import DAY_NS, Entity

#: More points than this on one object within a day are an incident.
INCIDENT_SCORE = 100.0


@dataclass(frozen=True, slots=True)
class Risk:
    """What a finding adds: `score` = `impact` x `confidence` / 100, all 0 to 100, to `object`."""

    score: float
    impact: float
    confidence: float
    object: str
    object_type: str


@dataclass(frozen=True, slots=True)
class RiskEvent:
    """That an object's risk grew by `score` at `at_ns`."""

    object: str
    object_type: str
    score: float
    at_ns: int


def risk_of(detection: Detection, entity: Entity, confidence: float | None = None) -> Risk:
    """The risk of a finding of this detection on this entity; `confidence` takes the place of the detection's own.

    The object is the cluster's name as it is (upstream's `host`), or a path `cluster/namespace/workload[/process]` in
    which a missing part is `-` and a slash inside a name is `%2F`.
    """
    spec = detection.risk
    sure = spec.confidence if confidence is None else min(max(confidence, 0.0), 100.0)
    name = entity.cluster
    if spec.object != "cluster":
        name = path_of(entity) + (f"/{_path_part(entity.process)}" if spec.object == "entity" else "")
    return Risk(spec.impact * sure / 100, spec.impact, sure, name, spec.object_type)


def path_of(entity: Entity) -> str:
    """The workload of an entity as an object of risk.

    >>> path_of(Entity("prod", "", "a/b", "curl"))
    'prod/-/a%2Fb'
    """
    return "/".join(_path_part(part) for part in (entity.cluster, entity.namespace, entity.workload))


def _path_part(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F") or "-"


def accumulate(events: Iterable[RiskEvent], now_ns: int, span_ns: int = DAY_NS) -> dict[tuple[str, str], float]:
    """Points per (object, object_type) of the events in (now - span, now], largest first.

    >>> accumulate([RiskEvent("prod", "system", 25, 5), RiskEvent("prod", "system", 25, 6)], now_ns=7)
    {('prod', 'system'): 50.0}
    """
    points: dict[tuple[str, str], float] = {}
    for event in events:
        if now_ns - span_ns < event.at_ns <= now_ns:
            key = (event.object, event.object_type)
            points[key] = points.get(key, 0.0) + event.score
    return dict(sorted(points.items(), key=lambda item: (-item[1], item[0])))


def is_incident(points: float) -> bool:
    """Whether an object's points of a day are an incident: strictly more than `INCIDENT_SCORE`."""
    return points > INCIDENT_SCORE
