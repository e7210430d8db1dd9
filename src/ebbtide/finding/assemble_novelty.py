"""A verdict of the novelty detector becomes a finding, in the same form as all others.

The bucket is the time between two evaluations, as for the outbound detector; the line of each metric is what would have
stayed quiet, all else alike.
"""

from __future__ import annotations

from ebbtide.detect.detection import Detection
from ebbtide.detect.novelty_options import Channel, NoveltyOptions
from ebbtide.finding.annotations import annotate
from ebbtide.finding.assemble_outbound import Around, confidence_of
from ebbtide.finding.evidence import DESTINATIONS_KEPT, BaselineMoments, Evidence, HitBucket, MetricEvidence
from ebbtide.finding.finding import Finding, uid_of
from ebbtide.finding.headline import unit_of
from ebbtide.finding.message import render, tokens_of
from ebbtide.finding.novelty_evidence import NoveltyEvidence
from ebbtide.finding.novelty_words import is_beacon, novelty_headline, quiet_amount
from ebbtide.finding.risk import risk_of
from ebbtide.series import DAY_NS, Entity

_TAIL = NoveltyOptions().tail


def novelty_finding(
    detection: Detection, entity: Entity, found: NoveltyEvidence, metrics: dict[str, float], now_ns: int, around: Around
) -> Finding:
    """The finding of one entity at one instant. `metrics`: what the hour had of each, by name."""
    bucket_ns = detection.every_ns
    opened_ns = now_ns - bucket_ns
    places = sorted(around.destinations, key=lambda one: (-one.bytes, one.endpoint))
    today_ns = now_ns // DAY_NS * DAY_NS
    evidence = Evidence(
        detection.detector,
        detection.options,
        detection.version,
        now_ns - detection.window_ns,
        now_ns,
        bucket_ns,
        today_ns - detection.baseline.length_ns,
        today_ns,
        False,
        1,
        tuple(_metric(name, value, found, opened_ns, around) for name, value in metrics.items()),
        tuple(places[:DESTINATIONS_KEPT]),
        max(0, len(places) - DESTINATIONS_KEPT),
        None,
        found,
    )
    unit = unit_of("bytes", around.unit)
    sentence = novelty_headline(entity, found, unit, evidence.destinations)
    risk = risk_of(detection, entity, confidence_of(found))
    tokens = tokens_of(detection, entity, evidence, risk, sentence)
    return Finding(
        uid_of(detection.uuid, detection.id, detection.major, entity, opened_ns),
        detection.id,
        detection.name,
        detection.version,
        entity,
        opened_ns,
        opened_ns,
        now_ns,
        render(detection.headline, tokens) if detection.headline else sentence,
        render(detection.message, tokens),
        risk,
        annotate(detection),
        1,
        evidence,
        is_late=around.is_late,
    )


def _metric(name: str, value: float, found: NoveltyEvidence, opened_ns: int, around: Around) -> MetricEvidence:
    usual = None if around.usual_hour is None else around.usual_hour.get(name)
    most = found.facts["most_sockets"] if found.main is Channel.FAN_OUT and name.endswith("new_sockets") else 0.0
    return MetricEvidence(
        name,
        unit_of(name, around.unit),
        value,
        value,
        usual or 0.0,
        0.0,
        value if is_beacon(found) else quiet_amount(found, value, _TAIL[found.main]),
        BaselineMoments(int(found.facts["days"]), usual or 0.0, 0.0, 0.0, most),
        usual,
        (HitBucket(opened_ns, value, 1, value),),
    )
