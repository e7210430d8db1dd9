"""All labels and findings at a glance: a lane for each entity, places in percent of the time shown."""

from __future__ import annotations

from dataclasses import dataclass

from ebbtide.report.report import Report
from ebbtide.report.wording import anchor, day, duration, utc
from ebbtide.series import DAY_NS, HOUR_NS

#: More lanes than this are left out, and said to be.
MOST_LANES = 40
_MOST_TICKS = 9


@dataclass(frozen=True, slots=True)
class Bar:
    """A label: `at` and `width` in percent."""

    at: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class Dot:
    """A finding: `at` in percent, the anchor of its card."""

    at: float
    anchor: str
    text: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Lane:
    """One entity."""

    entity: str
    bars: tuple[Bar, ...]
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes and the ticks below them, (percent, text)."""

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    left_out: int


def timeline(report: Report) -> Timeline | None:
    """The timeline of a report; None when it has neither labels nor findings."""
    instants = [at for row in report.rows for at in (row.start_ns, row.end_ns)]
    instants += [card.opened_ns for card in report.cards]
    if not instants:
        return None
    pad = max((max(instants) - min(instants)) // 50, HOUR_NS // 2)
    start_ns, end_ns = min(instants) - pad, max(instants) + pad
    span = end_ns - start_ns

    def place(at_ns: int) -> float:
        return round(100 * (at_ns - start_ns) / span, 3)

    names = list(dict.fromkeys([row.entity for row in report.rows] + [card.entity for card in report.cards]))
    lanes = tuple(
        Lane(
            name,
            tuple(
                Bar(
                    place(row.start_ns),
                    round(100 * (row.end_ns - row.start_ns) / span, 3),
                    f"Label: {row.text}, {utc(row.start_ns)} UTC, {duration(row.end_ns - row.start_ns)}",
                )
                for row in report.rows
                if row.entity == name
            ),
            tuple(
                Dot(place(card.opened_ns), anchor(card.uid), f"{card.detection}: {card.headline}", card.verdict or "")
                for card in report.cards
                if card.entity == name
            ),
        )
        for name in names[:MOST_LANES]
    )
    return Timeline(lanes, _ticks(start_ns, end_ns), max(0, len(names) - MOST_LANES))


def _ticks(start_ns: int, end_ns: int) -> tuple[tuple[float, str], ...]:
    """Whole days, or whole hours within two days; at most `_MOST_TICKS` and not at the very edges."""
    unit = DAY_NS if end_ns - start_ns > 2 * DAY_NS else HOUR_NS
    step = unit * max(1, -(-(end_ns - start_ns) // (unit * _MOST_TICKS)))
    first = -(-start_ns // step) * step
    places = [(100 * (at - start_ns) / (end_ns - start_ns), at) for at in range(first, end_ns, step)]
    return tuple(
        (round(place, 3), day(at) if unit == DAY_NS else f"{day(at)} {utc(at)[11:16]}")
        for place, at in places
        if 2 <= place <= 96
    )
