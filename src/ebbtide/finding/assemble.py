"""Anomalies become findings: identity, evidence, risk and words, one per entity that fired.

A pure function of one evaluation. That a finding of the next evaluation is the same one is `lifecycle`'s to say; that
it is hidden, `filters`'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ebbtide.detect.detection import Detection
from ebbtide.detect.detector import Anomalies, Baseline
from ebbtide.finding.annotations import annotate
from ebbtide.finding.evidence import (
    DESTINATIONS_KEPT,
    HITS_KEPT,
    BaselineMoments,
    DestinationShare,
    Evidence,
    HitBucket,
    MetricEvidence,
)
from ebbtide.finding.finding import Finding, uid_of
from ebbtide.finding.headline import headline, unit_of
from ebbtide.finding.message import render, tokens_of
from ebbtide.finding.risk import risk_of
from ebbtide.finding.upstream import Exceedance, upstream_row
from ebbtide.series import Entity, Int64, Window


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beside the window; an entity that is missing is simply not known.

    `destinations` in any order, bytes over the time of the hits. `usual_hour` per entity and metric in the metric's
    unit. `confidence` (0 to 100) takes the place of the detection's. `unit` is "" or "scaled units", for sources whose
    values are not bytes, packets and sockets any more. `is_late`: this time had been judged before, data came since.
    """

    destinations: Mapping[Entity, tuple[DestinationShare, ...]] = field(default_factory=dict)
    usual_hour: Mapping[Entity, Mapping[str, float]] = field(default_factory=dict)
    confidence: Mapping[Entity, float] = field(default_factory=dict)
    unit: str = ""
    is_late: bool = False


def findings(
    detection: Detection,
    window: Window,
    baseline: Baseline,
    anomalies: Anomalies,
    now_ns: int,
    context: Context | None = None,
) -> list[Finding]:
    """One finding per entity that fired, in the window's order.

    The baseline is the one the anomalies were scored against, the detection a loaded one (its options are complete).
    Raises ValueError when an entity fired without a hit: there would be nothing to show.
    """
    evaluation = _Evaluation(detection, window, baseline, anomalies, now_ns, context or Context())
    edges = np.searchsorted(anomalies.entity, np.arange(len(window.entities) + 1))
    found = []
    for entity in np.flatnonzero(anomalies.fired):
        hits = np.arange(edges[entity], edges[entity + 1])
        if not len(hits):
            raise ValueError(f"{detection.detector} fired on {window.entities[entity]} without a hit")
        found.append(evaluation.finding(int(entity), hits))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluation:
    """One evaluation; `entity` is a position in the window, `hits` are row numbers of the anomalies, in their order."""

    detection: Detection
    window: Window
    baseline: Baseline
    anomalies: Anomalies
    now_ns: int
    context: Context

    def finding(self, entity: int, hits: Int64) -> Finding:
        """The finding of one entity."""
        detection, who = self.detection, self.window.entities[entity]
        starts = self.anomalies.bucket_ns[hits]
        opened_ns, last_ns = int(starts.min()), int(starts.max())
        evidence = self._evidence(entity, hits)
        sentence = headline(who, evidence, last_ns + self.window.bucket_ns - opened_ns)
        risk = risk_of(detection, who, self.context.confidence.get(who))
        tokens = tokens_of(detection, who, evidence, risk, sentence)
        return Finding(
            uid_of(detection.uuid, detection.id, detection.major, who, opened_ns),
            detection.id,
            detection.name,
            detection.version,
            who,
            opened_ns,
            last_ns,
            self.now_ns,
            render(detection.headline, tokens) if detection.headline else sentence,
            render(detection.message, tokens),
            risk,
            annotate(detection),
            evidence.count,
            evidence,
            upstream_row(who, evidence.count, self._exceedances(hits)) if detection.upstream_row else None,
            is_late=self.context.is_late,
        )

    def _evidence(self, entity: int, hits: Int64) -> Evidence:
        who, metric = self.window.entities[entity], self.anomalies.metric[hits]
        places = sorted(self.context.destinations.get(who, ()), key=lambda one: (-one.bytes, one.endpoint))
        return Evidence(
            self.detection.detector,
            self.detection.options,
            self.detection.version,
            self.window.start_ns,
            self.window.end_ns,
            self.window.bucket_ns,
            self.baseline.from_ns,
            self.baseline.to_ns,
            self.baseline.snapped,
            int(self.anomalies.count[entity]),
            tuple(self._metric(entity, int(one), hits[metric == one]) for one in np.unique(metric)),
            tuple(places[:DESTINATIONS_KEPT]),
            max(0, len(places) - DESTINATIONS_KEPT),
        )

    def _metric(self, entity: int, metric: int, hits: Int64) -> MetricEvidence:
        window, anomalies = self.window, self.anomalies
        name, at = window.metrics[metric], (entity, metric)
        columns = (anomalies.bucket_ns[hits] - window.start_ns) // window.bucket_ns
        totals, points = window.total[entity, metric, columns], window.points[entity, metric, columns]
        worst = hits[int(np.argmax(anomalies.value[hits] - anomalies.line[hits]))]
        kept = tuple(
            HitBucket(int(anomalies.bucket_ns[hit]), float(total), int(count), float(anomalies.value[hit]))
            for hit, total, count in zip(hits[:HITS_KEPT], totals, points, strict=False)
        )
        return MetricEvidence(
            name,
            unit_of(name, self.context.unit),
            float(anomalies.value[worst]),
            # Python's own sum: an overflow gives inf, where NumPy's warns.
            sum(totals.tolist()),
            float(anomalies.mean[worst]),
            float(anomalies.stdev[worst]),
            float(anomalies.line[worst]),
            _moments(self.baseline, at),
            self.context.usual_hour.get(window.entities[entity], {}).get(name),
            kept,
            len(hits) - len(kept),
        )

    def _exceedances(self, hits: Int64) -> list[Exceedance]:
        anomalies = self.anomalies
        return [
            Exceedance(
                self.window.metrics[anomalies.metric[hit]],
                float(anomalies.value[hit]),
                float(anomalies.mean[hit]),
                float(anomalies.stdev[hit]),
            )
            for hit in hits
        ]


def _moments(baseline: Baseline, at: tuple[int, int]) -> BaselineMoments:
    moments = baseline.moments
    return BaselineMoments(
        int(moments.count[at]),
        float(moments.mean[at]),
        float(moments.m2[at]),
        float(moments.minimum[at]),
        float(moments.maximum[at]),
    )
