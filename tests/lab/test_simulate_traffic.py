"""The traffic itself: frozen, alike in any order, and sparse as its source."""

import hashlib
import itertools

import numpy as np
import pytest

from ebbtide.lab import simulate_traffic
from ebbtide.lab.simulate_benign import draw_plan
from ebbtide.lab.simulate_plan import PER_DAY, PER_HOUR, SIMULATOR_VERSION, Parameters
from ebbtide.lab.simulate_traffic import Flows, Simulation
from simulated import small

#: Of the traffic of `Parameters()`, version 1. It changes only with SIMULATOR_VERSION: what detectors were tuned on
#: would otherwise not be what they are measured on.
GOLDEN = "9cc613a415b4b736a92cdaae94584566a692d5635de68a9cf9fb0d912875ac36"


def rows(flows: Flows) -> set[tuple[int, ...]]:
    names = Flows.__dataclass_fields__
    return set(zip(*(getattr(flows, name).tolist() for name in names), strict=True))


def _texts(plan) -> list[tuple[object, ...]]:
    parties = [
        (party.workload, party.process, party.namespace, party.resolution, party.image) for party in plan.parties
    ]
    return parties + [(one.kind, one.subject, one.first, one.last, one.detail) for one in plan.events]


def test_the_traffic_is_frozen():
    plan = draw_plan(Parameters())
    simulation, first = Simulation(plan), plan.parameters.first
    digest = hashlib.sha256(repr((SIMULATOR_VERSION, _texts(plan))).encode())
    for hour in (0, 30, 100, 311, 335):
        flows = simulation.flows(first + hour * PER_HOUR, first + (hour + 1) * PER_HOUR)
        for name in Flows.__dataclass_fields__:
            digest.update(getattr(flows, name).astype("<i8").tobytes())

    assert digest.hexdigest() == GOLDEN


def test_any_piece_alone_is_what_it_is_among_others():
    simulation = small()
    first = simulation.plan.parameters.first

    whole = rows(simulation.flows(first, first + PER_DAY))

    for start, length in ((37, 1), (1000, 120), (2879, 1), (0, 3)):
        piece = rows(simulation.flows(first + start, first + start + length))
        assert piece == {row for row in whole if start <= row[1] - first < start + length}


def test_edges_alone_are_what_they_are_among_others():
    simulation = small()
    plan = simulation.plan
    first = plan.parameters.first + 3 * PER_HOUR
    whole = simulation.flows(first, first + PER_HOUR)

    for entity in plan.entities()[::6]:
        edges = np.array(plan.edges_of(entity))
        alone = simulation.flows(first, first + PER_HOUR, edges)
        assert rows(alone) == rows(whole.take(np.isin(whole.edge, edges)))


@pytest.mark.parametrize("edges_an_hour", [4000, 30])
def test_pieces_together_are_everything(monkeypatch, edges_an_hour):
    monkeypatch.setattr(simulate_traffic, "_EDGES_AN_HOUR", edges_an_hour)
    simulation = small()
    parameters = simulation.plan.parameters
    between = parameters.first, parameters.first + PER_DAY

    pieces = simulation.pieces(between)

    assert (pieces[0][0], pieces[-1][1]) == between
    assert all(one[1] == other[0] for one, other in itertools.pairwise(pieces))
    assert (len(pieces) == 24) == (edges_an_hour == 4000)
    assert all((last - first) % 2 == 0 for first, last in pieces)
    assert len(pieces) >= 24
    assert sum(map(len, simulation.flows_by_piece(between))) == len(simulation.flows(*between))


def test_a_row_stands_where_something_flows_and_once_after_it():
    """A naive reading of the source's rule: active windows, and one zero after them."""
    simulation = small(churn=0, novelty=0)
    parameters = simulation.plan.parameters
    flows = simulation.flows(parameters.first, parameters.first + PER_DAY)
    by_edge: dict[int, dict[int, int]] = {}
    for edge, interval, up in zip(flows.edge.tolist(), flows.interval.tolist(), flows.up.tolist(), strict=True):
        by_edge.setdefault(edge, {})[interval] = up

    zeros = 0
    for told in by_edge.values():
        for interval, up in told.items():
            if up == 0:
                zeros += 1
                assert told.get(interval - 1, 0) > 0
            elif interval + 1 < parameters.first + PER_DAY:
                assert interval + 1 in told
    assert zeros > 1000


def test_what_flows_is_whole_and_hangs_together():
    simulation = small()
    first = simulation.plan.parameters.first
    flows = simulation.flows(first, first + PER_DAY)

    speaks = flows.up > 0
    assert (flows.down[speaks] >= 40).all()
    assert (flows.up_packets[speaks] >= 1).all()
    assert (flows.sockets >= 0).all()
    size = flows.down[speaks] / flows.down_packets[speaks]
    assert np.median(size[flows.down[speaks] > 10**5]) == pytest.approx(1000, rel=0.1)
    silent = flows.take(~speaks)
    for name in ("down", "up_packets", "down_packets", "sockets"):
        assert not getattr(silent, name).any()


def test_users_sleep_at_night_and_offices_at_the_weekend():
    plan = draw_plan(Parameters(entities=60, days=7, churn=0, novelty=0))
    simulation, first = Simulation(plan), plan.parameters.first
    web = np.array([at for at, edge in enumerate(plan.edges) if plan.parties[edge.client].workload == ""])

    def sent(day: int, hour: int) -> float:
        at = first + day * PER_DAY + hour * PER_HOUR
        return float(simulation.flows(at, at + 2 * PER_HOUR, web).down.sum())

    assert sent(1, 15) > 3 * sent(1, 3)
    office = [at for at in web if plan.edges[at].shape == 2]
    if office:
        web = np.array(office)
        assert sent(2, 12) > 3 * sent(5, 12)


def test_traffic_has_a_heavy_tail():
    simulation = small(churn=0)
    first = simulation.plan.parameters.first
    flows = simulation.flows(first, first + PER_DAY)
    worker = max(set(flows.edge.tolist()), key=lambda edge: simulation.plan.edges[edge].spread)

    up = flows.up[(flows.edge == worker) & (flows.up > 0)]
    assert up.max() > 8 * np.median(up)


def test_a_demand_is_shared_by_what_belongs_together():
    """What an API receives goes with what it sends: the same hours are busy."""
    simulation = small(churn=0, novelty=0)
    plan = simulation.plan
    flows = simulation.flows(plan.parameters.first, plan.parameters.first + PER_DAY)
    api = next(at for at, party in enumerate(plan.parties) if party.workload == "api")
    into = [at for at, edge in enumerate(plan.edges) if edge.server == api and edge.activity > 0.8]
    out = [at for at, edge in enumerate(plan.edges) if edge.client == api and edge.activity > 0.7 and not edge.is_udp]
    ten = [
        np.bincount((flows.interval - plan.parameters.first) // 10, flows.up * np.isin(flows.edge, edges))
        for edges in (into, out)
    ]

    assert np.corrcoef(*ten)[0, 1] > 0.6


def test_edges_between_the_same_ends_are_told_as_one():
    simulation = small()
    plan = simulation.plan
    flows = simulation.flows(plan.parameters.first, plan.parameters.last)

    ends = [(plan.edges[edge].client, plan.edges[edge].server, plan.edges[edge].is_udp, interval, epoch)
            for edge, interval, epoch in zip(flows.edge.tolist(), flows.interval.tolist(), flows.epoch.tolist(),
                                             strict=True)]  # fmt: skip
    assert len(set(ends)) == len(ends)
