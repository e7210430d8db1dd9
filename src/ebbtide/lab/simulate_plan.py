"""What is simulated: who there is, who talks to whom and how, and what happens meanwhile.

A plan is drawn once from the parameters (`simulate_topology`, `simulate_benign`); `simulate_traffic` then makes any
hour of it. Times are intervals: number k covers [30 k, 30 k + 30) Unix seconds. Without the plan as data, the same
traffic could not be written as OTLP, as arrays, and with attacks in it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeVar

import numpy as np

from ebbtide.lab.simulate_dice import UInt64, keys_of, lognormal, piece, roll, uniform_int
from ebbtide.series import Endpoint, EndpointClass, Entity, Float64, Int64

#: The same parameters give the same bytes as long as this stays; a test holds a digest of them.
SIMULATOR_VERSION = 1
INTERVAL_S = 30
PER_MINUTE, PER_HOUR, PER_DAY = 2, 120, 2880
#: Monday, 19 January 2026, 00:00 UTC: two weeks from it end with a month's last day and a Sunday.
START_S = 1_768_780_800
NEVER = 2**40

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a simulated cluster is a function of, together with SIMULATOR_VERSION.

    `novelty` multiplies new destinations, one-off shells and names that never repeat (1 to 10), `churn` rollouts,
    restarts, scaling, surges, added jobs and gaps of the source (0: none). `zones` splits every edge into as many
    series. `start_s` is a UTC midnight.
    """

    seed: int = 1
    entities: int = 60
    days: int = 14
    cluster: str = "prod-sim"
    start_s: int = START_S
    novelty: float = 1.0
    churn: float = 1.0
    zones: int = 1

    @property
    def first(self) -> int:
        """The first interval."""
        return self.start_s // INTERVAL_S

    @property
    def last(self) -> int:
        """The first interval after the end."""
        return self.first + self.days * PER_DAY


_KINDS = {
    "K8S_CONTAINER": EndpointClass.INTERNAL,
    "PROCESS": EndpointClass.HOST,
    "IP": EndpointClass.EXTERNAL,
    "DNS": EndpointClass.EXTERNAL,
    "AWS": EndpointClass.EXTERNAL,
}


@dataclass(frozen=True, slots=True)
class Party:
    """One end of an edge, as the source would name it. `workload` "" is an address without a name.

    `resolution` is the source's word for how the name was found; `shown` the name of one run of a job, where older
    agents show that instead of the workload.
    """

    workload: str
    process: str = ""
    namespace: str = ""
    cluster: str = ""
    resolution: str = "DNS"
    container: str = ""
    image: str = ""
    shown: str = ""

    @property
    def entity(self) -> Entity | None:
        """Whose traffic it is; None for places outside and name servers."""
        if self.resolution not in ("K8S_CONTAINER", "PROCESS"):
            return None
        return Entity(self.cluster, self.namespace, self.workload, self.process)

    @property
    def endpoint(self) -> Endpoint:
        """The place, as the preset of this source reads it."""
        kind = EndpointClass.DNS if self.workload == "DNS" else _KINDS[self.resolution]
        cluster = self.cluster if self.entity is not None else ""
        return Endpoint(cluster, self.namespace, self.workload, self.process, kind)


class Shape(IntEnum):
    """How demand goes through the week: not at all, with people at home, with people at work."""

    FLAT = 0
    USERS = 1
    OFFICE = 2


