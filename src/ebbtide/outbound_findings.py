"""From judged pairs to findings of the outbound detector: evidence, destinations, and the usual hour beside it."""

from __future__ import annotations

import numpy as np

from ebbtide.baseline.trailing_statistics import HOURS, WINDOW_HOURS
from ebbtide.detect.detection import Detection
from ebbtide.detect.outbound_explain import explain
from ebbtide.finding.assemble_outbound import Around, outbound_finding
from ebbtide.finding.finding import Finding
from ebbtide.finding.outbound_evidence import MixEvidence, OutboundEvidence, PairEvidence, Part
from ebbtide.finding.outbound_words import window_of
from ebbtide.outbound import Judged
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.contacts import Span, destinations_of
from ebbtide.store.view import View

_KNOWN_FOR_NS = 30 * DAY_NS


def findings(store: View, detection: Detection, judged: Judged, now_ns: int) -> list[Finding]:
    """A finding for each entity that fired, the most surprising first."""
    found = []
    for at in np.flatnonzero(judged.fired)[np.argsort(-judged.score[judged.fired], kind="stable")]:
        number = int(judged.entities[at])
        evidence = evidence_of(store, judged, number, float(judged.score[at]), now_ns)
        history = max(window.maxima.shape[-1] for window in judged.opened.records.windows)
        around = _around(store, number, evidence, now_ns)
        found.append(outbound_finding(detection, store.identity.entities[number], evidence, now_ns, history, around))
    return found


def evidence_of(store: View, judged: Judged, number: int, score: float, now_ns: int) -> OutboundEvidence:
    """All that an entity's score at `now_ns` rests on."""
    pairs = tuple(_pair(store, judged, int(place)) for place in judged.pairs_of(number))
    scale = judged.opened.scale
    return OutboundEvidence(score, judged.threshold, judged.budget, judged.hour % HOURS, scale, pairs, now_ns)


def _pair(store: View, judged: Judged, at: int) -> PairEvidence:
    opened, hour = judged.opened, judged.hour % HOURS
    parts = explain(judged.instant.values, opened.records, judged.instant.raw, at, 0)
    reference = opened.reference
    return PairEvidence(
        metric=store.identity.metrics[int(opened.pairs.metric[at])],
        floor=float(opened.pairs.floor[at]),
        sent=tuple(judged.sent[at].tolist()),
        received=tuple(judged.received[at].tolist()),
        covered=tuple(judged.covered[at].tolist()),
        score=float(judged.scored.score[at, 0]),
        ratio=float(judged.scored.parts.ratio[at, 0]),
        volume=float(judged.scored.parts.volume[at, 0]),
        others_ratio=float(judged.others.ratio[at, 0]),
        others_volume=float(judged.others.volume[at, 0]),
        has_received=bool(opened.has_received[at]),
        usual_volume=float(reference.usual_volume[at, hour]),
        usual_inbound=float(reference.usual_inbound[at, hour]),
        usual_ratio=float(reference.usual.median[at]),
        ratio_spread=float(reference.usual.spread[at]),
        cusum=float(judged.cusum[at]),
        maxima=tuple(tuple(days) for days in opened.records.windows[-1].maxima[at].tolist()),
        parts=tuple(
            Part(
                one.statistic.name,
                one.value,
                one.evidence[0].record,
                one.evidence[0].days_ago,
                one.surprise,
                one.return_days,
                one.evidence[0].days,
            )
            for one in parts
        ),
        mix=_mix(judged, at),
    )


def _mix(judged: Judged, at: int) -> MixEvidence | None:
    if np.isnan(judged.line[at, 0]):
        return None
    clues, options = judged.quieted.clues, judged.options.clues
    return MixEvidence(
        total=float(judged.mix.total[at, 0]),
        unfamiliar=float(judged.mix.unfamiliar[at, 0]),
        overlap=float(judged.mix.overlap[at, 0]),
        line=float(judged.line[at, 0]),
        known_places=options.known_places if clues.known_places[at, 0] else 0.0,
        usual_mix=options.usual_mix if clues.usual_mix[at, 0] else 0.0,
        shift=float(judged.quieted.shift[at, 0]),
    )


def _around(store: View, number: int, evidence: OutboundEvidence, now_ns: int) -> Around:
    start_ns = now_ns - WINDOW_HOURS[window_of(evidence.main)] * HOUR_NS
    # As the amount is read: what ends at `now_ns` is of the window, what ends at its start is not.
    contacts = store.contacts.of([Span(number, start_ns + 1, now_ns + 1)], ".bytes")
    entity = store.identity.entities[number]
    places = destinations_of(contacts, {number: entity}).get(entity, ())
    today = now_ns // DAY_NS * DAY_NS
    usual = store.reading.usual_hours(np.array([number], np.int32), today - _KNOWN_FOR_NS, today)
    units = store.contacts.units()
    by_metric = {metric: sent for (_, metric), sent in usual.items()}
    return Around(places, by_metric, units.pop() if len(units) == 1 else "")
