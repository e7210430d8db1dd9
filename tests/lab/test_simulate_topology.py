"""The cluster on an ordinary day."""

import pytest

from ebbtide.lab.simulate_plan import Draft, Parameters
from ebbtide.lab.simulate_topology import LEAST_ENTITIES, draw_topology


def plan_of(entities: int, seed: int = 1):
    return draw_topology(Parameters(seed, entities)).draft.finish()


@pytest.mark.parametrize("entities", [LEAST_ENTITIES, 16, 37, 200])
def test_a_cluster_has_as_many_entities_as_asked_for(entities):
    assert len(plan_of(entities).entities()) == entities


def test_too_few_entities_are_refused():
    with pytest.raises(ValueError, match="at least 15"):
        plan_of(LEAST_ENTITIES - 1)


def test_every_entity_talks():
    plan = plan_of(100)
    for entity in plan.entities():
        assert plan.edges_of(entity), entity


def test_no_two_edges_run_against_each_other_under_one_protocol():
    """Their directions would be one series of the source."""
    pairs = {(edge.client, edge.server, edge.is_udp) for edge in plan_of(300).edges}

    assert not {(server, client, udp) for client, server, udp in pairs} & pairs


def test_another_seed_is_another_cluster():
    assert plan_of(40).edges == plan_of(40).edges
    assert plan_of(40).edges != plan_of(40, seed=2).edges


def test_every_application_backs_its_database_up_to_outside():
    layout = draw_topology(Parameters(entities=60))
    plan = layout.draft.finish()
    outside = [at for at in layout.backups if plan.parties[plan.edges[at].server].entity is None]

    assert len(outside) == len(layout.of("backup")) >= 4
    assert all(plan.edges[at].up > plan.edges[at].down for at in outside)
    assert isinstance(layout.draft, Draft)
