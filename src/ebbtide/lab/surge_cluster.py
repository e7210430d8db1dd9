"""A simulated fleet for the study of surges: the 5-minute traffic of each entity, and where it sends by the hour.

In: a plan, and the same plan changed. Out: arrays; those of a changed plan differ in the changed days only, for an edge
keeps its dice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ebbtide.baseline.trailing_statistics import HOURS, Float32
from ebbtide.lab.simulate_plan import INTERVAL_S, PER_DAY, PER_HOUR, Plan
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.lab.surge_clues import Mix
from ebbtide.lab.traffic import Traffic
from ebbtide.series import Endpoint, Entity, Float64, Int64

STEP_S = 300
_PER_STEP = STEP_S // INTERVAL_S
_STEPS_A_DAY = 86_400 // STEP_S
_STEPS_AN_HOUR = 3600 // STEP_S


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Traffic of a fleet, and one mix an entity: what it sent to each place by the hour."""

    traffic: Traffic
    mixes: tuple[Mix, ...]


class ClusterMaker:
    """Makes the arrays of a plan's entities; entities and places keep their numbers from plan to plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._number: dict[Entity, int] = {entity: at for at, entity in enumerate(plan.entities())}
        self._pairs: dict[tuple[int, Endpoint], int] = {}

    def whole(self) -> Cluster:
        """All days of the plan."""
        parameters = self._plan.parameters
        sent, received, pairs = self._sums(self._plan, range(parameters.days))
        names = tuple(map(str, self._number))
        traffic = Traffic(names, sent, received, parameters.start_s, STEP_S)
        return Cluster(traffic, self._mixes(pairs))

    def changed(self, plan: Plan, whole: Cluster, days: range) -> Cluster:
        """The whole cluster with some days made from another plan."""
        sent, received, pairs = self._sums(plan, days)
        steps = slice(days.start * _STEPS_A_DAY, days.stop * _STEPS_A_DAY)
        hours = slice(days.start * HOURS, days.stop * HOURS)
        sides = whole.traffic.sent.copy(), whole.traffic.received.copy()
        for side, part in zip(sides, (sent, received), strict=True):
            side[:, steps] = part
        mixes = []
        for mix, now in zip(whole.mixes, self._mixes(pairs), strict=True):
            grown = np.zeros((len(now.sent), mix.sent.shape[1]), np.float32)
            grown[: len(mix.sent)] = mix.sent
            grown[:, hours] = now.sent
            mixes.append(Mix(grown))
        return Cluster(replace(whole.traffic, sent=sides[0], received=sides[1]), tuple(mixes))

    def _mixes(self, pairs: Float32) -> tuple[Mix, ...]:
        rows: list[list[int]] = [[] for _ in self._number]
        for (entity, _), row in self._pairs.items():
            rows[entity].append(row)
        return tuple(Mix(pairs[of]) for of in rows)

    def _sums(self, plan: Plan, days: range) -> tuple[Float64, Float64, Float32]:
        """Sent and received (entities, steps), and sent by pair of entity and place (pairs, hours), of some days."""
        client, server = (self._ends(plan, name) for name in ("client", "server"))
        to_server, to_client = self._numbered(plan, client, "server"), self._numbered(plan, server, "client")
        first, last = (plan.parameters.first + day * PER_DAY for day in (days.start, days.stop))
        simulation = Simulation(plan)
        shape = (len(self._number), len(days) * _STEPS_A_DAY)
        sent, received = np.zeros(shape), np.zeros(shape)
        pairs = np.zeros((len(self._pairs), len(days) * HOURS), np.float32)
        for begin in range(first, last, PER_HOUR):
            flows = simulation.flows(begin, begin + PER_HOUR)
            step = (flows.interval - begin) // _PER_STEP
            here = slice((begin - first) // _PER_STEP, (begin - first) // _PER_STEP + _STEPS_AN_HOUR)
            hour = (begin - first) // PER_HOUR
            for who, other, places, value in (
                (client, server, to_server, flows.up),
                (server, client, to_client, flows.down),
            ):
                sent[:, here] += _by_row(who[flows.edge], step, value, shape[0])
                received[:, here] += _by_row(other[flows.edge], step, value, shape[0])
                at = places[flows.edge]
                pairs[:, hour] += np.bincount(at[at >= 0], value[at >= 0], len(pairs))
        return sent, received, pairs

    def _ends(self, plan: Plan, end: str) -> Int64:
        """The number of the entity at one end of each edge, -1 for nobody's."""
        of_party = [self._number.get(party.entity, -1) if party.entity else -1 for party in plan.parties]
        return np.array([of_party[getattr(edge, end)] for edge in plan.edges], np.int64)

    def _numbered(self, plan: Plan, entity: Int64, other: str) -> Int64:
        """The number of each edge's pair of an entity and the place at the other end."""
        found = []
        for edge, who in zip(plan.edges, entity.tolist(), strict=True):
            place = plan.parties[getattr(edge, other)].endpoint
            found.append(self._pairs.setdefault((who, place), len(self._pairs)) if who >= 0 else -1)
        return np.array(found, np.int64)


def _by_row(row: Int64, step: Int64, value: Int64, rows: int) -> Float64:
    """Sums (rows, steps of an hour); row -1 is left out."""
    known = row >= 0
    steps = _STEPS_AN_HOUR
    sums = np.bincount(row[known] * steps + step[known], value[known].astype(np.float64), rows * steps)
    return sums.astype(np.float64).reshape(rows, steps)
