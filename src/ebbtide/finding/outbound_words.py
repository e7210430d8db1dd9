"""Words for findings of the outbound detector: what was sent and received, what record it broke, how rare that is."""

from __future__ import annotations

import math

from ebbtide.baseline.trailing_statistics import WINDOW_HOURS
from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.headline import amount_text, kind_of, subject, where_to
from ebbtide.finding.outbound_evidence import OutboundEvidence, PairEvidence, Part
from ebbtide.finding.text import count_text, duration_text, percent_text, ratio_text
from ebbtide.series import HOUR_NS, Entity

#: Days beyond this are told as years.
_YEAR = 365.25
#: A return period beyond this is told as such: no history reaches so far.
_LONGEST_YEARS = 100

_NAMES = {
    "RATIO_1H": "sent against received, 1 h",
    "RATIO_6H": "sent against received, 6 h",
    "VOLUME_1H": "sent in 1 h",
    "VOLUME_6H": "sent in 6 h",
    "VOLUME_24H": "sent in 24 h",
    "USUAL_HOUR": "sent in 1 h, against this hour of day",
    "DRIP": "sent against received, added up over days",
}
_WINDOW = {"RATIO_6H": 1, "VOLUME_6H": 1, "VOLUME_24H": 2}


def window_of(one: PairEvidence) -> int:
    """The place of the window that tells most: that of the most surprising statistic."""
    return _WINDOW.get(one.parts[0].statistic, 0) if one.parts else 0


def outbound_headline(
    entity: Entity, evidence: OutboundEvidence, unit: str, destinations: tuple[DestinationShare, ...]
) -> str:
    """One sentence: who sent how much, what came back, which record that breaks, how rare it is, and to where."""
    main = evidence.main
    at = window_of(main)
    sent, received = (amount_text(values[at], unit) for values in (main.sent, main.received))
    deed = f"{subject(entity)} sent {sent} in {duration_text(WINDOW_HOURS[at] * HOUR_NS)}"
    if main.has_received:
        deed += f" and received {received}"
    parts = [deed, record_broken(main), rarity(main)]
    sentence = ", ".join(part for part in parts if part)
    where = where_to(destinations) if kind_of(main.metric) == "bytes" else ""
    return f"{sentence}; {where}" if where else sentence


def record_broken(main: PairEvidence) -> str:
    """By how much a record is broken, in the words of the most surprising statistic that breaks one."""
    for part in main.parts:
        if part.record_days_ago is None or not part.value > part.record:
            continue
        factor = math.exp(min(part.value - part.record, 50.0))
        if factor < 1.05:
            continue
        if part.statistic.startswith("RATIO"):
            return f"{ratio_text(factor)} x as lopsided as on any day before"
        if part.statistic.startswith("VOLUME"):
            return f"{ratio_text(factor)} x its record"
        if part.statistic == "USUAL_HOUR":
            return "far above what is usual at this hour"
    return ""


def rarity(main: PairEvidence) -> str:
    """How often to expect the like for this entity: `expected once in 4 months`; "" for what happens every few days."""
    days = main.parts[0].return_days if main.parts else 1.0
    return f"expected once in {period_text(days)}" if days >= 7 else ""


def period_text(days: float) -> str:
    """A return period in words.

    >>> [period_text(days) for days in (3.2, 20, 75, 500, 1e9)]
    ['3 days', '3 weeks', '2 months', '1.4 years', 'more than 100 years']
    """
    if not days < _LONGEST_YEARS * _YEAR:
        return f"more than {_LONGEST_YEARS} years"
    for size, name in ((_YEAR, "years"), (30.4, "months"), (7.0, "weeks")):
        if days >= 1.5 * size or (name == "years" and days >= size):
            return f"{days / size:.1f} {name}" if days < 2 * size and name == "years" else f"{days / size:.0f} {name}"
    return f"{days:.0f} days"


def clue_lines(pair: PairEvidence) -> list[tuple[str, float]]:
    """Where the metric's bytes of the last hour went, and what each clue added to the score, in nats.

    Empty where the entity has no usual mix, or sent nothing: then no clue was asked.
    """
    mix = pair.mix
    if mix is None:
        return []
    sent = min(pair.sent[0], mix.total)
    told = []
    if sent > 0:
        new = min(mix.unfamiliar / sent, 1.0)
        usual = max(1.0 - (1.0 - mix.overlap) * mix.total / sent, 0.0)
        known = f"{percent_text(1.0 - new)} of it to places it knows"
        told = [
            (
                known if mix.known_places or not new else f"{percent_text(new)} of it to places never met",
                mix.known_places,
            ),
            (
                f"{percent_text(usual)} of it where it usually sends, from {percent_text(mix.line)} on usual",
                mix.usual_mix,
            ),
        ]
    told = [(text, -nats if nats else 0.0) for text, nats in told]
    return [*told, *([("the scale that ships knows no destinations", mix.shift)] if mix.shift else [])]


