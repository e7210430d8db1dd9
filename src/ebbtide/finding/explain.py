"""A finding in plain text, for whoever is woken by it: what, who, how unusual, how much, to where, what now.

Everything comes from the finding's own record and the detection's texts; every line is safe to print.
"""

from __future__ import annotations

import math

from ebbtide.detect.detection import Detection
from ebbtide.detect.joined_detector import Joined, JoinedSettings
from ebbtide.finding.evidence import DestinationShare, Evidence, MetricEvidence
from ebbtide.finding.filters import matchers_text, suggest
from ebbtide.finding.finding import Finding
from ebbtide.finding.headline import amount_text
from ebbtide.finding.joined import is_joined, part_risks, parts_of
from ebbtide.finding.joined_words import explain_joined
from ebbtide.finding.novelty_words import explain_novelty
from ebbtide.finding.outbound_evidence import OutboundEvidence
from ebbtide.finding.outbound_words import explain_outbound
from ebbtide.finding.text import count_text, duration_text, one_line, percent_text, rfc3339
from ebbtide.finding.upstream import number_text

#: A line of prose is cut after this many characters.
_LONGEST_LINE = 2000


def explain(finding: Finding, detection: Detection | None = None) -> list[str]:
    """The finding as lines. Without its detection (deleted since) the lines that need its texts are left out."""
    sections = [
        _head(finding),
        _what(finding, detection),
        _who(finding),
        _how_unusual(finding.evidence),
        _since_when(finding),
        _how_much(finding.evidence),
        _to_where(finding.evidence),
        _kept_quiet(finding),
        _risk(finding),
        _what_now(finding, detection),
    ]
    return [one_line(line, _LONGEST_LINE) if line else "" for section in sections for line in (*section, "")][:-1]


def _head(finding: Finding) -> list[str]:
    lines = [finding.headline, f"Finding {finding.uid}"]
    if finding.hidden_by:
        lines.append(f"Hidden by filter {', '.join(finding.hidden_by)}: it is kept, and not delivered.")
    if finding.is_late:
        lines.append("Found late: its data came after this time had been judged.")
    return lines


def _what(finding: Finding, detection: Detection | None) -> list[str]:
    lines = [f"What: {finding.detection_name} ({finding.detection_id} {finding.detection_version})"]
    if detection is not None:
        lines.append(f"Status: {detection.status}, type {detection.type}. {detection.description}")
    for one in finding.annotations.mitre_attack:
        tactics = f", {', '.join(one.tactics)}" if one.tactics else ""
        lines.append(f"ATT&CK: {one.id} {one.name}".rstrip() + tactics)
    if finding.annotations.kill_chain:
        lines.append(f"Kill chain: {', '.join(finding.annotations.kill_chain)}")
    return lines


def _who(finding: Finding) -> list[str]:
    entity = finding.entity
    columns = {
        "process": entity.process,
        "workload": entity.workload,
        "namespace": entity.namespace,
        "cluster": entity.cluster,
    }
    lines = ["Who: " + ", ".join(f"{name} {one_line(value)}" for name, value in columns.items() if value)]
    fleet = finding.evidence.fleet
    if fleet:
        lines.append(f"{count_text(len(fleet))} processes; what follows is of the most surprising one:")
        lines += [f"  {one.headline} (risk {number_text(round(one.risk, 1))})" for one in fleet]
    return lines


def _how_unusual(evidence: Evidence) -> list[str]:
    if evidence.detector == Joined.name:
        return explain_joined(evidence)
    if evidence.outbound is not None:
        return explain_outbound(evidence.outbound, evidence.metrics[0].unit if evidence.metrics else "")
    if evidence.novelty is not None:
        return explain_novelty(evidence.novelty, evidence.metrics[0].unit if evidence.metrics else "")
    bucket = duration_text(evidence.bucket_ns)
    lines = [f"How unusual: {count_text(evidence.count)} hits count, in buckets of {bucket}."]
    for one in evidence.metrics:
        deviations = one.deviations
        above = "no spread at all before" if deviations is None else f"{deviations:.1f} standard deviations above"
        lines.append(
            f"{one.metric}: {_amount(one, one.value)} in the worst bucket, {above}; "
            f"mean {_amount(one, one.mean)}, deviation {_amount(one, one.stdev)}, line {_amount(one, one.line)}, "
            f"from {count_text(one.baseline.count)} points."
        )
    snapped = " (moved to the full hour)" if evidence.baseline_snapped else ""
    baseline = f"{rfc3339(evidence.baseline_from_ns)}{snapped} to {rfc3339(evidence.baseline_to_ns)}"
    lines.append(f"Compared with {baseline} by detector {evidence.detector}.")
    return lines


def _since_when(finding: Finding) -> list[str]:
    span = duration_text(finding.end_ns - finding.opened_ns)
    return [
        f"Since when: {rfc3339(finding.opened_ns)}, last above the line until {rfc3339(finding.end_ns)} ({span}); "
        f"evaluated {rfc3339(finding.at_ns)}."
    ]