@dataclass(frozen=True, slots=True)
class Edge:
    """Who opens connections to whom, and what flows. Bytes are means per active interval.

    `activity` is the share of intervals in which something flows, `burst` the share of those times a heavy-tailed
    factor, `sockets` new connections per active interval, `spread` the row of `dice.SIGMAS`. A schedule (`every` > 0)
    makes it run for `length` intervals every `every` from `first` (of the plan's start), each run up to `jitter`
    late; `weekend_factor` and `month_end_factor` multiply the runs of Sundays and of a month's last day. Alive over
    [born, gone), intervals of the plan. `group` shares its ups and downs.
    """

    client: int
    server: int
    up: float
    down: float
    group: int
    is_udp: bool = False
    spread: int = 1
    shape: Shape = Shape.USERS
    activity: float = 1.0
    burst: float = 0.0
    sockets: float = 0.0
    every: int = 0
    first: int = 0
    length: int = 0
    jitter: int = 0
    weekend_factor: float = 1.0
    month_end_factor: float = 1.0
    born: int = 0
    gone: int = NEVER


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event does to edges over [first, last), in intervals since 1970: factors, or silence.

    `growth` multiplies by (1 + growth) once a day since `first`; `shift_h` moves demand and schedules by some hours;
    `replicas` times as many pods share the traffic.
    """

    edges: tuple[int, ...]
    first: int
    last: int
    up: float = 1.0
    down: float = 1.0
    sockets: float = 1.0
    growth: float = 0.0
    shift_h: int = 0
    replicas: int = 1
    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class BenignEvent:
    """Ground truth: something that is not an attack happened over [first, last), intervals since 1970."""

    kind: str
    subject: str
    first: int
    last: int
    detail: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Everything a simulation is made from. Rollouts are (party, interval): its image changes there.

    `gaps` are intervals [first, last) in which the source says nothing at all.
    """

    parameters: Parameters
    parties: tuple[Party, ...]
    edges: tuple[Edge, ...]
    effects: tuple[Effect, ...] = ()
    rollouts: tuple[tuple[int, int], ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()
    events: tuple[BenignEvent, ...] = ()

    def entities(self) -> tuple[Entity, ...]:
        """Every entity once, in the order of the parties."""
        return tuple(dict.fromkeys(party.entity for party in self.parties if party.entity is not None))

    def edges_of(self, entity: Entity) -> tuple[int, ...]:
        """The edges an entity takes part in, on either side."""
        ours = {at for at, party in enumerate(self.parties) if party.entity == entity}
        return tuple(at for at, edge in enumerate(self.edges) if edge.client in ours or edge.server in ours)


@dataclass(slots=True)
class Draft:
    """A plan in the making. Edges keep their numbers, and so their dice, when more are added."""

    parameters: Parameters
    parties: list[Party] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    rollouts: list[tuple[int, int]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    events: list[BenignEvent] = field(default_factory=list)
    _places: dict[Party, int] = field(default_factory=dict)
    _edges_of: dict[int, list[int]] = field(default_factory=dict)
    _containers: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> Draft:
        """A draft that goes on from a plan."""
        draft = cls(plan.parameters)
        for party in plan.parties:
            draft.party(party)
        for edge in plan.edges:
            draft.add(edge)
        for name in ("effects", "rollouts", "gaps", "events"):
            getattr(draft, name).extend(getattr(plan, name))
        return draft

    def party(self, party: Party) -> int:
        """The number of a party, new if need be."""
        if party not in self._places:
            self._places[party] = len(self.parties)
            self._containers.setdefault((party.namespace, party.image), []).append(len(self.parties))
            self.parties.append(party)
        return self._places[party]

    def same_image(self, party: int) -> tuple[int, ...]:
        """The parties that run from the same image in the same namespace, this one among them."""
        one = self.parties[party]
        return tuple(self._containers[one.namespace, one.image])

    def edges_of(self, party: int) -> tuple[int, ...]:
        """The edges on either side of a party."""
        return tuple(self._edges_of.get(party, ()))

    def add(self, edge: Edge) -> int:
        """Add an edge; its number."""
        for end in {edge.client, edge.server}:
            self._edges_of.setdefault(end, []).append(len(self.edges))
        self.edges.append(edge)
        return len(self.edges) - 1

    def finish(self) -> Plan:
        """The plan."""
        return Plan(
            self.parameters,
            tuple(self.parties),
            tuple(self.edges),
            tuple(self.effects),
            tuple(self.rollouts),
            tuple(self.gaps),
            tuple(self.events),
        )


class Draws:
    """One draw after the other for a place of a plan: the plan's own dice, not the traffic's."""

    def __init__(self, seed: int, *path: int) -> None:
        self._key = keys_of(seed, SIMULATOR_VERSION, *path, count=1)
        self._at = 0

    def _next(self) -> UInt64:
        self._at += 1
        return roll(self._key, np.array([self._at]))

    def integer(self, low: int, high: int) -> int:
        """Evenly in [low, high)."""
        return int(uniform_int(self._next(), low, high)[0])

    def chance(self, share: float) -> bool:
        """True with this probability, to 2^-16."""
        return int(piece(self._next(), 1)[0]) < share * 65536

    def factor(self, spread: int) -> float:
        """A lognormal factor of mean 1."""
        return float(lognormal(np.array(spread), piece(self._next(), 1))[0])

    def choice(self, items: Sequence[T]) -> T:
        """One of these."""
        return items[self.integer(0, len(items))]

    def count(self, mean: float) -> int:
        """A whole number with this mean: its whole part, and the rest by chance."""
        return int(mean) + int(self.chance(mean - int(mean)))


@dataclass(frozen=True, slots=True, eq=False)
class EdgeColumns:
    """A plan's edges as columns (edges,), times as intervals since 1970, `key` and `group_key` their dice."""

    key: UInt64
    group_key: UInt64
    number: dict[str, Float64]
    whole: dict[str, Int64]

    @classmethod
    def of(cls, plan: Plan) -> EdgeColumns:
        """The columns of all edges."""
        edges, parameters = plan.edges, plan.parameters
        groups = 1 + max((edge.group for edge in edges), default=0)
        group = np.array([edge.group for edge in edges], np.int64)
        reals, wholes = {}, {}
        for one in dataclasses.fields(Edge):
            values = [getattr(edge, one.name) for edge in edges]
            if one.type == "float":
                reals[one.name] = np.array(values, np.float64)
            else:
                wholes[one.name] = np.array(values, np.int64)
        for name in ("born", "gone", "first"):
            wholes[name] = wholes[name] + parameters.first
        return cls(
            keys_of(parameters.seed, SIMULATOR_VERSION, 1, count=max(len(edges), 1))[: len(edges)],
            keys_of(parameters.seed, SIMULATOR_VERSION, 2, count=groups)[group],
            reals,
            wholes,
        )