def contributions(pair: PairEvidence) -> list[tuple[str, str, str, str]]:
    """What each statistic added, most surprising first: its name, how it stands to its record, and how rare that is.

    The last part is its share of all surprise, such as `62 %`. Statistics that added nothing are left out. Then where
    the last hour's bytes went, with what that added to the score, such as `-2.0`.
    """
    told = [part for part in pair.parts if part.surprise > 0]
    total = sum(part.surprise for part in told)
    rows = [
        (_NAMES[part.statistic], _against(part), f"once in {period_text(part.return_days)}",
         percent_text(part.surprise / total))
        for part in told
    ]  # fmt: skip
    return rows + [("where it went, 1 h", text, "", nats_text(nats)) for text, nats in clue_lines(pair)]


def nats_text(nats: float) -> str:
    """What was added to a score, with its sign.

    >>> nats_text(-2.0), nats_text(0.0), nats_text(2.5)
    ('-2.0', '0', '+2.5')
    """
    return f"{nats:+.1f}" if nats else "0"


def _against(part: Part) -> str:
    if part.record_days_ago is None:
        return "no record yet"
    factor = math.exp(max(min(part.value - part.record, 50.0), -50.0))
    return f"{ratio_text(factor)} x its record of {part.record_days_ago} days ago, of {part.days} days known"


def explain_outbound(evidence: OutboundEvidence, unit: str) -> list[str]:
    """Lines: the score and its threshold, then what each statistic of each metric contributed."""
    lines = [surprise_text(evidence.score, evidence.threshold, evidence.budget)]
    for pair in evidence.pairs:
        lines += _explain(pair, unit)
    if not evidence.scale.is_own:
        lines.append("Measured with the scale that ships: this fleet has too few days of its own yet.")
    return lines


def surprise_text(score: float, threshold: float, budget: float) -> str:
    """How unusual a score is, against the budget.

    >>> surprise_text(7.8, -0.001, 1.0)
    'How unusual: fewer than 0.1 findings this surprising are expected per 1000 entity-days; the budget accepts 1 \
(score 7.80, told from 0.00 on).'
    """
    per_1000 = math.exp(-score)
    rate = count_text(per_1000) if per_1000 >= 0.1 else "fewer than 0.1"
    return (
        f"How unusual: {rate} findings this surprising are expected per 1000 entity-days; the budget accepts "
        f"{count_text(budget)} (score {round(score, 2) + 0.0:.2f}, told from {round(threshold, 2) + 0.0:.2f} on)."
    )


def _explain(pair: PairEvidence, unit: str) -> list[str]:
    sums = [
        f"{amount_text(sent, unit)} sent" + (f" and {amount_text(got, unit)} received" if pair.has_received else "")
        + f" in {hours} h"
        for sent, got, hours in zip(pair.sent, pair.received, WINDOW_HOURS, strict=True)
        if not math.isnan(sent)
    ]  # fmt: skip
    channel = "sending that receiving does not explain" if pair.ratio >= pair.volume else "plain volume"
    lines = [f"{pair.metric}: {'; '.join(sums)}. Decided by {channel}."]
    lines += [_part(part) for part in pair.parts if part.surprise > 0]
    lines += [f"  where it went, 1 h: {text}: {nats_text(nats)}" for text, nats in clue_lines(pair)]
    others = max(pair.others_ratio, pair.others_volume)
    if others >= 1:
        lines.append(f"{count_text(others)} other processes were surprising with it, which takes from the score.")
    return lines


def _part(part: Part) -> str:
    name = _NAMES[part.statistic]
    if part.record_days_ago is None:
        return f"  {name}: no record yet"
    against = math.exp(max(min(part.value - part.record, 50.0), -50.0))
    return (
        f"  {name}: {ratio_text(against)} x its record of {part.record_days_ago} valid days ago "
        f"({part.days} days known), a day like this once in {period_text(part.return_days)}"
    )
