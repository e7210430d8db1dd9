"""After a rollout: what of the hour's new things is expected, because others know it or all of the workload meet it.

Looked up only for entities that would be told, so a tick in which nothing is new reads no images. It only ever lowers
scores: a rollout alone hides nothing, a place that nobody knew and only one process meets counts in full.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ebbtide.detect.novelty import Facts, Met
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.series import Int64
from ebbtide.store.known_contacts import KnownContacts
from ebbtide.store.learned_novelty import Workload, workload_of
from ebbtide.store.novelty import HourContacts
from ebbtide.store.rollouts import Rollout
from ebbtide.store.view import View

OPTIONS = NoveltyOptions()
#: So many processes of a workload must send for "all of them" to mean anything.
_LEAST = 2


@dataclass(frozen=True, slots=True, eq=False)
class Hour:
    """The judged hour: entities' numbers, their facts, what they met, and the `places` of the rows of `met`."""

    contacts: HourContacts
    entities: Int64
    facts: Facts
    met: Met
    places: Int64


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """Facts and destinations with what a rollout explains, and the rollouts by the entity's row."""

    facts: Facts
    met: Met
    rollouts: Mapping[int, Rollout]


def weigh(view: View, known: KnownContacts, hour: Hour, rows: Int64, now_ns: int) -> Weighed:
    """The hour with `in_probation` and `is_familiar` set for the entities in `rows`."""
    names = view.identity.entities
    workloads = {row: workload_of(names[int(hour.entities[row])]) for row in rows.tolist()}
    found = view.rollouts.of(set(workloads.values()), now_ns)
    rollouts = {row: found[one] for row, one in workloads.items() if one in found}
    if not rollouts:
        return Weighed(hour.facts, hour.met, {})
    probation, process = np.zeros(len(hour.entities), np.bool_), np.zeros(len(hour.entities), np.bool_)
    familiar = np.zeros(len(hour.places), np.bool_)
    for row in rollouts:
        others = _same_process(view, known, int(hour.entities[row]))
        probation[row], process[row] = True, len(others) > 0
        for at in np.flatnonzero(hour.met.row == row).tolist():
            place = int(hour.places[at])
            familiar[at] = known.is_met(place, others, OPTIONS.familiar_days) or _meet_all(
                view, hour.contacts, workloads[row], place
            )
    facts = replace(hour.facts, in_probation=probation, is_familiar=process)
    return Weighed(facts, replace(hour.met, is_familiar=familiar), rollouts)


def _same_process(view: View, known: KnownContacts, number: int) -> Int64:
    """Numbers of the entities of other workloads with the same process that have been known for long.

    An implant that came to another workload yesterday makes itself familiar nowhere.
    """
    names = view.identity.entities
    own = names[number]
    if not own.process:
        return np.empty(0, np.int64)
    others = known.entities_of(own.process, names, OPTIONS.familiar_days)
    return np.array([one for one in others.tolist() if workload_of(names[one]) != workload_of(own)], np.int64)


def _meet_all(view: View, contacts: HourContacts, workload: Workload, place: int) -> bool:
    """Whether every process of the workload that sends in the hour meets the place, two or more of them."""
    names = view.identity.entities
    senders = [one for one in np.unique(contacts.entity).tolist() if workload_of(names[one]) == workload]
    meets = contacts.entity[(contacts.place == place) & contacts.is_new]
    return len(senders) >= _LEAST and bool(np.isin(senders, meets).all())
