"""The nouns of a simulation."""

import numpy as np

from ebbtide.lab.simulate_plan import Draft, Draws, Edge, EdgeColumns, Party
from ebbtide.series import Endpoint, EndpointClass, Entity
from simulated import small_plan


def test_places_outside_are_no_entities():
    assert Party("api.example").entity is None
    assert Party("api.example").endpoint == Endpoint("", "", "api.example", "", EndpointClass.EXTERNAL)
    assert Party("DNS").endpoint.kind is EndpointClass.DNS


def test_a_run_of_a_job_is_the_jobs_entity():
    one = Party("report", "python3", "shop", "prod", "K8S_CONTAINER", shown="report-29479680")

    assert one.entity == Entity("prod", "shop", "report", "python3")


def test_a_draft_of_a_plan_gives_the_plan_again():
    plan = small_plan()

    again = Draft.of(plan).finish()

    for name in ("parties", "edges", "effects", "rollouts", "gaps", "events"):
        assert getattr(again, name) == getattr(plan, name), name


def test_edges_keep_their_dice_when_more_are_added():
    plan = small_plan()
    draft = Draft.of(plan)
    draft.add(Edge(0, 1, 1.0, 1.0, 0))

    more = EdgeColumns.of(draft.finish())

    known = EdgeColumns.of(plan)
    assert (more.key[:-1] == known.key).all()
    assert (more.group_key[:-1] == known.group_key).all()


def test_the_edges_of_a_party_are_on_both_of_its_sides():
    plan = small_plan()
    draft = Draft.of(plan)
    for party in range(len(plan.parties)):
        expected = [at for at, edge in enumerate(plan.edges) if party in (edge.client, edge.server)]
        assert draft.edges_of(party) == tuple(expected)


def test_draws_of_a_place_repeat_and_those_of_another_do_not():
    first, again, other = ([draws.integer(0, 10**6) for _ in range(20)] for draws in (
        Draws(1, 5), Draws(1, 5), Draws(1, 6)))  # fmt: skip

    assert first == again
    assert first != other


def test_a_count_has_its_mean():
    draws = Draws(1, 7)

    counts = [draws.count(1.3) for _ in range(4000)]
    assert set(counts) == {1, 2}
    assert abs(np.mean(counts) - 1.3) < 0.03
