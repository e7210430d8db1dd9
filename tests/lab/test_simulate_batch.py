"""Batches without a detour over bytes are the batches of the bytes."""

import numpy as np
import pytest

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.lab.simulate_batch import PRESET, Batcher
from ebbtide.lab.simulate_otlp import JsonLines, Protobuf, bodies
from ebbtide.lab.simulate_plan import PER_HOUR
from ebbtide.lab.simulate_series import VIEWS, Labeller
from ebbtide.series import Batch
from simulated import small


@pytest.mark.parametrize(("name", "encoder"), [("otlp_json", JsonLines()), ("otlp_proto", Protobuf())])
def test_a_batch_is_what_its_otlp_decodes_to(name, encoder):
    simulation = small()
    parameters = simulation.plan.parameters
    points = Labeller(simulation).points(simulation.flows(parameters.first, parameters.first + PER_HOUR))
    session = Session(load_preset(PRESET), default_cluster=parameters.cluster)

    decoded = Batch.concat([session.decode(name, body) for body in bodies(points, encoder)])
    batch = Batcher(parameters.cluster).batch(points)

    assert decoded.counts.accepted == len(points) == batch.counts.accepted
    assert not decoded.counts.rejected
    for column in ("start_ns", "end_ns", "value"):
        assert (getattr(decoded, column) == getattr(batch, column)).all()
    assert np.isnan(batch.reading).all()
    assert [decoded.series[ref] for ref in decoded.ref] == [batch.series[ref] for ref in batch.ref]


def test_a_batcher_goes_on_with_what_it_knows():
    simulation = small()
    first = simulation.plan.parameters.first
    labeller, batcher = Labeller(simulation), Batcher("prod-sim")

    batches = [batcher.batch(labeller.points(simulation.flows(at, at + 2))) for at in (first, first + 2)]

    shared = {one.key for one in batches[0].series} & {one.key for one in batches[1].series}
    assert len(shared) > 20


def test_who_is_decoded_is_who_was_simulated():
    """Names of runs that never repeat come out as the job they are runs of."""
    simulation = small(novelty=10.0)
    plan = simulation.plan
    labeller, batcher = Labeller(simulation), Batcher("prod-sim")
    runs = [at for at, party in enumerate(plan.parties) if party.shown]
    edges = np.array([at for at, edge in enumerate(plan.edges) if edge.client in runs or at % 9 == 0])

    batch = batcher.batch(labeller.points(simulation.flows(plan.parameters.first, plan.parameters.last, edges)))

    people = {end for one in batch.series for end in (one.sender, one.receiver) if end is not None}
    assert people <= set(plan.entities())
    assert len(runs) > 1
    assert any(f'"{plan.parties[runs[0]].shown}"' in one.attributes for one in batch.series)
    places = {(one.source, one.destination) for one in batch.series}
    known = {party.endpoint for party in plan.parties}
    assert {place for pair in places for place in pair} <= known


def test_a_view_the_preset_does_not_take_is_refused():
    simulation = small()
    first = simulation.plan.parameters.first
    points = Labeller(simulation, VIEWS[1:2]).points(simulation.flows(first, first + 1))

    with pytest.raises(ValueError, match="not taken"):
        Batcher("prod-sim").batch(points)
