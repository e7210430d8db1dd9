"""Words for findings of the novelty detector: what is new, how much left with it, and how often the like comes."""

from __future__ import annotations

import math

from ebbtide.detect.novelty import fan_out_of
from ebbtide.detect.novelty_options import Channel, NoveltyOptions
from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.headline import amount_text, subject, where_to
from ebbtide.finding.novelty_evidence import NewPlaces, NoveltyEvidence
from ebbtide.finding.novelty_repeat import facts_of
from ebbtide.finding.outbound_words import period_text, surprise_text
from ebbtide.finding.text import count_text, percent_text, rfc3339
from ebbtide.series import Entity

_NAMES = {
    Channel.OUTSIDE: "new destinations outside",
    Channel.INSIDE: "new destinations in the cluster",
    Channel.PROCESS: "a process never seen in this workload",
    Channel.SILENCE: "sends after days of silence",
    Channel.UDP: "its first UDP",
    Channel.FAN_OUT: "more destinations or connections in an hour than ever",
}


def novelty_headline(
    entity: Entity, evidence: NoveltyEvidence, unit: str, destinations: tuple[DestinationShare, ...]
) -> str:
    """One sentence: who, what about it is new, how much was sent in the hour, and to where."""
    facts, main = evidence.facts, evidence.main
    who, sent = subject(entity), amount_text(facts["sent"], unit)
    if main is Channel.PROCESS:
        sentence = f"{who}, a process never seen in this workload, sent {sent}"
    elif main is Channel.SILENCE:
        sentence = f"{who}, silent for {count_text(facts['silent_days'])} days, sent {sent}"
    elif main is Channel.UDP:
        sentence = f"{who} sent UDP for the first time, {amount_text(facts['udp_sent'], unit)} in 1 h"
    elif main is Channel.FAN_OUT:
        sentence = f"{who} {_fan_out(evidence)}"
    else:
        new = _new_of(evidence)
        sent_new = f"{amount_text(new.sent, unit)} of it " if new is not None else ""
        sentence = f"{who} sent {sent} in 1 h, {sent_new}{_to(evidence)}"
    where = where_to(destinations)
    return f"{sentence}; {where}" if where else sentence


def new_places(evidence: NoveltyEvidence, unit: str) -> str:
    """What the deciding channel met, in words that follow on a sentence: new destinations, or a fan-out.

    `11 MB to 3 destinations it never sent to before`.
    """
    if evidence.main is Channel.FAN_OUT:
        return _fan_out(evidence).removeprefix("sent ").removesuffix(" in 1 h")
    new = _new_of(evidence)
    return f"{amount_text(new.sent, unit)} {_to(evidence)}" if new is not None else _to(evidence)


def _new_of(evidence: NoveltyEvidence) -> NewPlaces | None:
    return evidence.outside if evidence.main is Channel.OUTSIDE else evidence.inside


def _to(evidence: NoveltyEvidence) -> str:
    new = _new_of(evidence)
    if new is None:
        return "to a destination it never sent to before"
    return f"to {_count(new, 'in the cluster' if evidence.main is Channel.INSIDE else '')} it never sent to before"


def _count(new: NewPlaces, where: str) -> str:
    places = "a destination" if new.count == 1 else f"{count_text(new.count)} destinations"
    return f"{places} {where}".strip()


def _seldom(new: NewPlaces) -> str:
    """How little known the deciding place is in its cluster, where that says something."""
    if new.seldom > 0.5:
        return ""
    return f"; {percent_text(new.seldom)} of the cluster's contacts go to places so little known"


def is_beacon(evidence: NoveltyEvidence) -> bool:
    """Whether it is the even beat to a new place that decided, and no fan-out."""
    is_beating = evidence.main is Channel.FAN_OUT and evidence.facts["steady_hours"] > 0
    return is_beating and fan_out_of(facts_of(evidence), NoveltyOptions())[0] <= 1.0


def _beacon(evidence: NoveltyEvidence) -> str:
    text = f"sent the same amount every hour for {count_text(evidence.facts['steady_hours'])} hours to a place it met "
    return text + ("first in the cluster" if evidence.facts["is_steady_stranger"] else "within two days")


def _fan_out(evidence: NoveltyEvidence) -> str:
    if is_beacon(evidence):
        return _beacon(evidence)
    facts = evidence.facts
    text = f"sent to {count_text(facts['destinations'])} destinations (never more than "
    text += f"{count_text(facts['most_destinations'])}) and opened {count_text(facts['sockets'])} connections "
    return text + f"(never more than {count_text(facts['most_sockets'])}) in 1 h"


