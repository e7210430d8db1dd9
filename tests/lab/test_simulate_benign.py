"""Each kind of benign event: that it happens, and that it is written down."""

import numpy as np
import pytest

from ebbtide.lab import simulate_benign as benign
from ebbtide.lab.simulate_plan import NEVER, PER_DAY, PER_HOUR, Draft, Draws, Parameters
from ebbtide.lab.simulate_topology import draw_topology
from ebbtide.lab.simulate_traffic import Flows, Simulation

PARAMETERS = Parameters(entities=20, days=3)
AT = PARAMETERS.first + PER_DAY + 6 * PER_HOUR


def draft() -> Draft:
    return draw_topology(PARAMETERS).draft


def party_of(one: Draft, workload: str) -> int:
    return next(at for at, party in enumerate(one.parties) if party.workload == workload)


def flows(one: Draft, first: int = AT, last: int = AT + PER_HOUR) -> Flows:
    return Simulation(one.finish()).flows(first, last)


def own(one: Draft, flowed: Flows, party: int) -> Flows:
    return flowed.take(np.isin(flowed.edge, one.edges_of(party)))


def test_without_churn_and_novelty_nothing_happens():
    plan = benign.draw_plan(Parameters(entities=20, days=3, churn=0, novelty=0))

    assert plan.events == plan.effects == plan.rollouts == plan.gaps == ()


def test_every_effect_edge_and_gap_has_its_truth():
    plan = benign.draw_plan(Parameters(entities=60, days=14, churn=3, novelty=3))
    kinds = {event.kind for event in plan.events}

    assert kinds >= {"rollout", "restart", "scale-out", "surge", "growth", "retry storm", "gap of the source",
                     "new destination", "one-off shell", "cron added", "run of a job"}  # fmt: skip
    assert len(plan.gaps) == sum(event.kind == "gap of the source" for event in plan.events)
    born = sum(edge.born > 0 and edge.gone < NEVER for edge in plan.edges)
    assert born >= sum(event.kind in ("new destination", "one-off shell") for event in plan.events)
    assert all(event.first < event.last for event in plan.events)


def test_novelty_is_a_knob():
    def many(novelty: float) -> int:
        plan = benign.draw_plan(Parameters(entities=60, days=14, churn=0, novelty=novelty))
        return sum(event.kind == "new destination" for event in plan.events)

    assert many(10) == pytest.approx(10 * many(1), rel=0.15)


@pytest.mark.parametrize("kind", [benign.surge, benign.scale_out])
def test_a_surge_multiplies_both_directions_alike(kind):
    before, after = draft(), draft()
    api = party_of(after, "api")
    kind(after, Draws(1, 1), api, AT)

    factor = after.effects[0].up
    quiet, loud = own(before, flows(before), api), own(after, flows(after), api)
    assert factor >= 2
    assert after.events[0].detail == f"x{factor:g}"
    for name in ("up", "down"):
        assert getattr(loud, name).sum() == pytest.approx(factor * getattr(quiet, name).sum(), rel=1e-3)


def test_a_restart_is_silence_and_then_new_connections():
    before, after = draft(), draft()
    api = party_of(after, "api")
    benign.restart(after, Draws(1, 1), api, AT + 10)
    first, last = after.events[0].first, after.events[0].last

    quiet, loud = own(before, flows(before), api), own(after, flows(after), api)

    down = loud.take((loud.interval >= first) & (loud.interval < last))
    assert down.up.sum() == down.down.sum() == 0
    assert loud.sockets[loud.interval == last].sum() > quiet.sockets[quiet.interval == last].sum()


def test_a_rollout_changes_the_image_of_all_containers_of_the_workload():
    one = draft()
    api = party_of(one, "api")
    benign.rollout(one, Draws(1, 1), api, AT)

    assert (api, AT) in one.rollouts
    assert {event.kind for event in one.events} == {"rollout"}
    assert one.parties[one.edges[-1].server].workload == "registry.images.example"


def test_growth_compounds_by_the_day():
    before, after = draft(), draft()
    api = party_of(after, "api")
    benign.growth(after, Draws(1, 1), api, PARAMETERS.first, a_day=0.5)

    later = PARAMETERS.first + 2 * PER_DAY + 12 * PER_HOUR
    quiet = own(before, flows(before, later, later + PER_HOUR), api)
    loud = own(after, flows(after, later, later + PER_HOUR), api)
    assert loud.up.sum() == pytest.approx(1.5**2 * quiet.up.sum(), rel=1e-3)


def test_a_retry_storm_sends_more_and_receives_less():
    before, after = draft(), draft()
    db = next(at for at, party in enumerate(after.parties) if party.workload.endswith("-db"))
    benign.retry_storm(after, Draws(1, 1), db, AT)
    last = after.events[0].last

    quiet, loud = (own(one, flows(one, AT, last), db) for one in (before, after))
    assert loud.up.sum() > 1.2 * quiet.up.sum()
    assert loud.down.sum() < 0.5 * quiet.down.sum()


def test_a_gap_is_silence_of_everybody():
    one = draft()
    benign.gap(one, Draws(1, 1), AT, length=7)

    heard = np.unique(flows(one).interval)
    assert set(range(AT, AT + 7)) & set(heard.tolist()) == set()
    assert set(range(AT + 7, AT + PER_HOUR)) <= set(heard.tolist())


def test_an_added_cron_sends_what_it_says_every_night():
    one = draft()
    benign.cron_added(one, Draws(1, 1), party_of(one, "api"), AT, size=300e6)
    edge = len(one.edges) - 1

    flowed = flows(one, PARAMETERS.first, PARAMETERS.last)
    mine = flowed.take(flowed.edge == edge)
    assert (mine.interval >= AT).all()
    days = {int(day) for day in mine.interval[mine.up > 0] // PER_DAY}
    assert len(days) >= 2
    assert mine.up.sum() / 2 == pytest.approx(300e6, rel=0.4)


def test_backups_move_and_grow():
    before, after = draft(), draft()
    backups = [at for at, edge in enumerate(after.edges) if after.parties[edge.client].workload.endswith("-backup")
               and edge.every == PER_DAY]  # fmt: skip
    benign.backup_changed(after, backups, PARAMETERS.first, 3, 2.0)

    [quiet, loud] = (flows(one, PARAMETERS.first, PARAMETERS.last) for one in (before, after))
    quiet, loud = (one.take(one.edge == backups[0]) for one in (quiet, loud))
    assert loud.interval[loud.up > 0].min() == quiet.interval[quiet.up > 0].min() + 3 * PER_HOUR
    assert loud.up.max() > 1.5 * quiet.up.max()


def test_clocks_change_everything_by_an_hour():
    one = draft()
    benign.clocks_changed(one, AT)

    assert one.effects[0].shift_h == -1
    assert len(one.effects[0].edges) == len(one.edges)


def test_a_new_workload_is_an_entity_nobody_knew():
    one = draft()
    known = set(one.finish().entities())
    benign.workload_added(one, Draws(1, 1), party_of(one, "api"), AT)

    [new] = set(one.finish().entities()) - known
    assert new.workload == "api-v2"
    assert len(flows(one, PARAMETERS.first, AT).take(np.zeros(0, np.int64))) == 0