def _how_much(evidence: Evidence) -> list[str]:
    lines = ["How much, in the buckets above the line:"]
    for one in evidence.metrics:
        usual = f", usually {_amount(one, one.usual_hour)} an hour" if one.usual_hour is not None else ""
        count = len(one.hits) + one.hits_left_out
        lines.append(f"{one.metric}: {_amount(one, one.total)} in {count_text(count)} buckets{usual}.")
    return lines


def _to_where(evidence: Evidence) -> list[str]:
    if not evidence.destinations:
        return ["To where: not known; the source names no destinations, or they are no longer kept."]
    lines = ["To where:"] + [_destination(one, evidence) for one in evidence.destinations]
    if evidence.destinations_left_out:
        lines.append(f"and {count_text(evidence.destinations_left_out)} more.")
    return lines


def _destination(one: DestinationShare, evidence: Evidence) -> str:
    if one.first_seen_ns is None:
        seen = f"never seen before (since {rfc3339(evidence.baseline_from_ns)})"
    else:
        seen = f"first seen {rfc3339(one.first_seen_ns)}"
    scaled = next((metric.unit for metric in evidence.metrics if metric.unit.startswith("scaled")), "bytes")
    return (
        f"{one_line(one.name)} ({one.endpoint.kind.value}): {amount_text(one.bytes, scaled)}, "
        f"{percent_text(one.share)}, {seen}."
    )


def _kept_quiet(finding: Finding) -> list[str]:
    lines = ["What would have kept it quiet:"]
    options = finding.evidence.options
    more_than = options.get("more_than")
    if isinstance(more_than, int):
        lines.append(f"the option more_than at {finding.count} (it is {more_than})")
        k = quiet_k(finding.evidence)
        if k is not None:
            lines.append(f"or the option k at {number_text(k)} (it is {options.get('k')})")
    learned = parts_of(finding.evidence)
    budgets = [_quiet_budget(finding.evidence, name) for name in learned]
    if budgets:
        counts = " and ".join(number_text(round(one.budget, 2)) for one in learned.values())
        lines.append(f"the option budget below {number_text(min(budgets))} (it counts {counts})")
    lines.append(f"or the filter {matchers_text(suggest(finding))}")
    return lines


def _quiet_budget(evidence: Evidence, part: str) -> float:
    """Below which budget a part would not have fired, rounded down to two decimals; its share of the whole counted."""
    share = 1.0
    if evidence.detector == Joined.name:
        settings = JoinedSettings.model_validate(dict(evidence.options))
        share = settings.novelty_share if part == "novelty" else 1.0 - settings.novelty_share
    found = parts_of(evidence)[part]
    per_1000 = found.scale.budget(found.score) if isinstance(found, OutboundEvidence) else math.exp(-found.score)
    return math.floor(per_1000 / share * 100) / 100


def quiet_k(evidence: Evidence) -> float | None:
    """The smallest k, rounded up to two decimals, with which detector `sigma` would not have fired.

    None where there is none (a baseline without spread) or where the record does not tell: another detector, or hits
    left out of the record. Example: six hits 4, 5, 6, 7, 8, 9 deviations above the mean and `more_than: 5`: k = 4, as
    a hit must lie above the line.
    """
    more_than = evidence.options.get("more_than")
    if evidence.detector != "sigma" or not isinstance(more_than, int) or any(m.hits_left_out for m in evidence.metrics):
        return None
    highest: dict[tuple[str, int], float] = {}
    for one in evidence.metrics:
        for hit in one.hits:
            deviations = (hit.value - one.mean) / one.stdev if one.stdev > 0 else math.inf
            key = ("" if evidence.options.get("count") == "buckets" else one.metric, hit.start_ns)
            highest[key] = max(deviations, highest.get(key, -math.inf))
    ranked = sorted(highest.values(), reverse=True)
    if len(ranked) <= more_than or not math.isfinite(ranked[more_than]):
        return None
    return math.ceil(round(ranked[more_than] * 100, 6)) / 100


def _risk(finding: Finding) -> list[str]:
    risk = finding.risk
    added = part_risks(finding) if is_joined(finding) else {}
    told = [f"Added to it: {', '.join(f'{number_text(round(one, 1))} by {name}' for name, one in added.items())}."]
    return [
        f"Risk: impact {number_text(risk.impact)} x confidence {number_text(risk.confidence)} / 100 = "
        f"{number_text(risk.score)} for {risk.object_type} {one_line(risk.object)}.",
        *(told if added else []),
    ]


def _what_now(finding: Finding, detection: Detection | None) -> list[str]:
    process = one_line(finding.entity.process) or "the workload"
    lines = [
        "What now:",
        "1. Look at the destinations: whose are they, and should this workload know them?",
        f"2. Look at {process} in its pods: its image, command line and parent, and what was deployed at that time.",
        "3. If it should not be: cut it off with a network policy and keep the pod for forensics.",
        "4. Say what it was (attack, benign, expected, unsure): an attack is kept out of the baseline.",
        "5. If it will come again and is expected: a filter with a reason and an expiry date.",
    ]
    if detection is not None and detection.known_false_positives:
        lines.append(f"Known false positives: {detection.known_false_positives}")
    if detection is not None:
        lines += [f"Reference: {reference}" for reference in detection.references]
    return lines


def _amount(one: MetricEvidence, value: float) -> str:
    return amount_text(value, one.unit)
