"""A verdict of the outbound detector becomes a finding, in the same form as all others.

The bucket is the time between two evaluations, so an episode ends where it would for any detector. Per metric the
evidence shows the window that tells most, and the record hour as its line.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ebbtide.baseline.trailing_statistics import Statistic
from ebbtide.detect.detection import Detection
from ebbtide.finding.annotations import annotate
from ebbtide.finding.evidence import (
    DESTINATIONS_KEPT,
    BaselineMoments,
    DestinationShare,
    Evidence,
    HitBucket,
    MetricEvidence,
)
from ebbtide.finding.finding import Finding, uid_of
from ebbtide.finding.headline import unit_of
from ebbtide.finding.message import render, tokens_of
from ebbtide.finding.novelty_evidence import NoveltyEvidence
from ebbtide.finding.outbound_evidence import OutboundEvidence, PairEvidence
from ebbtide.finding.outbound_words import outbound_headline, window_of
from ebbtide.finding.risk import risk_of
from ebbtide.series import DAY_NS, Entity


@dataclass(frozen=True, slots=True)
class Around:
    """What is known beside the verdict: destinations of the window, the usual hour by metric, the unit if not the
    metric's own, and whether this time had been judged before."""

    destinations: tuple[DestinationShare, ...] = ()
    usual_hour: Mapping[str, float] | None = None
    unit: str = ""
    is_late: bool = False


def outbound_finding(
    detection: Detection, entity: Entity, found: OutboundEvidence, now_ns: int, history_days: int, around: Around
) -> Finding:
    """The finding of one entity at one instant."""
    main = found.main
    unit = unit_of(main.metric, around.unit)
    bucket_ns = detection.every_ns
    opened_ns = now_ns - bucket_ns
    places = sorted(around.destinations, key=lambda one: (-one.bytes, one.endpoint))
    evidence = Evidence(
        detection.detector,
        detection.options,
        detection.version,
        now_ns - detection.window_ns,
        now_ns,
        bucket_ns,
        now_ns // DAY_NS * DAY_NS - history_days * DAY_NS,
        now_ns // DAY_NS * DAY_NS,
        False,
        1,
        tuple(_metric(one, opened_ns, around) for one in found.pairs),
        tuple(places[:DESTINATIONS_KEPT]),
        max(0, len(places) - DESTINATIONS_KEPT),
        found,
    )
    sentence = outbound_headline(entity, found, unit, evidence.destinations)
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


def confidence_of(found: OutboundEvidence | NoveltyEvidence) -> float:
    """How sure a finding is, 0 to 100, by how rare the like is: 50 at ten per 1000 entity-days, 20 more a factor 10.

    >>> from types import SimpleNamespace
    >>> [round(confidence_of(SimpleNamespace(score=-math.log(rate)))) for rate in (100.0, 10.0, 1.0, 0.01)]
    [30, 50, 70, 95]
    """
    per_1000 = math.exp(-found.score)
    return round(min(95.0, max(10.0, 50.0 + 20.0 * math.log10(10.0 / max(per_1000, 1e-9)))), 1)


def _metric(one: PairEvidence, opened_ns: int, around: Around) -> MetricEvidence:
    at = window_of(one)
    sent = one.sent[at] if not math.isnan(one.sent[at]) else 0.0
    hourly = [value for value in one.maxima[Statistic.VOLUME_1H] if not math.isnan(value)]
    record = max((math.exp(value) - one.floor for value in hourly), default=0.0)
    usual = None if around.usual_hour is None else around.usual_hour.get(one.metric)
    return MetricEvidence(
        one.metric,
        unit_of(one.metric, around.unit),
        sent,
        sent,
        usual or 0.0,
        0.0,
        max(record, 0.0),
        BaselineMoments(len(hourly), usual or 0.0, 0.0, 0.0, max(record, 0.0)),
        usual,
        (HitBucket(opened_ns, sent, 1, sent),),
    )
