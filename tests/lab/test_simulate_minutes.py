"""The array form is what the store reads from the OTLP form."""

import numpy as np
import pytest

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.lab.simulate_minutes import METRICS, MinuteMaker, fleet_traffic, minute_starts
from ebbtide.lab.simulate_otlp import Protobuf, bodies
from ebbtide.lab.simulate_plan import PER_HOUR
from ebbtide.lab.simulate_series import VIEWS
from ebbtide.lab.simulate_write import stream
from ebbtide.series import HOUR_NS, SECOND_NS
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store
from simulated import small

HOURS = 2


def grouping_of(store: Store) -> Grouping:
    entities = store.identity.entities
    return Grouping(np.arange(len(entities), dtype=np.int32), np.arange(len(entities)), tuple(entities))


@pytest.mark.parametrize("views", [VIEWS[:1], VIEWS])
def test_otlp_decoded_and_stored_gives_the_same_minutes(views):
    simulation = small(zones=2)
    parameters = simulation.plan.parameters
    session = Session(load_preset("opentelemetry-network"), default_cluster=parameters.cluster)
    between = parameters.first, parameters.first + HOURS * PER_HOUR
    with Store.open(None) as store:
        origin = store.begin("import", "test")
        for points in stream(simulation, views, between=between):
            for body in bodies(points, Protobuf()):
                store.append(session.decode("otlp_proto", body), origin)
        start_ns = parameters.start_s * SECOND_NS
        read = store.minutes.of(grouping_of(store), METRICS, start_ns, start_ns + HOURS * HOUR_NS)

    minutes = MinuteMaker(simulation).of(*between)

    rows = [minutes.entities.index(entity) for entity in read.entities]
    assert np.array_equal(read.sent, minutes.sent[rows], equal_nan=True)
    assert np.array_equal(read.received, minutes.received[rows], equal_nan=True)
    others = np.delete(minutes.sent, rows, axis=0)
    assert not np.nan_to_num(others).any()


def test_a_gap_of_the_source_is_not_known_rather_than_nothing():
    simulation = small(churn=10.0, days=6)
    parameters = simulation.plan.parameters
    first, last = max(simulation.plan.gaps, key=lambda gap: gap[1] - gap[0])
    assert last - first >= 4

    minutes = MinuteMaker(simulation).of(parameters.first, parameters.last)

    at = (first - parameters.first + 1) // 2
    assert np.isnan(minutes.sent[:, :, at : (last - parameters.first) // 2]).all()
    assert np.isfinite(minutes.sent[:, :, (last - parameters.first + 1) // 2 + 1]).all()


def test_an_entitys_destinations_add_up_to_the_entity():
    simulation = small()
    parameters = simulation.plan.parameters
    maker = MinuteMaker(simulation)
    whole = maker.of(parameters.first, parameters.first + PER_HOUR)

    for row, entity in list(enumerate(whole.entities))[::5]:
        one = maker.of_entity(entity, parameters.first, parameters.first + PER_HOUR)
        assert np.array_equal(one.sent.sum(axis=0), np.nan_to_num(whole.sent[row]))
        assert np.array_equal(one.received.sum(axis=0), np.nan_to_num(whole.received[row]))
        assert len(set(one.destinations)) == len(one.destinations)


def test_a_fleet_is_the_same_bytes_on_a_coarser_grid():
    simulation = small(churn=0)
    parameters = simulation.plan.parameters
    minutes = MinuteMaker(simulation).of(parameters.first, parameters.last)

    traffic = fleet_traffic(simulation)

    assert (traffic.days, traffic.step_s, traffic.start_s) == (2, 300, parameters.start_s)
    own = {str(entity): row for row, entity in enumerate(minutes.entities)}
    for row, name in enumerate(traffic.names):
        total = minutes.sent[own[name], 0] + minutes.sent[own[name], 3]
        assert np.array_equal(traffic.sent[row], total.reshape(-1, 5).sum(axis=1))
        assert traffic.sent[row].sum() > 0


def test_minutes_know_when_they_are():
    simulation = small()
    first = simulation.plan.parameters.first
    starts = minute_starts(MinuteMaker(simulation).of(first, first + 8))

    assert starts.tolist() == [(first + 2 * at) * 30 * SECOND_NS for at in range(4)]
