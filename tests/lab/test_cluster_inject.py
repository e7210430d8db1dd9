"""Where, when and in whom attacks are planted."""

from dataclasses import replace

import numpy as np
import pytest

from ebbtide.lab.cluster_ground import Ground, by_hour, ground_of_simulation
from ebbtide.lab.cluster_inject import Plot, fits, plant_round, relative_size
from ebbtide.lab.cluster_scenarios import choose, grid
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, Endpoint, EndpointClass, Entity
from simulated import small

DAYS = 9
START_NS = 1_768_780_800 * 10**9
PLOT = Plot(START_NS + 5 * DAY_NS, START_NS + DAYS * DAY_NS)


def ground(sent: float = 60_000.0, many: int = 12, silent: int = 3) -> Ground:
    entities = tuple(Entity("prod", "shop", f"w{at:02d}", "p") for at in range(many))
    random = np.random.default_rng(1)
    values = random.lognormal(0, 1, (many, DAYS * 1440)) * sent
    values[many - silent :, 1440:] = 0.0
    contacts = {one: frozenset({Endpoint("prod", "shop", "w00", "p", EndpointClass.INTERNAL)}) for one in entities}
    metrics = frozenset({"tcp.bytes", "tcp.packets", "tcp.new_sockets", "udp.bytes", "udp.packets"})
    return Ground(entities, START_NS, values, by_hour(values > 0), contacts, metrics, 30)


def test_a_round_repeats_from_its_seed_and_rounds_differ():
    first, again, other, seed = (
        [one.event for one in plant_round(ground(), choose(["core"]), PLOT, *which)]
        for which in ((1, 0), (1, 0), (1, 1), (2, 0))
    )

    assert first == again
    assert first != other
    assert first != seed


def test_each_entity_is_hit_once_within_the_plot():
    planted = plant_round(ground(), choose(["core"]), PLOT, 1, 0)

    entities = [one.event.entity for one in planted]
    assert len(set(entities)) == len(entities) == 12
    for one in planted:
        assert PLOT.from_ns <= one.event.start_ns
        assert one.event.end_ns + HOUR_NS <= PLOT.to_ns
        assert one.event.start_ns % (30 * 10**9) == 0
        assert one.event.begin_ns <= one.event.start_ns < one.event.end_ns
        assert one.event.sent == one.added.sent[one.added.start_ns >= one.event.start_ns].sum()


def test_starts_are_spread_over_the_plot():
    starts = np.array([one.event.start_ns for one in plant_round(ground(), choose(["X10"]), PLOT, 1, 0)])

    assert np.diff(np.sort(starts)).max() < (PLOT.to_ns - PLOT.from_ns) / 4


def test_only_the_silent_get_the_scenarios_of_the_silent():
    planted = plant_round(ground(), choose(["X11", "X1"]), PLOT, 1, 0)

    silent = set(ground().silent(PLOT.from_ns))
    assert len(silent) == 3
    for one in planted:
        assert (one.event.scenario == "X11") == (one.event.entity in silent)


def test_a_new_process_sends_in_the_place_of_the_victim():
    [one, *_] = plant_round(ground(), choose(["X10"]), PLOT, 1, 0)

    assert one.event.sender.process == "xmr-agent"
    assert one.event.sender.workload == one.event.entity.workload
    assert one.event.entity.process == "p"


def test_a_source_without_destinations_would_not_tell_an_attackers_place():
    blind = replace(ground(), contacts={Entity("prod", "shop", "w00", "p"): frozenset({Endpoint()})})

    planted = plant_round(blind, choose(["X1", "X8", "X9"]), PLOT, 1, 0)

    assert ground().knows_destinations and not blind.knows_destinations
    assert {one.event.scenario for one in planted} == {"X1", "X8"}
    assert all(one.added.places == (Endpoint(),) for one in planted)
    assert all(one.added.sockets.sum() > 100 for one in planted if one.event.scenario == "X8")


def test_lateral_moves_go_to_strangers_of_the_cluster():
    for one in plant_round(ground(), choose(["X9"]), PLOT, 1, 0):
        inside = [place for place in one.added.places if place.kind is EndpointClass.INTERNAL]
        assert len(inside) == one.event.destination_count
        assert one.event.entity.workload not in {place.workload for place in inside}
        assert "w00" not in {place.workload for place in inside}
        assert all(receiver is not None for receiver in one.added.receivers)


def test_rho_is_what_was_added_over_the_largest_of_as_many_minutes():
    for one in plant_round(ground(), choose(["X1"]), PLOT, 1, 0):
        event = one.event
        history = ground().minutes(event.entity, START_NS, event.start_ns)
        minutes = (event.end_ns - event.start_ns) // MINUTE_NS
        largest = max(history[at : at + minutes].sum() for at in range(len(history) - minutes + 1))
        assert event.rho == pytest.approx(event.sent / largest)


def test_a_size_without_a_measure_is_none():
    assert relative_size(5.0, np.zeros(10), 3) is None
    assert relative_size(5.0, np.ones(2), 3) is None


def test_nothing_is_told_while_the_source_is_silent():
    one = ground()
    one.sent[:, 6 * 1440 : 7 * 1440] = np.nan
    gap = START_NS + 6 * DAY_NS, START_NS + 7 * DAY_NS

    planted = plant_round(one, choose(["core"]), PLOT, 1, 0)

    assert len(planted) == 12
    for each in planted:
        assert not ((each.added.start_ns >= gap[0]) & (each.added.start_ns < gap[1])).any()


def test_nights_are_busy_or_quiet_as_asked():
    one = ground(silent=0)
    hours = np.arange(DAYS * 1440) // 60 % 24
    one.sent[:] = np.where(hours == 14, 1e6, np.where(hours < 6, 10.0, 1e5))
    attacks = [each for each in grid() if each.id == "X4" and each.repeats in (2, 5) and each.duration_s < 3 * 86_400]

    for each in plant_round(one, attacks, PLOT, 1, 0):
        assert (each.event.start_ns // HOUR_NS) % 24 < 6


def test_what_does_not_fit_is_left_out():
    short = Plot(PLOT.from_ns, PLOT.from_ns + DAY_NS)
    week = next(one for one in grid() if one.name == "drip 10 MB/h, 168 h")
    tunnel, scan = choose(["X6"])[0], choose(["X8"])[0]
    bytes_only = Ground((), START_NS, np.empty((0, 0)), np.empty((0, 0), bool), {}, frozenset({"net.bytes"}), 60)

    assert not fits(ground(), week, short)
    assert not fits(bytes_only, tunnel, PLOT)
    assert not fits(bytes_only, scan, PLOT)
    assert fits(bytes_only, choose(["X1"])[0], PLOT)
    assert plant_round(bytes_only, choose(["X1"]), PLOT, 1, 0) == []


def test_bytes_leave_in_proportion_to_the_time():
    one = next(each for each in plant_round(ground(), choose(["X1"]), PLOT, 1, 0))
    event = one.event
    half = (event.start_ns + event.end_ns) // 2

    assert one.sent_before(event.start_ns) == 0
    assert one.sent_before(half) == pytest.approx(event.sent / 2, rel=1e-6)
    assert one.sent_before(event.end_ns + HOUR_NS) == event.sent


def test_a_simulation_is_ground_too():
    simulation = small(days=3)
    one = ground_of_simulation(simulation)

    assert one.interval_s == 30
    assert one.end_ns - one.start_ns == 3 * DAY_NS
    assert len(plant_round(one, choose(["X1"]), Plot(one.end_ns - DAY_NS, one.end_ns), 1, 0)) > 10
