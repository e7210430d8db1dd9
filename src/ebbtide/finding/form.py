"""Findings as JSON and back: schema version 1, fixed order of keys, RFC 3339 UTC, numbers to the last bit.

Numbers that JSON has no word for (an overflowed sum, the range of an empty baseline) are the strings `inf`, `-inf`,
`nan`. A hit is a list `[bucket, total, points, value]`: an hour of five metrics may have 1805 of them. What is read
back is checked; text that is no finding raises DataError.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from ebbtide.errors import DataError
from ebbtide.finding import novelty_form, outbound_form
from ebbtide.finding.annotations import Annotations, Technique
from ebbtide.finding.evidence import BaselineMoments, DestinationShare, Evidence, HitBucket, Member, MetricEvidence
from ebbtide.finding.filters import Filter, matchers_text, parse_matchers
from ebbtide.finding.finding import Finding
from ebbtide.finding.risk import Risk
from ebbtide.finding.text import parse_rfc3339, rfc3339
from ebbtide.finding.upstream import UpstreamRow
from ebbtide.series import Endpoint, EndpointClass, Entity

SCHEMA_VERSION = 1


def to_object(finding: Finding) -> dict[str, object]:
    """The finding as JSON-ready dictionaries and lists."""
    return {
        "schema": SCHEMA_VERSION,
        "uid": finding.uid,
        "detection": {
            "id": finding.detection_id,
            "name": finding.detection_name,
            "version": finding.detection_version,
        },
        "entity": _entity(finding.entity),
        "opened": rfc3339(finding.opened_ns),
        "last": rfc3339(finding.last_ns),
        "at": rfc3339(finding.at_ns),
        "headline": finding.headline,
        "message": finding.message,
        "risk": _risk(finding.risk),
        "annotations": _annotations(finding.annotations),
        "count": finding.count,
        "evidence": _evidence(finding.evidence),
        "upstream": finding.upstream.as_fields() if finding.upstream else None,
        "hidden_by": list(finding.hidden_by),
        "late": finding.is_late,
    }


def to_json(finding: Finding, indent: int | None = None) -> str:
    """The finding as one JSON object, ASCII only; equal findings give equal text."""
    separators = (",", ":") if indent is None else (",", ": ")
    return json.dumps(to_object(finding), indent=indent, separators=separators, allow_nan=False)


def from_json(text: str) -> Finding:
    """The finding that `to_json` wrote. Raises DataError for anything else, with the reason."""
    try:
        found = json.loads(text, parse_constant=_refuse)
        if not isinstance(found, dict) or found.get("schema") != SCHEMA_VERSION:
            raise ValueError(f"no object of schema {SCHEMA_VERSION}")
        return _read(found)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        reason = f"`{error.args[0]}` is missing" if isinstance(error, KeyError) else str(error)
        raise DataError(f"not a finding: {reason}", hint="a finding's JSON comes from `ebbtide`, unchanged") from error


def _entity(entity: Entity) -> dict[str, object]:
    return {
        "cluster": entity.cluster,
        "namespace": entity.namespace,
        "workload": entity.workload,
        "process": entity.process,
    }


def _risk(risk: Risk) -> dict[str, object]:
    return {
        "score": risk.score,
        "impact": risk.impact,
        "confidence": risk.confidence,
        "object": risk.object,
        "object_type": risk.object_type,
    }


def _annotations(annotations: Annotations) -> dict[str, object]:
    return {
        "mitre_attack": [
            {"id": one.id, "name": one.name, "tactics": list(one.tactics)} for one in annotations.mitre_attack
        ],
        "kill_chain": list(annotations.kill_chain),
        "nist": list(annotations.nist),
        "cis20": list(annotations.cis20),
        "cve": list(annotations.cve),
        "story": list(annotations.story),
        "type": annotations.type,
        "security_domain": annotations.security_domain,
    }


def _evidence(evidence: Evidence) -> dict[str, object]:
    row: dict[str, object] = {
        "detector": evidence.detector,
        "options": dict(evidence.options),
        "detection_version": evidence.detection_version,
        "window": {"start": rfc3339(evidence.window_start_ns), "end": rfc3339(evidence.window_end_ns)},
        "bucket_ns": evidence.bucket_ns,
        "baseline": {
            "from": rfc3339(evidence.baseline_from_ns),
            "to": rfc3339(evidence.baseline_to_ns),
            "snapped": evidence.baseline_snapped,
        },
        "count": evidence.count,
        "metrics": [_metric(one) for one in evidence.metrics],
        "destinations": [_destination(one) for one in evidence.destinations],
        "destinations_left_out": evidence.destinations_left_out,
        "outbound": None if evidence.outbound is None else outbound_form.to_object(evidence.outbound),
        "novelty": None if evidence.novelty is None else novelty_form.to_object(evidence.novelty),
    }
    if evidence.fleet:
        row["fleet"] = [_member(one) for one in evidence.fleet]
    return row


def _member(one: Member) -> dict[str, object]:
    return {
        "entity": _entity(one.entity),
        "uid": one.uid,
        "opened": rfc3339(one.opened_ns),
        "risk": one.risk,
        "headline": one.headline,
    }


def _metric(one: MetricEvidence) -> dict[str, object]:
    base = one.baseline
    return {
        "metric": one.metric,
        "unit": one.unit,
        "value": _number(one.value),
        "total": _number(one.total),
        "mean": _number(one.mean),
        "stdev": _number(one.stdev),
        "line": _number(one.line),
        "baseline": {
            "count": base.count,
            "mean": _number(base.mean),
            "m2": _number(base.m2),
            "minimum": _number(base.minimum),
            "maximum": _number(base.maximum),
        },
        "usual_hour": None if one.usual_hour is None else _number(one.usual_hour),
        "hits": [[rfc3339(hit.start_ns), _number(hit.total), hit.points, _number(hit.value)] for hit in one.hits],
        "hits_left_out": one.hits_left_out,
    }


def _destination(one: DestinationShare) -> dict[str, object]:
    place = one.endpoint
    return {
        "cluster": place.cluster,
        "namespace": place.namespace,
        "workload": place.workload,
        "process": place.process,
        "class": place.kind.value,
        "bytes": _number(one.bytes),
        "share": _number(one.share),
        "first_seen": None if one.first_seen_ns is None else rfc3339(one.first_seen_ns),
    }


def _number(value: float) -> float | str:
    return float(value) if math.isfinite(value) else str(float(value))


# `Any` below: parsed JSON has no type until it is read; each value passes one of the checks at the end.


def _read(found: Mapping[str, Any]) -> Finding:
    detection, entity, risk = found["detection"], found["entity"], found["risk"]
    return Finding(
        _text(found["uid"]),
        _text(detection["id"]),
        _text(detection["name"]),
        _text(detection["version"]),
        _read_entity(entity),
        parse_rfc3339(found["opened"]),
        parse_rfc3339(found["last"]),
        parse_rfc3339(found["at"]),
        _text(found["headline"]),
        _text(found["message"]),
        Risk(
            _finite(risk["score"]),
            _finite(risk["impact"]),
            _finite(risk["confidence"]),
            _text(risk["object"]),
            _text(risk["object_type"]),
        ),
        _read_annotations(found["annotations"]),
        _whole(found["count"]),
        _read_evidence(found["evidence"]),
        _read_row(found["upstream"]),
        _texts(found["hidden_by"]),
        bool(found["late"]),
    )


def _read_entity(found: Mapping[str, Any]) -> Entity:
    return Entity(_text(found["cluster"]), _text(found["namespace"]), _text(found["workload"]), _text(found["process"]))


def _read_member(found: Mapping[str, Any]) -> Member:
    return Member(
        _read_entity(found["entity"]),
        _text(found["uid"]),
        parse_rfc3339(found["opened"]),
        _finite(found["risk"]),
        _text(found["headline"]),
    )


def _read_annotations(found: Mapping[str, Any]) -> Annotations:
    return Annotations(
        tuple(Technique(_text(one["id"]), _text(one["name"]), _texts(one["tactics"])) for one in found["mitre_attack"]),
        _texts(found["kill_chain"]),
        _texts(found["nist"]),
        _texts(found["cis20"]),
        _texts(found["cve"]),
        _texts(found["story"]),
        _text(found["type"]),
        _text(found["security_domain"]),
    )


def _read_evidence(found: Mapping[str, Any]) -> Evidence:
    window, baseline = found["window"], found["baseline"]
    bucket_ns = _whole(found["bucket_ns"])
    if bucket_ns <= 0:
        raise ValueError("bucket_ns is not above 0")
    return Evidence(
        _text(found["detector"]),
        dict(found["options"]),
        _text(found["detection_version"]),
        parse_rfc3339(window["start"]),
        parse_rfc3339(window["end"]),
        bucket_ns,
        parse_rfc3339(baseline["from"]),
        parse_rfc3339(baseline["to"]),
        bool(baseline["snapped"]),
        _whole(found["count"]),
        tuple(_read_metric(one) for one in found["metrics"]),
        tuple(_read_destination(one) for one in found["destinations"]),
        _whole(found["destinations_left_out"]),
        # Findings kept before there were such detectors do not have these.
        outbound_form.from_object(found["outbound"]) if found.get("outbound") else None,
        novelty_form.from_object(found["novelty"]) if found.get("novelty") else None,
        tuple(_read_member(one) for one in found.get("fleet", ())),
    )


def _read_metric(found: Mapping[str, Any]) -> MetricEvidence:
    base = found["baseline"]
    return MetricEvidence(
        _text(found["metric"]),
        _text(found["unit"]),
        float(found["value"]),
        float(found["total"]),
        float(found["mean"]),
        float(found["stdev"]),
        float(found["line"]),
        BaselineMoments(
            _whole(base["count"]),
            float(base["mean"]),
            float(base["m2"]),
            float(base["minimum"]),
            float(base["maximum"]),
        ),
        None if found["usual_hour"] is None else float(found["usual_hour"]),
        tuple(
            HitBucket(parse_rfc3339(start), float(total), _whole(points), float(value))
            for start, total, points, value in found["hits"]
        ),
        _whole(found["hits_left_out"]),
    )


def _read_destination(found: Mapping[str, Any]) -> DestinationShare:
    first_seen = found["first_seen"]
    return DestinationShare(
        Endpoint(
            _text(found["cluster"]),
            _text(found["namespace"]),
            _text(found["workload"]),
            _text(found["process"]),
            EndpointClass(found["class"]),
        ),
        float(found["bytes"]),
        float(found["share"]),
        None if first_seen is None else parse_rfc3339(first_seen),
    )


def _read_row(found: Mapping[str, Any] | None) -> UpstreamRow | None:
    if found is None:
        return None
    return UpstreamRow(
        _text(found["host"]),
        _text(found["source.workload.name"]),
        _text(found["source.process.name"]),
        _whole(found["count"]),
        _texts(found["anomalies"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.40} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.40} is no list")
    return tuple(_text(one) for one in value)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r:.40} is no finite number")
    return number


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r:.40} is no whole number")
    return value


def filter_to_json(one: Filter) -> str:
    """A filter as one JSON object; its matchers as `parse_matchers` reads them."""
    return json.dumps(
        {
            "id": one.id,
            "matchers": matchers_text(one.matchers),
            "owner": one.owner,
            "reason": one.reason,
            "created": rfc3339(one.created_ns),
            "expires": None if one.expires_ns is None else rfc3339(one.expires_ns),
            "hits": one.hits,
        }
    )


def filter_from_json(text: str) -> Filter:
    """The filter that `filter_to_json` wrote. Raises DataError for anything else."""
    try:
        found = json.loads(text)
        expires = found["expires"]
        return Filter(
            _text(found["id"]),
            parse_matchers(_text(found["matchers"])),
            _text(found["owner"]),
            _text(found["reason"]),
            parse_rfc3339(found["created"]),
            None if expires is None else parse_rfc3339(expires),
            _whole(found["hits"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"not a stored filter: {error}", hint="remove it and add it again") from error
