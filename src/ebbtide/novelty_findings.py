"""From judged hours to findings of the novelty detector: evidence, destinations, and the usual hour beside it."""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from ebbtide.detect.detection import Detection
from ebbtide.detect.novelty import Facts
from ebbtide.detect.novelty_options import Channel
from ebbtide.finding.assemble_novelty import novelty_finding
from ebbtide.finding.assemble_outbound import Around
from ebbtide.finding.finding import Finding
from ebbtide.finding.novelty_evidence import NewPlaces, NoveltyEvidence
from ebbtide.novelty import JudgedNovelty
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.contacts import Span, destinations_of
from ebbtide.store.view import View

_KNOWN_FOR_NS = 30 * DAY_NS


def findings(store: View, detection: Detection, judged: JudgedNovelty, now_ns: int) -> list[Finding]:
    """A finding for each entity that fired, the most surprising first."""
    found = []
    fired = np.flatnonzero(judged.fired)
    for row in fired[np.argsort(-judged.novel.score[fired], kind="stable")].tolist():
        number = int(judged.entities[row])
        evidence = evidence_of(judged, row, now_ns)
        metrics = _metrics(store, evidence)
        around = _around(store, number, now_ns)
        entity = store.identity.entities[number]
        found.append(novelty_finding(detection, entity, evidence, metrics, now_ns, around))
    return found


def evidence_of(judged: JudgedNovelty, row: int, now_ns: int) -> NoveltyEvidence:
    """All that an entity's score at `now_ns` rests on."""
    facts = {one.name: float(getattr(judged.facts, one.name)[row]) for one in fields(Facts)}
    return NoveltyEvidence(
        float(judged.novel.score[row]),
        judged.threshold,
        judged.budget,
        tuple(judged.novel.parts[row].tolist()),
        facts,
        _places(judged, row, is_inside=False),
        _places(judged, row, is_inside=True),
        tuple(judged.scale.usual.tolist()),
        tuple(judged.scale.shift.tolist()),
        now_ns,
        *((rollout.version, rollout.since_ns) if (rollout := judged.rollouts.get(row)) else ()),
    )


def _places(judged: JudgedNovelty, row: int, *, is_inside: bool) -> NewPlaces | None:
    met, deciding = judged.met, int(judged.novel.deciding[row, int(is_inside)])
    if deciding < 0:
        return None
    of = (met.row == row) & (met.is_inside == is_inside)
    return NewPlaces(int(of.sum()), float(met.sent[of].sum()), float(met.sent[deciding]), int(met.rank[deciding]),
                     bool(met.is_familiar[deciding]), float(met.seldom[deciding]))  # fmt: skip


def _metrics(store: View, evidence: NoveltyEvidence) -> dict[str, float]:
    """What the hour had, by metric. Bytes that are not UDP are those of the first other metric the store knows."""
    facts, known = evidence.facts, store.identity.metrics
    name = next((one for one in ("tcp.bytes", "net.bytes") if one in known), "net.bytes")
    metrics = {name: facts["sent"] - facts["udp_sent"], "udp.bytes": facts["udp_sent"]}
    if evidence.main is Channel.FAN_OUT:
        metrics = {"tcp.new_sockets": facts["sockets"]} | metrics
    return {name: value for name, value in metrics.items() if value > 0} or {name: 0.0}


def _around(store: View, number: int, now_ns: int) -> Around:
    contacts = store.contacts.of([Span(number, now_ns - HOUR_NS + 1, now_ns + 1)], ".bytes")
    entity = store.identity.entities[number]
    places = destinations_of(contacts, {number: entity}).get(entity, ())
    today = now_ns // DAY_NS * DAY_NS
    usual = store.reading.usual_hours(np.array([number], np.int32), today - _KNOWN_FOR_NS, today)
    units = store.contacts.units()
    by_metric = {metric: sent for (_, metric), sent in usual.items()}
    return Around(places, by_metric, units.pop() if len(units) == 1 else "")
