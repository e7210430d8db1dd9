"""Words for findings that join parts: one sentence for all of them, and each part's share in the explanation."""

from __future__ import annotations

import math

from ebbtide.baseline.trailing_statistics import WINDOW_HOURS
from ebbtide.detect.novelty_options import Channel
from ebbtide.finding.evidence import Evidence
from ebbtide.finding.headline import SCALED, amount_text, subject, where_to
from ebbtide.finding.novelty_evidence import NoveltyEvidence
from ebbtide.finding.novelty_words import explain_novelty, new_places, novelty_headline
from ebbtide.finding.outbound_evidence import OutboundEvidence, PairEvidence
from ebbtide.finding.outbound_words import explain_outbound, outbound_headline, rarity, record_broken, window_of
from ebbtide.finding.text import count_text, duration_text, ratio_text, rfc3339
from ebbtide.series import HOUR_NS, Entity

_VOLUMES = ("VOLUME_1H", "VOLUME_6H", "VOLUME_24H")
_RECORDS = ("record hour", "record of 6 hours", "record day")


def unit_in(evidence: Evidence) -> str:
    """The unit of what was sent, as the evidence's metrics have it."""
    return evidence.metrics[0].unit if evidence.metrics else ""


def joined_headline(entity: Entity, evidence: Evidence) -> str:
    """One sentence for all parts there are: who sent how much, which record that breaks, to where, what is new."""
    amount, new = evidence.outbound, evidence.novelty
    unit = SCALED if any(one.unit == SCALED for one in evidence.metrics) else "bytes"
    if amount is None or new is None:
        if amount is not None:
            return outbound_headline(entity, amount, unit_in(evidence), evidence.destinations)
        return novelty_headline(entity, new, unit, evidence.destinations) if new is not None else subject(entity)
    main = amount.main
    at = window_of(main)
    deed = f"{subject(entity)}{_who(new)} sent {amount_text(main.sent[at], unit)}"
    parts = [f"{deed} in {duration_text(WINDOW_HOURS[at] * HOUR_NS)}", _record(main, at), rarity(main)]
    parts += [where_to(evidence.destinations).replace(" of it to ", " to ", 1), _what(new, evidence, unit)]
    sentence = ", ".join(part for part in parts if part)
    return sentence + _proportion(main, at, unit)


def _who(new: NoveltyEvidence) -> str:
    if new.main is Channel.PROCESS:
        return ", a process never seen in this workload,"
    if new.main is Channel.SILENCE:
        return f", silent for {count_text(new.facts['silent_days'])} days,"
    return ""


def _what(new: NoveltyEvidence, evidence: Evidence, unit: str) -> str:
    """What is new beside the process itself; a single new destination has been told where it all went."""
    facts = new.facts
    met = new.outside if new.main is Channel.OUTSIDE else new.inside
    is_told = any(one.first_seen_ns is None for one in evidence.destinations)
    if new.main in (Channel.OUTSIDE, Channel.INSIDE) and is_told and met is not None and met.count == 1:
        return ""
    if new.main is Channel.UDP:
        return f"its first UDP ({amount_text(facts['udp_sent'], unit)})"
    if new.main in (Channel.OUTSIDE, Channel.INSIDE, Channel.FAN_OUT):
        return f"in an hour {new_places(new, unit)}"
    return ""


def _record(main: PairEvidence, at: int) -> str:
    """`6 x its record hour`; where no record of that window is broken, what the most surprising statistic breaks."""
    volume = next((part for part in main.parts if part.statistic == _VOLUMES[at]), None)
    if volume is not None and volume.record_days_ago is not None:
        factor = math.exp(min(volume.value - volume.record, 50.0))
        if factor >= 1.05:
            return f"{ratio_text(factor)} x its {_RECORDS[at]}"
    return record_broken(main)


def _proportion(main: PairEvidence, at: int, unit: str) -> str:
    if not main.has_received or main.ratio < main.volume:
        return ""
    return f", and it does not receive in proportion ({amount_text(main.received[at], unit)})"


def explain_joined(evidence: Evidence) -> list[str]:
    """Lines: which parts fired when, then what each of them says."""
    unit = unit_in(evidence)
    said: list[tuple[str, OutboundEvidence | NoveltyEvidence, list[str]]] = []
    if evidence.outbound is not None:
        said.append(("Its amount", evidence.outbound, explain_outbound(evidence.outbound, unit)))
    if evidence.novelty is not None:
        said.append(("What is new", evidence.novelty, explain_novelty(evidence.novelty, unit)))
    lines = [f"How unusual: {'two parts say so' if len(said) > 1 else 'one part says so'}."]
    for name, part, told in said:
        when = f", as of {rfc3339(part.at_ns)}" if part.at_ns else ""
        lines += [f"{name}{when}: {told[0].removeprefix('How unusual: ')}", *told[1:]]
    return lines
