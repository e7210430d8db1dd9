"""Injected attacks in the stream of the source."""

import numpy as np
import pytest

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.lab.cluster_ground import ground_of_simulation
from ebbtide.lab.cluster_inject import Plot, plant_round
from ebbtide.lab.cluster_otlp import injected_points, joined, within
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.lab.overlay import injected_batch
from ebbtide.lab.simulate_otlp import Protobuf, bodies
from ebbtide.series import DAY_NS, Batch
from simulated import small


@pytest.fixture(scope="module")
def planted():
    simulation = small(days=3)
    ground = ground_of_simulation(simulation)
    plot = Plot(ground.end_ns - DAY_NS, ground.end_ns)
    return simulation.plan, [
        one for number in range(3) for one in plant_round(ground, choose(["core"]), plot, 1, number)
    ]


def summed(batch: Batch) -> dict[tuple[object, ...], float]:
    """Values by who sent what to whom and when."""
    found: dict[tuple[object, ...], float] = {}
    for ref, end_ns, value in zip(batch.ref.tolist(), batch.end_ns.tolist(), batch.value.tolist(), strict=True):
        one = batch.series[ref]
        key = one.metric, one.sender, one.receiver, one.destination, end_ns
        found[key] = found.get(key, 0.0) + value
    return found


def test_the_otlp_of_an_attack_decodes_to_its_samples(planted):
    plan, injections = planted
    metrics = frozenset({"tcp.bytes", "tcp.packets", "tcp.new_sockets", "udp.bytes", "udp.packets"})
    for one in injections:
        session = Session(load_preset("opentelemetry-network"), default_cluster="prod-sim")
        points = injected_points(plan, one)
        decoded = Batch.concat([session.decode("otlp_proto", body) for body in bodies(points, Protobuf())])

        assert not decoded.counts.rejected, one.event
        assert not decoded.counts.ignored, one.event
        assert summed(decoded) == summed(injected_batch(one, metrics)), one.event


def test_points_are_joined_by_time(planted):
    plan, injections = planted
    parts = [injected_points(plan, one) for one in injections[:5]]

    together = joined(parts)

    assert len(together) == sum(map(len, parts))
    assert (np.diff(together.interval) >= 0).all()
    assert together.value.sum() == sum(part.value.sum() for part in parts)


def test_a_piece_of_points_is_cut_at_its_intervals(planted):
    plan, injections = planted
    points = injected_points(plan, max(injections, key=lambda one: len(one.added)))
    first, last = int(points.interval[0]) + 3, int(points.interval[0]) + 9

    piece = within(points, first, last)

    assert set(piece.interval.tolist()) <= set(range(first, last))
    assert len(piece) == ((points.interval >= first) & (points.interval < last)).sum()
