"""A change as an OCSF 1.8.0 Detection Finding (class 2004), for data lakes and SIEMs that speak the open schema.

A form, not a transport: the webhook and the file of lines speak it with `form: ocsf`. Source: schema.ocsf.io,
`detection_finding`, without profiles; times are milliseconds.
"""

from __future__ import annotations

import math

from ebbtide import __version__
from ebbtide.deliver.sink import Delivery
from ebbtide.deliver.wording import severity
from ebbtide.finding.annotations import Technique
from ebbtide.finding.evidence import DestinationShare, MetricEvidence
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.text import one_line

VERSION = "1.8.0"

_ACTIVITY = {
    Change.OPENED: (1, "Create"),
    Change.UPDATED: (2, "Update"),
    Change.REOPENED: (2, "Update"),
    Change.CLOSED: (3, "Close"),
}
_STATUS = {
    Change.OPENED: (1, "New"),
    Change.UPDATED: (2, "In Progress"),
    Change.REOPENED: (2, "In Progress"),
    Change.CLOSED: (4, "Resolved"),
}
_SEVERITY = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}
#: Lockheed Martin's phases as OCSF numbers and names them.
_PHASE = {
    "Reconnaissance": (1, "Reconnaissance"),
    "Weaponization": (2, "Weaponization"),
    "Delivery": (3, "Delivery"),
    "Exploitation": (4, "Exploitation"),
    "Installation": (5, "Installation"),
    "Command and Control": (6, "Command & Control"),
    "Actions on Objectives": (7, "Actions on Objectives"),
}
#: Numbers of ATT&CK's Enterprise tactics.
_TACTIC = {
    "Reconnaissance": "TA0043", "Resource Development": "TA0042", "Initial Access": "TA0001", "Execution": "TA0002",
    "Persistence": "TA0003", "Privilege Escalation": "TA0004", "Defense Evasion": "TA0005",
    "Credential Access": "TA0006", "Discovery": "TA0007", "Lateral Movement": "TA0008", "Collection": "TA0009",
    "Command and Control": "TA0011", "Exfiltration": "TA0010", "Impact": "TA0040",
}  # fmt: skip


def to_event(delivery: Delivery) -> dict[str, object]:
    """The event as JSON-ready dictionaries and lists; a heartbeat is an Application Lifecycle event (class 6002)."""
    if delivery.is_heartbeat:
        return _heartbeat(delivery)
    finding, risk = delivery.finding, delivery.finding.risk
    activity_id, activity = _ACTIVITY[delivery.change]
    status_id, status = _STATUS[delivery.change]
    word = severity(risk.score)
    event: dict[str, object] = {
        "class_uid": 2004,
        "class_name": "Detection Finding",
        "category_uid": 2,
        "category_name": "Findings",
        "activity_id": activity_id,
        "activity_name": activity,
        "type_uid": 200400 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": _ms(delivery.at_ns),
        "start_time": _ms(finding.opened_ns),
        "end_time": _ms(finding.end_ns),
        "severity_id": _SEVERITY[word],
        "severity": word.capitalize(),
        "status_id": status_id,
        "status": status,
        "is_alert": delivery.change in (Change.OPENED, Change.REOPENED),
        "message": finding.headline,
        "count": finding.count,
        "confidence_score": round(risk.confidence),
        "impact_score": round(risk.impact),
        "risk_score": round(risk.score),
        "risk_details": finding.message,
        "metadata": _metadata(delivery),
        "finding_info": _finding_info(delivery),
        "resources": _resources(finding),
        "evidences": [*map(_metric, finding.evidence.metrics), *map(_destination, finding.evidence.destinations)],
    }
    return {key: value for key, value in event.items() if value != []}


