"""The novelty detector over a store: what each entity met in the last hour, and which entities pass the threshold.

Read-only and as of `now_ns`: the past comes from what was known when the day began, today from edges and samples that
end by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ebbtide.detect.novelty import Facts, Met, Novel, NoveltyScale, rank_of, score_novelty
from ebbtide.detect.novelty_detector import NoveltySettings
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.detect.novelty_scale import learn_scale
from ebbtide.series import Float64, Int64
from ebbtide.store.known_contacts import HOURS, NEVER, KnownContacts
from ebbtide.store.novelty import HourContacts
from ebbtide.store.places import is_inside
from ebbtide.store.view import View

OPTIONS = NoveltyOptions()
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedNovelty:
    """Every entity that sent in the hour. `entities` are their numbers; facts, score and `fired` follow them.

    `is_young` (entities,): on its first day, when only a new process can be told.
    """

    entities: Int64
    facts: Facts
    met: Met
    novel: Novel
    scale: NoveltyScale
    fired: NDArray[np.bool_]
    threshold: float
    budget: float
    is_young: NDArray[np.bool_]


def fleet(view: View, now_ns: int) -> int:
    """How many entities had ever sent when the day began."""
    return int((view.novelty.known(now_ns, OPTIONS).first_hour < NEVER).sum())


def judge(view: View, now_ns: int, settings: NoveltySettings, *, entities: int | None = None) -> JudgedNovelty:
    """S of every entity that sent in the hour before `now_ns`. An empty store is legal.

    `entities` is how many share the budget; None: those that ever sent.
    """
    known = view.novelty.known(now_ns, OPTIONS)
    hour = view.novelty.hour(now_ns, known)
    workloads = _workloads(view, known)
    numbers, facts, met = _facts(view, known, hour, workloads)
    scale = _scale(known, workloads)
    novel = score_novelty(facts, met, scale, OPTIONS)
    many = fleet(view, now_ns) if entities is None else entities
    threshold = settings.threshold(many)
    young = (facts.days == 0) & ~np.isfinite(novel.score)
    return JudgedNovelty(
        numbers, facts, met, novel, scale, novel.score > threshold, threshold, settings.effective_budget(many), young
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Workloads:
    """`of` (entities,) is the number of each entity's workload; `days` heard days known and `processes` that came
    after the first day, per workload."""

    of: Int64
    days: Float64
    processes: Float64


def _workloads(view: View, known: KnownContacts) -> _Workloads:
    numbers: dict[tuple[str, str, str], int] = {}
    entities = view.identity.entities
    of = np.array([numbers.setdefault((e.cluster, e.namespace, e.workload), len(numbers)) for e in entities], np.int64)
    # Entities met since the day was opened are not known yet.
    first = np.full(len(entities), NEVER, np.int64)
    first[: len(known.first_hour)] = known.first_hour
    begin = np.full(len(numbers), NEVER, np.int64)
    np.minimum.at(begin, of, first)
    heard = [
        float(known.heard_between(cluster, int(hour) // HOURS, known.day)) if hour < NEVER else 0.0
        for (cluster, _, _), hour in zip(numbers, begin, strict=True)
    ]
    came = (first < NEVER) & (first >= begin[of] + HOURS)
    return _Workloads(of, np.array(heard), np.bincount(of[came], minlength=len(numbers)).astype(np.float64))


def _scale(known: KnownContacts, workloads: _Workloads) -> NoveltyScale:
    exposed = np.maximum(workloads.days - 1.0, 0.0).sum()
    return learn_scale(
        known.past, float(workloads.processes.sum()), float(exposed), float(known.wakings.sum()), OPTIONS
    )


def _facts(view: View, known: KnownContacts, hour: HourContacts, workloads: _Workloads) -> tuple[Int64, Facts, Met]:
    """The facts of each entity of the hour, and its new destinations."""
    entities, row = np.unique(hour.entity, return_inverse=True)
    row = row.reshape(-1)
    total = {name: np.bincount(row, getattr(hour, name), len(entities)).astype(np.float64)
             for name in ("sent", "udp_sent", "sockets", "endpoints")}  # fmt: skip
    of = workloads.of[entities]
    past = {kind: known.past.events(is_inside=kind) for kind in (False, True)}
    first = _at(known.first_hour, entities, NEVER)
    strange = np.bincount(row, hour.sent * hour.is_stranger, len(entities))
    before = hour.before[entities]
    facts = Facts(
        sent=total["sent"],
        udp_sent=total["udp_sent"],
        destinations=total["endpoints"],
        sockets=total["sockets"],
        days=_at(known.past.days, entities, 0.0),
        outside=_at(past[False], entities, 0.0),
        inside=_at(past[True], entities, 0.0),
        wakings=_at(known.wakings, entities, 0.0),
        silent_days=_silent_days(view, known, entities, first, before),
        most_sent=_at(known.most_sent, entities, 0.0),
        is_new=(first == NEVER) & np.isnan(before),
        workload_days=workloads.days[of],
        processes=workloads.processes[of],
        is_stranger=strange > 0.5 * total["sent"],
        had_udp=_at(known.had_udp, entities, False),
        most_destinations=_at(known.most_destinations, entities, 0.0),
        most_sockets=_at(known.most_sockets, entities, 0.0),
    )
    inside = is_inside(hour.place)
    # A workload nobody had sent to before today has just been deployed; that others call it says nothing.
    answers = hour.sent < OPTIONS.answered * hour.received
    new = np.flatnonzero(hour.is_new & ~answers & ~(inside & hour.is_stranger))
    rank = rank_of(row[new], inside[new], hour.sent[new])
    return entities, facts, Met(row[new], inside[new], hour.sent[new], rank)


def _silent_days(view: View, known: KnownContacts, entities: Int64, first: Int64, before: Float64) -> Float64:
    """Heard days on which each entity had been silent when the hour began, 0 where it spoke on the day itself."""
    last = _at(known.last_day, entities, -1)
    since = np.where(last >= 0, last, first // HOURS) + 1
    clusters = [view.identity.entities[entity].cluster for entity in entities.tolist()]
    days = np.array([known.heard_between(one, at, known.day) for one, at in zip(clusters, since, strict=True)], float)
    return np.where(np.nan_to_num(before) >= OPTIONS.least_spoken, 0.0, days)


def _at(values: NDArray[T], entities: Int64, absent: float) -> NDArray[T]:
    """Values by entity number; `absent` for entities that came after the day was opened."""
    known = entities < len(values)
    found = np.full(len(entities), absent, values.dtype)
    found[known] = values[entities[known]]
    return found
