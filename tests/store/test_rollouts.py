"""Which workloads changed their image: `ebbtide.store.rollouts`."""

from __future__ import annotations

import pytest

from build import NGINX, Point, batch_of
from ebbtide.series import HOUR_NS, SECOND_NS, Entity
from ebbtide.store.learned_novelty import workload_of
from ebbtide.store.rollouts import PROBATION_NS, Rollout
from ebbtide.store.store import Store

NOW_S = 20_000 * 86_400 + 20 * 3600
NOW_NS = NOW_S * SECOND_NS
SHOP = workload_of(NGINX)
OTHER = Entity("prod", "shop", "worker", "python")


def rollouts_of(*points: Point, now_ns: int = NOW_NS) -> dict:
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "test"))
        return store.rollouts.of({SHOP}, now_ns)


def at(hours_ago: float, image: str, sender: Entity = NGINX) -> Point:
    return Point(NOW_S - hours_ago * 3600, 1e6, image=image, sender=sender)


def test_a_new_image_opens_a_probation_that_ends_after_six_hours():
    points = [at(9, "v1"), at(2, "v2"), at(1, "v2"), at(1, "v1")]

    assert rollouts_of(*points) == {SHOP: Rollout("v2", NOW_NS - 2 * HOUR_NS)}
    assert rollouts_of(*points, now_ns=NOW_NS - 2 * HOUR_NS + PROBATION_NS) == {}
    assert rollouts_of(*points, now_ns=NOW_NS - 3 * HOUR_NS) == {}  # what comes later is not known


@pytest.mark.parametrize(
    "points",
    [
        [at(9, "v1"), at(1, "v1")],
        [at(1, "v1")],
        [at(9, ""), at(1, "")],
        [at(40, "v1"), at(1, "v2")],
        [at(9, "v1", OTHER), at(1, "v2")],
        [at(9, "v1"), at(1, "v1"), at(1, "v2", OTHER)],
    ],
    ids=["the same", "the first", "none told", "too long ago", "another workload before", "another workload now"],
)
def test_without_a_change_within_a_day_there_is_none(points):
    assert rollouts_of(*points) == {}


def test_processes_of_a_workload_share_its_images():
    curl = Entity(NGINX.cluster, NGINX.namespace, NGINX.workload, "curl")

    assert rollouts_of(at(9, "v1"), at(1, "v2", curl))[SHOP].version == "v2"


def test_nothing_asked_nothing_read():
    with Store.open() as store:
        assert store.rollouts.of(set(), NOW_NS) == {}
