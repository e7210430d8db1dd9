"""The ground attacks are planted in: what each entity sent minute by minute, whom it talks to, who is long silent.

Read from a store (a user's, or one filled by a simulation) or from a simulation's plan; `cluster_inject` asks nothing
else, so both are injected alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.errors import NoDataError
from ebbtide.lab.simulate_minutes import METRICS, MinuteMaker
from ebbtide.lab.simulate_plan import INTERVAL_S
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Endpoint, Entity, Float64
from ebbtide.store.contacts import Span
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store

#: An entity is long silent if it has sent, but nothing in this share of the history, its end.
SILENT_SHARE = 0.7
_BYTES = ("tcp.bytes", "net.bytes", "udp.bytes")


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """History and surroundings. `sent` (entities, minutes) are bytes of `bytes_metric` from `start_ns` on.

    NaN where the source was not heard. `spoke` (entities, hours): whether it sent bytes of any protocol in that hour.
    `contacts` are the places an entity ever sent to. `interval_s` is the source's.
    """

    entities: tuple[Entity, ...]
    start_ns: int
    sent: Float64
    spoke: NDArray[np.bool_]
    contacts: dict[Entity, frozenset[Endpoint]]
    metrics: frozenset[str]
    interval_s: int

    @property
    def end_ns(self) -> int:
        """The end of what is known."""
        return self.start_ns + int(self.sent.shape[1]) * MINUTE_NS

    @property
    def bytes_metric(self) -> str:
        """The metric that volume is added to."""
        return next(name for name in _BYTES if name in self.metrics)

    @property
    def knows_destinations(self) -> bool:
        """Whether the source tells to whom anything is sent; one that does not would not tell an attacker's place."""
        places = {place for found in self.contacts.values() for place in found}
        return not places or places != {Endpoint()}

    def minutes(self, entity: Entity, from_ns: int, to_ns: int) -> Float64:
        """What an entity sent per minute in [from_ns, to_ns), NaN outside what is known."""
        row = self.sent[self.entities.index(entity)]
        at = np.arange((from_ns - self.start_ns) // MINUTE_NS, -((self.start_ns - to_ns) // MINUTE_NS))
        inside = (at >= 0) & (at < len(row))
        return np.where(inside, row[np.clip(at, 0, len(row) - 1)], np.nan)

    def silent(self, before_ns: int) -> tuple[Entity, ...]:
        """Entities that sent once, by any protocol, and not in the last SILENT_SHARE of the time before an instant.

        One that never sent is none of them: it would be a new process, and is a scenario of its own.
        """
        last = (before_ns - self.start_ns) // HOUR_NS
        first = int(last * (1 - SILENT_SHARE))
        before, late = self.spoke[:, :first], self.spoke[:, first:last]
        is_silent = np.asarray(before.any(axis=1) & ~late.any(axis=1))
        return tuple(entity for entity, silent in zip(self.entities, is_silent, strict=True) if silent)

    def active(self, before_ns: int) -> tuple[Entity, ...]:
        """Entities that sent something on the day before an instant."""
        last = (before_ns - self.start_ns) // MINUTE_NS
        day = np.nan_to_num(self.sent[:, max(0, last - DAY_NS // MINUTE_NS) : last]).sum(axis=1)
        return tuple(entity for entity, sent in zip(self.entities, day, strict=True) if sent > 0)


def ground_of_store(store: Store, until_ns: int | None = None, most: int = 1000) -> Ground:
    """The ground of a store, of its first `most` entities. Raises NoDataError for a store without bytes."""
    span = store.reading.span()
    metrics = frozenset(store.identity.metrics)
    if span is None or not metrics & set(_BYTES):
        raise NoDataError(f"{store.path} holds no bytes", hint="begin with: ebbtide import PATHS")
    entities = tuple(store.identity.entities[:most])
    first = span[0] // DAY_NS * DAY_NS
    last = until_ns if until_ns is not None else -(-span[1] // MINUTE_NS) * MINUTE_NS
    grouping = Grouping(np.arange(len(entities), dtype=np.int32), np.arange(len(entities)), entities)
    of_bytes = tuple(name for name in _BYTES if name in metrics)
    days, spoke = [], []
    for at in range(first, last, DAY_NS):
        sent = store.minutes.of(grouping, of_bytes, at, min(at + DAY_NS, last)).sent
        days.append(sent[:, 0].copy())
        spoke.append(by_hour(np.asarray((np.nan_to_num(sent) > 0).any(axis=1))))
    intervals = store.reading.intervals_s(last)
    interval_s = int(np.median(list(intervals.values()))) if intervals else 60
    contacts = _contacts(store, range(len(entities)), first, last)
    sent = np.concatenate(days, axis=1)
    return Ground(entities, first, sent, np.concatenate(spoke, axis=1), contacts, metrics, interval_s)


def _contacts(store: Store, numbers: Sequence[int], first: int, last: int) -> dict[Entity, frozenset[Endpoint]]:
    places: dict[int, set[Endpoint]] = {}
    for contact in store.contacts.of([Span(number, first, last) for number in numbers], ".bytes"):
        places.setdefault(contact.entity, set()).add(contact.destination)
    return {store.identity.entities[number]: frozenset(found) for number, found in places.items()}


def ground_of_simulation(simulation: Simulation, most: int = 1000) -> Ground:
    """The ground of a simulated cluster, of its first `most` entities, without a store."""
    plan = simulation.plan
    maker = MinuteMaker(simulation)
    metric = METRICS.index("tcp.bytes")
    of_bytes = [METRICS.index(name) for name in _BYTES if name in METRICS]
    parts, spoke = [], []
    for piece in simulation.pieces():
        made = maker.of(*piece).sent[:most]
        parts.append(made[:, metric].copy())  # or each piece would keep all metrics of all entities
        spoke.append((np.nan_to_num(made[:, of_bytes]) > 0).any(axis=1))
    places: dict[Entity, set[Endpoint]] = {}
    for edge in plan.edges:
        for near, far in ((edge.client, edge.server), (edge.server, edge.client)):
            entity = plan.parties[near].entity
            if entity is not None:
                places.setdefault(entity, set()).add(plan.parties[far].endpoint)
    contacts = {entity: frozenset(found) for entity, found in places.items()}
    start_ns, sent = plan.parameters.start_s * SECOND_NS, np.concatenate(parts, axis=1)
    return Ground(
        maker.entities[:most],
        start_ns,
        sent,
        by_hour(np.concatenate(spoke, axis=1)),
        contacts,
        frozenset(METRICS),
        INTERVAL_S,
    )


def by_hour(minutes: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether anything is so in each hour, (rows, hours) from (rows, minutes); the last hour may be short.

    >>> by_hour(np.array([[False] * 60 + [True]])).tolist()
    [[False, True]]
    """
    return np.logical_or.reduceat(minutes, np.arange(0, minutes.shape[1], 60), axis=1)
