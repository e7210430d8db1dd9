"""What several parts of one detection say of one entity becomes one finding, and stays one while each comes and goes.

In: findings of the same detection and entity, each with the evidence of one part (`outbound`, `novelty`), of one
instant or of several. Out: one finding with the evidence of all. A part looks back an hour, another a day, so a part
that no longer fires keeps the evidence it last fired with for as long as the finding lasts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from ebbtide.detect.detection import Detection
from ebbtide.detect.joined_detector import Joined
from ebbtide.finding.assemble_outbound import confidence_of
from ebbtide.finding.evidence import Evidence
from ebbtide.finding.finding import Finding
from ebbtide.finding.fleet import with_members
from ebbtide.finding.joined_words import joined_headline
from ebbtide.finding.message import LONGEST_VALUE, render, tokens_of
from ebbtide.finding.novelty_evidence import NoveltyEvidence
from ebbtide.finding.outbound_evidence import OutboundEvidence
from ebbtide.finding.risk import Risk
from ebbtide.finding.text import one_line


def parts_of(evidence: Evidence) -> Mapping[str, OutboundEvidence | NoveltyEvidence]:
    """The evidence of each part by its name, in a fixed order."""
    named = {"outbound": evidence.outbound, "novelty": evidence.novelty}
    return {name: one for name, one in named.items() if one is not None}


def is_joined(finding: Finding) -> bool:
    """Whether its detection judges several parts."""
    return finding.evidence.detector == Joined.name


def part_risks(finding: Finding) -> dict[str, float]:
    """What each part of the finding adds to the risk of its object: impact x the part's own confidence / 100."""
    impact = finding.risk.impact
    return {name: impact * confidence_of(one) / 100 for name, one in parts_of(finding.evidence).items()}


def join(detection: Detection, amount: Finding, new: Finding) -> Finding:
    """One finding of what both parts say of one entity at one instant; `amount` has outbound evidence, `new` novelty's.

    Both are the detection's, so the uid is the same. What was sent to where is told over the window of the amount.
    """
    evidence = _with_parts(amount.evidence, new.evidence)
    risk = _risk_of(amount.risk, evidence)
    sentence = joined_headline(amount.entity, evidence)
    tokens = tokens_of(detection, amount.entity, evidence, risk, sentence)
    return dataclasses.replace(
        amount,
        headline=render(detection.headline, tokens) if detection.headline else sentence,
        message=render(detection.message, tokens),
        risk=risk,
        evidence=evidence,
    )


def with_kept(earlier: Finding, later: Finding) -> Finding:
    """The later finding with the parts of the earlier one that it lacks; as it is where it lacks none.

    A headline of the detection's own stays; the computed one is made anew, and takes its place in the message. Of a
    fleet, the members are kept.
    """
    if earlier.evidence.fleet or later.evidence.fleet:
        return with_members(earlier, later)
    if not is_joined(later) or not parts_of(earlier.evidence).keys() - parts_of(later.evidence).keys():
        return later
    evidence = _with_parts(later.evidence, earlier.evidence)
    computed = joined_headline(later.entity, later.evidence)
    if later.headline != computed:
        return dataclasses.replace(later, evidence=evidence, risk=_risk_of(later.risk, evidence))
    sentence = joined_headline(later.entity, evidence)
    short, long = (one_line(one, LONGEST_VALUE) for one in (computed, sentence))
    return dataclasses.replace(
        later,
        headline=sentence,
        message=later.message.replace(short, long, 1),
        risk=_risk_of(later.risk, evidence),
        evidence=evidence,
    )


def _with_parts(one: Evidence, other: Evidence) -> Evidence:
    """`one`, with the parts, metrics and the reach of `other` where it has none of its own."""
    known = {metric.metric for metric in one.metrics}
    return dataclasses.replace(
        one,
        window_start_ns=min(one.window_start_ns, other.window_start_ns),
        baseline_from_ns=min(one.baseline_from_ns, other.baseline_from_ns),
        metrics=(*one.metrics, *(metric for metric in other.metrics if metric.metric not in known)),
        outbound=one.outbound or other.outbound,
        novelty=one.novelty or other.novelty,
    )


def _risk_of(risk: Risk, evidence: Evidence) -> Risk:
    """As sure as at least one of the parts is right, were they independent.

    Two of 50 make 75, which is not more than either part's risk adds to the object in sum.
    """
    doubt = 1.0
    for one in parts_of(evidence).values():
        doubt *= 1.0 - confidence_of(one) / 100
    confidence = round(100 * (1.0 - doubt), 1)
    return dataclasses.replace(risk, confidence=confidence, score=risk.impact * confidence / 100)
