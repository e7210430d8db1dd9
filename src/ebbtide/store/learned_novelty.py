"""What a day's known contacts say about the fleet: its scale, how often each entity meets new things, its workloads.

Learned once when a day's contacts are read, then kept beside them: a tick looks up what it needs. Entities that come
during the day were not known when it began, so they change none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ebbtide.detect.novelty import NoveltyScale
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.detect.novelty_scale import learn_scale
from ebbtide.series import Entity, Float64, Int64
from ebbtide.store.known_contacts import HOURS, NEVER, KnownContacts

Workload = tuple[str, str, str]


@dataclass(frozen=True, slots=True, eq=False)
class LearnedNovelty:
    """`outside` and `inside` (entities,) are the hours with new destinations by entity number; `scale` is the fleet's.

    `numbers` has each workload's place in `days`, the heard days it is known, and `processes`, those that came after
    its first day. `entities` is how many ever sent.
    """

    outside: Float64
    inside: Float64
    numbers: dict[Workload, int]
    days: Float64
    processes: Float64
    scale: NoveltyScale
    entities: int

    def workloads_of(self, entities: Sequence[Entity]) -> tuple[Float64, Float64]:
        """Days known and processes of the workload of each entity, 0 where it was not known when the day began."""
        at = np.array([self.numbers.get(workload_of(one), -1) for one in entities], np.int64)
        known = at >= 0
        days, processes = np.zeros(len(at)), np.zeros(len(at))
        days[known], processes[known] = self.days[at[known]], self.processes[at[known]]
        return days, processes


def workload_of(entity: Entity) -> Workload:
    """What names a workload."""
    return entity.cluster, entity.namespace, entity.workload


def learn(known: KnownContacts, entities: Sequence[Entity], options: NoveltyOptions) -> LearnedNovelty:
    """What the contacts say; `entities` by number, those that came since included or not."""
    first = known.first_hour
    numbers: dict[Workload, int] = {}
    names = entities[: len(first)]
    of: Int64 = np.array([numbers.setdefault(workload_of(one), len(numbers)) for one in names], np.int64)
    begin = np.full(len(numbers), NEVER, np.int64)
    np.minimum.at(begin, of, first)
    days = np.array(
        [
            float(known.heard_between(cluster, int(hour) // HOURS, known.day)) if hour < NEVER else 0.0
            for (cluster, _, _), hour in zip(numbers, begin, strict=True)
        ]
    )
    came = (first < NEVER) & (first >= begin[of] + HOURS)
    processes = np.bincount(of[came], minlength=len(numbers)).astype(np.float64)
    exposed = float(np.maximum(days - 1.0, 0.0).sum())
    scale = learn_scale(known.past, float(processes.sum()), exposed, float(known.wakings.sum()), options)
    outside, inside = (known.past.events(is_inside=kind) for kind in (False, True))
    return LearnedNovelty(outside, inside, numbers, days, processes, scale, int((first < NEVER).sum()))
