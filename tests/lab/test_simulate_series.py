"""Flows as the points of the source."""

import numpy as np
import pytest

from ebbtide.errors import UsageError
from ebbtide.lab import simulate_benign as benign
from ebbtide.lab.simulate_plan import PER_DAY, PER_HOUR, Draft, Draws, Party
from ebbtide.lab.simulate_series import VIEWS, Labeller, Points, describe
from ebbtide.lab.simulate_traffic import Simulation
from simulated import small, small_plan


def an_hour(simulation: Simulation, views: tuple[str, ...] = VIEWS[:1], hour: int = 12) -> Points:
    first = simulation.plan.parameters.first + hour * PER_HOUR
    return Labeller(simulation, views).points(simulation.flows(first, first + PER_HOUR))


def totals(points: Points, view: str = "az_az") -> dict[str, int]:
    """The sum of each metric in a view."""
    found: dict[str, int] = {}
    for ref, value in zip(points.ref.tolist(), points.value.tolist(), strict=True):
        label = points.labels[ref]
        if dict(label.attributes)["aggregation"] == view:
            found[label.metric] = found.get(label.metric, 0) + value
    return found


def test_every_edge_is_told_in_both_directions_with_all_its_metrics():
    simulation = small()
    first = simulation.plan.parameters.first
    flows = simulation.flows(first, first + 1)

    points = Labeller(simulation).points(flows)

    udp = np.array([simulation.plan.edges[edge].is_udp for edge in flows.edge])
    assert len(points) == 6 * (~udp).sum() + 4 * udp.sum()
    told = totals(points)
    assert told["tcp.bytes"] == (flows.up + flows.down)[~udp].sum()
    assert told["udp.packets"] == (flows.up_packets + flows.down_packets)[udp].sum()
    assert told["tcp.new_sockets"] == flows.sockets[~udp].sum()


def test_every_view_repeats_the_same_bytes():
    points = an_hour(small(), VIEWS)

    expected = totals(points)
    for view in VIEWS[1:]:
        assert totals(points, view) == expected


def test_the_views_of_pods_name_pods_on_the_sides_they_tell_apart():
    points = an_hour(small(), VIEWS)
    for label in points.labels:
        names = dict(label.attributes)
        view = names["aggregation"]
        for side, views in (("source", ("id_id", "id_az")), ("dest", ("id_id", "az_id"))):
            is_local = names[f"{side}.resolution_type"] in ("K8S_CONTAINER", "PROCESS")
            assert (f"{side}.pod" in names) == (view in views and is_local)


def test_a_scaled_out_workload_has_more_pods():
    plan = small_plan(churn=0)
    draft = Draft.of(plan)
    api = next(at for at, party in enumerate(plan.parties) if party.workload == "api")
    benign.scale_out(draft, Draws(1, 3), api, plan.parameters.first)
    edge = next(at for at, one in enumerate(plan.edges) if one.client == api and one.activity > 0.7)

    def pods(simulation: Simulation) -> int:
        flows = simulation.flows(plan.parameters.first + 60, plan.parameters.first + 180, np.array([edge]))
        names = [dict(label.attributes) for label in Labeller(simulation, ("id_az",)).points(flows).labels]
        return len({one["source.pod"] for one in names if one["source.workload.name"] == "api"})

    changed = draft.finish()
    assert pods(Simulation(changed)) == pods(Simulation(plan)) * changed.effects[0].replicas


def test_zones_split_every_edge():
    one, three = an_hour(small()), an_hour(small(zones=3))

    assert totals(one) == totals(three)
    assert {dict(label.attributes).get("source.availability_zone") for label in three.labels} > {"zone-a", "zone-c"}


def test_an_image_rollout_gives_new_series():
    plan = small_plan(churn=0)
    draft = Draft.of(plan)
    api = next(at for at, party in enumerate(plan.parties) if party.workload == "api")
    at = plan.parameters.first + PER_DAY // 2 + 60
    benign.rollout(draft, Draws(1, 1), api, at)
    simulation = Simulation(draft.finish())

    points = an_hour(simulation)

    last_seen: dict[str, int] = {}
    for ref, interval, value in zip(points.ref, points.interval, points.value, strict=True):
        names = dict(points.labels[ref].attributes)
        is_own = names.get("source.namespace.name") == plan.parties[api].namespace
        if is_own and names.get("source.workload.name") == "api" and points.labels[ref].metric == "tcp.bytes" and value:
            last_seen[names["source.image_version"]] = int(interval)
    assert set(last_seen) == {"'api:v1.1'", "'api:v1.2'"}
    assert last_seen["'api:v1.1'"] < at <= last_seen["'api:v1.2'"]


def test_new_sockets_with_a_place_outside_are_told_by_the_local_process():
    points = an_hour(small())
    for ref, value in zip(points.ref.tolist(), points.value.tolist(), strict=True):
        label = points.labels[ref]
        names = dict(label.attributes)
        if label.metric == "tcp.new_sockets" and value:
            assert names["source.resolution_type"] in ("K8S_CONTAINER", "PROCESS")


def test_what_is_missing_is_named_as_the_source_names_it():
    world = dict(describe("source", Party("", resolution="IP"), 1))

    assert world == {
        "source.workload.name": "(unknown)",
        "source.environment": "(no agent)",
        "source.resolution_type": "IP",
    }


def test_a_view_that_is_none_is_refused():
    with pytest.raises(UsageError, match="no aggregation view"):
        Labeller(small(), ("az_zz",))
