"""One sentence that says it all: who sent how much, how unusual that is, and to where.

It is read in a chat at 3 a.m., so the most telling metric speaks (bytes, else packets, else connections), every name is
made safe for one line, and nothing is claimed that the evidence does not hold.
"""

from __future__ import annotations

from ebbtide.finding.evidence import DestinationShare, Evidence, MetricEvidence
from ebbtide.finding.text import bytes_text, count_text, duration_text, one_line, percent_text, ratio_text
from ebbtide.series import Entity

#: The unit of sources whose values were scaled before they were published: never called bytes.
SCALED = "scaled units"

#: What the last part of a metric's name counts, most telling first.
_KINDS = ("bytes", "packets", "new_sockets")


def unit_of(metric: str, scaled: str = "") -> str:
    """The unit of a metric's values: bytes, packets, sockets, `scaled` if given, "" where unknown."""
    return scaled or {"bytes": "bytes", "packets": "packets", "new_sockets": "sockets"}.get(kind_of(metric), "")


def kind_of(metric: str) -> str:
    """What a metric counts: the last part of its name.

    >>> kind_of("tcp.new_sockets")
    'new_sockets'
    """
    return metric.rpartition(".")[2]


def amount_text(value: float, unit: str) -> str:
    """An amount in its unit: `4.2 GB`, `12,300 packets`, `5 scaled units`, or the bare number."""
    if unit == "bytes":
        return bytes_text(value)
    return f"{count_text(value)} {unit}".strip()


def headline(entity: Entity, evidence: Evidence, span_ns: int) -> str:
    """The sentence. `span_ns` is the time from the first to the end of the last bucket above the line."""
    kinds = {kind: [one for one in evidence.metrics if kind_of(one.metric) == kind] for kind in _KINDS}
    main = next((kind for kind in _KINDS if kinds[kind]), "")
    told = kinds[main] if main else list(evidence.metrics[:1])
    parts = [f"{subject(entity)} {_deed(main, told, kinds['new_sockets'])} in {duration_text(span_ns)}"]
    parts.append(_how_unusual(told, evidence.bucket_ns))
    sentence = ", ".join(part for part in parts if part)
    where = where_to(evidence.destinations) if main == "bytes" else ""
    return f"{sentence}; {where}" if where else sentence


def subject(entity: Entity) -> str:
    """Who: `nginx in shop/checkout`, without what is not known.

    >>> subject(Entity("prod", "shop", "checkout")), subject(Entity("prod", "", "checkout", "nginx"))
    ('shop/checkout', 'nginx in checkout')
    """
    place = "/".join(one_line(part) for part in (entity.namespace, entity.workload) if part) or "an unknown workload"
    return f"{one_line(entity.process)} in {place}" if entity.process else place


def _deed(main: str, told: list[MetricEvidence], sockets: list[MetricEvidence]) -> str:
    total = sum(one.total for one in told)
    is_scaled = bool(told) and told[0].unit == SCALED
    number = f"{count_text(total)} {SCALED}"
    if main == "new_sockets":
        return f"opened {number} of new connections" if is_scaled else f"opened {count_text(total)} new connections"
    if not main:
        metric = one_line(told[0].metric) if told else "nothing"
        return f"showed {number if is_scaled else count_text(total)} of {metric}"
    if is_scaled:
        return f"sent {number}" + (" of packets" if main == "packets" else "")
    over = f" over {count_text(sum(one.total for one in sockets))} new connections" if sockets else ""
    return f"sent {amount_text(total, main)}{over}"


def _how_unusual(told: list[MetricEvidence], bucket_ns: int) -> str:
    if not told:
        return ""
    usual = [one.usual_hour for one in told if one.usual_hour is not None]
    if len(usual) == len(told):
        if sum(usual) <= 0:
            return "usually nothing at all"
        ratio = sum(one.total for one in told) / sum(usual)
        if ratio >= 1.05:
            return f"{ratio_text(ratio)} x its usual hour"
    worst = max(told, key=lambda one: one.value - one.line)
    if worst.mean <= 0:
        return "usually nothing at all" if worst.baseline.count else "without any history"
    return f"up to {ratio_text(worst.value / worst.mean)} x its usual {duration_text(bucket_ns)}"


def where_to(destinations: tuple[DestinationShare, ...]) -> str:
    """Where most of it went, and how much to the largest place never seen before; "" where nothing is known."""
    ranked = sorted(destinations, key=lambda one: -one.bytes)
    if not ranked or ranked[0].bytes <= 0:
        return ""
    top = ranked[0]
    new = next((one for one in ranked if one.first_seen_ns is None and one.bytes > 0), None)
    told = [f"{percent_text(top.share)} of it to {_place(top)}"]
    if new is not None and new is not top:
        told.append(f"{percent_text(new.share)} to {_place(new)}")
    return " and ".join(told)


def _place(one: DestinationShare) -> str:
    return one_line(one.name) + (", never seen before" if one.first_seen_ns is None else "")