def _heartbeat(delivery: Delivery) -> dict[str, object]:
    return {
        "class_uid": 6002,
        "class_name": "Application Lifecycle",
        "category_uid": 6,
        "category_name": "Application Activity",
        "activity_id": 99,
        "activity_name": "Heartbeat",
        "type_uid": 600299,
        "type_name": "Application Lifecycle: Other",
        "time": _ms(delivery.at_ns),
        "severity_id": 1,
        "severity": "Informational",
        "message": delivery.finding.headline,
        "metadata": _metadata(delivery),
        "app": {"name": "Ebbtide", "vendor_name": "Ebbtide", "version": __version__},
    }


def _ms(instant_ns: int) -> int:
    return instant_ns // 1_000_000


def _metadata(delivery: Delivery) -> dict[str, object]:
    metadata: dict[str, object] = {
        "version": VERSION,
        "product": {"name": "Ebbtide", "vendor_name": "Ebbtide", "version": __version__},
        "uid": delivery.id,
        "correlation_uid": delivery.finding.uid,
        "event_code": delivery.word,
        "logged_time": _ms(delivery.at_ns),
    }
    # A verdict "Test" would need the incident profile.
    return metadata | ({"labels": ["test"]} if delivery.is_test else {})


def _finding_info(delivery: Delivery) -> dict[str, object]:
    finding, said = delivery.finding, delivery.finding.annotations
    info: dict[str, object] = {
        "uid": finding.uid,
        "title": one_line(finding.detection_name),
        "desc": finding.headline,
        "types": [said.type],
        "created_time": _ms(finding.opened_ns),
        "first_seen_time": _ms(finding.opened_ns),
        "last_seen_time": _ms(finding.end_ns),
        "modified_time": _ms(delivery.at_ns),
        "analytic": {
            "uid": finding.detection_id,
            "name": one_line(finding.detection_name),
            "version": finding.detection_version,
            "type_id": 3,
            "type": "Statistical",
            "algorithm": finding.evidence.detector,
        },
        "data_sources": [one.metric for one in finding.evidence.metrics],
        "attacks": [_attack(one) for one in said.mitre_attack],
        "kill_chain": [_phase(one) for one in said.kill_chain],
        "src_url": delivery.link,
    }
    return {key: value for key, value in info.items() if value not in ([], "")}


def _attack(technique: Technique) -> dict[str, object]:
    parent, dot, _ = technique.id.partition(".")
    named = {"uid": technique.id} | ({"name": technique.name} if technique.name else {})
    attack: dict[str, object] = {"technique": {"uid": parent} if dot else named}
    if dot:
        attack["sub_technique"] = named
    if technique.tactics:
        attack["tactics"] = [_tactic(one) for one in technique.tactics]
    return attack


def _tactic(name: str) -> dict[str, str]:
    return {"name": name} | ({"uid": _TACTIC[name]} if name in _TACTIC else {})


def _phase(name: str) -> dict[str, object]:
    number, word = _PHASE.get(name, (99, name))
    return {"phase_id": number, "phase": word}


def _resources(finding: Finding) -> list[dict[str, object]]:
    entity = finding.entity
    kinds = (("workload", entity.workload or "-"), ("process", entity.process), ("cluster", entity.cluster or "-"))
    found: list[dict[str, object]] = [{"name": name, "type": f"Kubernetes {kind}"} for kind, name in kinds if name]
    found[0] |= {"uid": finding.risk.object or "-", "namespace": entity.namespace or "-"}
    return found


def _metric(one: MetricEvidence) -> dict[str, object]:
    numbers = {"value": one.value, "total": one.total, "mean": one.mean, "stdev": one.stdev, "line": one.line}
    return {
        "name": one.metric,
        "data": {"metric": one.metric, "unit": one.unit} | {key: _number(value) for key, value in numbers.items()},
    }


def _destination(one: DestinationShare) -> dict[str, object]:
    data = {"bytes": _number(one.bytes), "share": _number(one.share), "never_seen_before": one.first_seen_ns is None}
    return {"name": "destination", "dst_endpoint": {"name": one.name}, "data": data}


def _number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)
