"""One entity over the last 30 days: hours beside what is usual, heat map, destinations, how far it is learned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ebbtide.errors import ConfigError, NotFoundError
from ebbtide.finding.headline import unit_of
from ebbtide.finding.plan import PLAN_FIELDS
from ebbtide.finding.text import rfc3339
from ebbtide.series import DAY_NS, HOUR_NS, Entity, Float64
from ebbtide.store.learned_novelty import workload_of
from ebbtide.store.presence import Presence
from ebbtide.store.profile import Known
from ebbtide.store.search import Search
from ebbtide.store.view import View
from ebbtide.web.answers import EntityRow, Learning, SeriesAnswer, WeekAnswer
from ebbtide.web.query import parse_search
from ebbtide.web.usual import band, week

SPAN_NS = 30 * DAY_NS
#: Hours an entity must have sent in before what is usual means something, and before it means much.
FEW_HOURS, MANY_HOURS = 24, 14 * 24
_KINDS = ("bytes", "packets", "new_sockets")


def members_of(view: View, entity: Entity) -> list[int]:
    """The stored entities of a name. Raises NotFoundError when there are none."""
    numbers = view.profile.numbers(entity)
    if not numbers:
        raise NotFoundError(f"there is no entity {entity}", hint="the list of entities has a search")
    return numbers


def chosen_of(view: View, text: str) -> list[int] | None:
    """The stored entities that a search means, words or matchers; None for all. Raises ConfigError."""
    words, matchers = parse_search(text)
    for matcher in matchers:
        if matcher.field not in PLAN_FIELDS:
            raise ConfigError(f"an entity has no {matcher.field!r}", hint=f"it has {', '.join(PLAN_FIELDS)}")
    return view.profile.named(words, matchers) if words or matchers else None


def entity_rows(view: View, found: Sequence[Presence], until_ns: int) -> list[EntityRow]:
    """Entities of a list with how far each is learned at an instant."""
    learned = {one.entity: one for one in view.learning(until_ns, [one.number for one in found])}
    return [EntityRow.of(one, learned[one.entity]) for one in found if one.entity in learned]


def everyone(view: View, until_ns: int, text: str) -> list[EntityRow]:
    """Every entity of the last 30 days that a search means, by name. Raises ConfigError."""
    found = view.profile.entities(until_ns - SPAN_NS, until_ns, chosen_of(view, text))
    return entity_rows(view, sorted(found, key=lambda one: one.entity), until_ns)


def metrics_of(view: View, numbers: Sequence[int], until_ns: int) -> list[str]:
    """The metrics of the last 30 days, bytes first."""
    found = view.profile.metrics(numbers, until_ns - SPAN_NS, until_ns + HOUR_NS)
    return sorted(found, key=lambda one: (next((at for at, kind in enumerate(_KINDS) if one.endswith(kind)), 9), one))


def unit_in(view: View, metric: str) -> str:
    """The unit of a metric's values; recordings may have one of their own."""
    units = view.contacts.units()
    return unit_of(metric, units.pop() if len(units) == 1 else "")


def learning(view: View, numbers: Sequence[int], until_ns: int) -> Learning:
    """How much of the entity is known, what that allows, and whether its workload is in probation at `until_ns`."""
    first, last, hours = view.profile.span_hours(numbers)
    if hours == 0:
        text = "Nothing it sent is stored. Silence is not safety: look whether its source still reports."
        return Learning(state="unknown", text=text, first=None, last=None, hours=0, days=0.0)
    days = round((last - first) / DAY_NS, 1)
    if hours < FEW_HOURS:
        state, text = "new", "Under a day of traffic: most detections cannot judge it yet, and say so."
    elif hours < MANY_HOURS:
        state, text = "learning", "Under two weeks of traffic: it is judged, by a short memory. Expect more findings."
    else:
        state, text = "learned", "Two weeks of traffic or more: it is judged by what it usually does."
    workloads = {workload_of(view.identity.entities[one]) for one in numbers}
    rollout = max(view.rollouts.of(workloads, until_ns).values(), key=lambda one: one.since_ns, default=None)
    return Learning(
        state=state, text=text, first=rfc3339(first), last=rfc3339(last), hours=hours, days=days,
        image=rollout.version if rollout else "", image_since=rfc3339(rollout.since_ns) if rollout else None,
    )  # fmt: skip


def series(view: View, entity: Entity, numbers: Sequence[int], metric: str, until_ns: int) -> SeriesAnswer:
    """30 days of hours of one metric with the usual band, image versions and findings."""
    end_ns = until_ns // HOUR_NS * HOUR_NS  # a running hour would look like a drop
    start, sent, received = view.profile.hours(numbers, metric, end_ns - SPAN_NS, end_ns)
    usual = band(start, sent)
    found = view.search.page(Search("all", entity=entity, from_ns=end_ns - SPAN_NS, order="newest"), size=200).rows
    versions = view.profile.versions(numbers, end_ns - SPAN_NS, end_ns)
    return SeriesAnswer(
        metric=metric,
        unit=unit_in(view, metric),
        time=[int(one) for one in (start // 10**6).tolist()],
        sent=values(sent),
        received=values(received),
        lower=values(usual.lower),
        upper=values(usual.upper),
        versions=[(one.name, one.first_ns // 10**6, one.last_ns // 10**6) for one in versions],
        findings=[(one.uid, one.opened_ns // 10**6, (one.last_ns + one.bucket_ns) // 10**6) for one in found],
    )


def hours_of_week(view: View, numbers: Sequence[int], metric: str, until_ns: int) -> WeekAnswer:
    """The heat map of 30 days."""
    start, sent, _ = view.profile.hours(numbers, metric, until_ns - SPAN_NS, until_ns)
    mean = week(start, sent)
    return WeekAnswer(metric=metric, unit=unit_in(view, metric), mean=[values(row) for row in mean])


def destinations(view: View, numbers: Sequence[int], until_ns: int) -> list[Known]:
    """Whom it talked to in 30 days."""
    return view.profile.destinations(numbers, until_ns - SPAN_NS, until_ns)


def values(found: Float64) -> list[float | None]:
    """Numbers for JSON: what is not known is None."""
    return [one if np.isfinite(one) else None for one in found.tolist()]