def explain_novelty(evidence: NoveltyEvidence, unit: str) -> list[str]:
    """Lines: the score and its threshold, what each channel says, and what was known."""
    facts = evidence.facts
    if not math.isfinite(evidence.score):
        return [f"Nothing new about it; known for {count_text(facts['days'])} days."]
    lines = [surprise_text(evidence.score, evidence.threshold, evidence.budget)]
    lines += [
        f"  {_NAMES[channel]}: {part:.2f}" + (", which decided" if channel is evidence.main else "")
        for channel, part in sorted(zip(Channel, evidence.parts, strict=True), key=lambda one: -one[1])
        if math.isfinite(part)
    ]
    for new, where in ((evidence.outside, "outside"), (evidence.inside, "in the cluster")):
        if new is not None:
            lines.append(f"{amount_text(new.sent, unit)} to {_count(new, where)}, new to it{_seldom(new)}.")
    if facts["days"]:
        lines.append(
            f"Known for {count_text(facts['days'])} days, with {count_text(facts['outside'])} hours that brought new "
            f"destinations outside and {count_text(facts['inside'])} inside."
        )
    if facts["is_new"]:
        lines.append(
            f"Its workload is known for {count_text(facts['workload_days'])} days, with "
            f"{count_text(facts['processes'])} new processes on them."
        )
    if evidence.image:
        lines.append(_probation(evidence))
    return lines


def _probation(evidence: NoveltyEvidence) -> str:
    """The rollout, and whether it made the verdict milder."""
    text = f"In probation since {rfc3339(evidence.image_since_ns)} after image {evidence.image}"
    places = (one for one in (evidence.outside, evidence.inside) if one is not None)
    if evidence.facts["is_familiar"] or any(one.is_familiar for one in places):
        return f"{text}: what others of the same process know, or all of the workload meet at once, counts less."
    return f"{text}; nothing that is new is known to others of the same process, so it counts in full."


def novelty_contributions(evidence: NoveltyEvidence, unit: str) -> list[tuple[str, str, str, str]]:
    """What each channel says, most surprising first: its name, what was met, how rare that is, and whether it decided.

    Channels that met nothing new are left out. The most surprising one alone decides, so there are no shares.
    """
    told = sorted(zip(Channel, evidence.parts, strict=True), key=lambda one: -one[1])
    return [
        (
            _NAMES[channel],
            _met(evidence, channel, unit),
            f"once in {period_text(1000 * math.exp(part))}",
            "decided" if channel is evidence.main else "",
        )
        for channel, part in told
        if math.isfinite(part)
    ]


def _met(evidence: NoveltyEvidence, channel: Channel, unit: str) -> str:
    """What a channel met, as a fragment."""
    facts = evidence.facts
    where = ", mostly to a place new to the whole fleet" if facts["is_stranger"] else ""
    if channel in (Channel.OUTSIDE, Channel.INSIDE):
        new = evidence.outside if channel is Channel.OUTSIDE else evidence.inside
        return "" if new is None else f"{amount_text(new.sent, unit)} to {_count(new, '')}{_seldom(new)}"
    if channel is Channel.PROCESS:
        days = f"{count_text(facts['workload_days'])} days of its workload"
        many = f"{count_text(facts['processes'])} others came in" if facts["processes"] else "the first in"
        return f"{many} {days}{where}"
    if channel is Channel.SILENCE:
        return f"silent for {count_text(facts['silent_days'])} days{where}"
    if channel is Channel.UDP:
        return amount_text(facts["udp_sent"], unit)
    if is_beacon(evidence):
        return _beacon(evidence)
    return (
        f"{count_text(facts['destinations'])} destinations, {count_text(facts['sockets'])} connections "
        f"(records {count_text(facts['most_destinations'])} and {count_text(facts['most_sockets'])})"
    )


def quiet_amount(evidence: NoveltyEvidence, value: float, tail: float) -> float:
    """What would just have stayed quiet, all else alike, where surprise grows with `tail` x ln(value).

    >>> quiet_amount(NoveltyEvidence(1.0, 0.0, 1.0, (), {}, None, None, (), ()), math.e, 1.0)
    1.0
    """
    return value * math.exp((evidence.threshold - evidence.score) / tail)
