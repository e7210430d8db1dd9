"""From what the parts say to findings of the joined detector: one for each entity."""

from __future__ import annotations

from ebbtide import novelty_findings, outbound_findings
from ebbtide.detect.detection import Detection
from ebbtide.finding.finding import Finding
from ebbtide.finding.joined import join
from ebbtide.joined import JudgedJoined
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.view import View

#: As long as hourly destinations are kept.
_DESTINATIONS_NS = 35 * DAY_NS


def findings(store: View, detection: Detection, judged: JudgedJoined, now_ns: int) -> list[Finding]:
    """A finding for each entity of which a part fired, in the order of entities."""
    baseline = detection.baseline.model_copy(update={"length_ns": _DESTINATIONS_NS})
    hour = detection.model_copy(update={"window_ns": HOUR_NS, "baseline": baseline})
    amount = {one.entity: one for one in outbound_findings.findings(store, detection, judged.outbound, now_ns)}
    new = {one.entity: one for one in novelty_findings.findings(store, hour, judged.novelty, now_ns)}
    return [
        join(detection, amount[entity], new[entity])
        if entity in amount and entity in new
        else amount.get(entity) or new[entity]
        for entity in sorted({*amount, *new})
    ]
