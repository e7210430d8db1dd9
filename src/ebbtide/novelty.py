"""The novelty detector over a store: what each entity met in the last hour, and which entities pass the threshold.

Read-only and as of `now_ns`: the past comes from what was known when the day began, today from edges and samples that
end by then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ebbtide.detect.novelty import Facts, Met, Novel, NoveltyScale, rank_of, score_novelty
from ebbtide.detect.novelty_detector import NoveltySettings
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.novelty_probation import Hour, weigh
from ebbtide.series import Float64, Int64
from ebbtide.store.known_contacts import HOURS, NEVER, KnownContacts
from ebbtide.store.learned_novelty import LearnedNovelty
from ebbtide.store.novelty import HourContacts
from ebbtide.store.places import is_inside
from ebbtide.store.rollouts import Rollout
from ebbtide.store.view import View

OPTIONS = NoveltyOptions()
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class JudgedNovelty:
    """Every entity that sent in the hour. `entities` are their numbers; facts, score and `fired` follow them.

    `is_young` (entities,): on its first day, when only a new process can be told. `rollouts`, by row: the workloads in
    probation among those that would have fired.
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
    rollouts: Mapping[int, Rollout] = field(default_factory=dict)


def fleet(view: View, now_ns: int) -> int:
    """How many entities had ever sent when the day began."""
    return view.novelty.learned(view.novelty.known(now_ns, OPTIONS), OPTIONS).entities


def judge(view: View, now_ns: int, settings: NoveltySettings, *, entities: int | None = None) -> JudgedNovelty:
    """S of every entity that sent in the hour before `now_ns`. An empty store is legal.

    `entities` is how many share the budget; None: those that ever sent.
    """
    known = view.novelty.known(now_ns, OPTIONS)
    hour = view.novelty.hour(now_ns, known)
    learned = view.novelty.learned(known, OPTIONS)
    found = _hour(view, known, hour, learned)
    novel = score_novelty(found.facts, found.met, learned.scale, OPTIONS)
    many = learned.entities if entities is None else entities
    threshold = settings.threshold(many)
    young = (found.facts.days == 0) & ~np.isfinite(novel.score)
    loud = np.flatnonzero(novel.score > threshold)
    weighed = weigh(view, known, found, loud, now_ns)
    if weighed.rollouts:
        novel = score_novelty(weighed.facts, weighed.met, learned.scale, OPTIONS)
    fired, budget = novel.score > threshold, settings.effective_budget(many)
    return JudgedNovelty(
        found.entities, weighed.facts, weighed.met, novel, learned.scale, fired, threshold, budget, young,
        weighed.rollouts,
    )  # fmt: skip


def _hour(view: View, known: KnownContacts, hour: HourContacts, learned: LearnedNovelty) -> Hour:
    """The facts of each entity of the hour, and its new destinations."""
    entities, row = np.unique(hour.entity, return_inverse=True)
    row = row.reshape(-1)
    total = {name: np.bincount(row, getattr(hour, name), len(entities)).astype(np.float64)
             for name in ("sent", "udp_sent", "sockets", "endpoints")}  # fmt: skip
    names = view.identity.entities
    workload_days, processes = learned.workloads_of([names[one] for one in entities.tolist()])
    first = _at(known.first_hour, entities, NEVER)
    strange = np.bincount(row, hour.sent * hour.is_stranger, len(entities))
    before = hour.before[entities]
    facts = Facts(
        sent=total["sent"],
        udp_sent=total["udp_sent"],
        destinations=total["endpoints"],
        sockets=total["sockets"],
        days=_at(known.past.days, entities, 0.0),
        outside=_at(learned.outside, entities, 0.0),
        inside=_at(learned.inside, entities, 0.0),
        wakings=_at(known.wakings, entities, 0.0),
        silent_days=_silent_days(view, known, entities, first, before),
        most_sent=_at(known.most_sent, entities, 0.0),
        is_new=(first == NEVER) & np.isnan(before),
        workload_days=workload_days,
        processes=processes,
        is_stranger=strange > 0.5 * total["sent"],
        had_udp=_at(known.had_udp, entities, False),
        most_destinations=_at(known.most_destinations, entities, 0.0),
        most_sockets=_at(known.most_sockets, entities, 0.0),
        steady_hours=_at(hour.steady.hours, entities, 0.0),
        is_steady_stranger=_at(hour.steady.is_stranger, entities, False),
        in_probation=np.zeros(len(entities), np.bool_),
        is_familiar=np.zeros(len(entities), np.bool_),
    )
    inside = is_inside(hour.place)
    # A workload nobody had sent to before today has just been deployed; that others call it says nothing.
    answers = hour.sent < OPTIONS.answered * hour.received
    new = np.flatnonzero(hour.is_new & ~answers & ~(inside & hour.is_stranger))
    rank = rank_of(row[new], inside[new], hour.sent[new])
    seldom = np.where(inside[new], known.callers.seldom(hour.entity[new], hour.place[new]), 1.0)
    met = Met(row[new], inside[new], hour.sent[new], rank, seldom, np.zeros(len(new), np.bool_))
    return Hour(hour, entities, facts, met, hour.place[new])


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
