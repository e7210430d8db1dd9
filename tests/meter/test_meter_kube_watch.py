"""Lists that are watched: what changes, what breaks, and how long is waited."""

from __future__ import annotations

import pytest
from kube_server import Api, until
from test_meter_kubernetes import pod

from ebbtide.meter.kube_api import KubeClient, KubeSettings
from ebbtide.meter.kube_watch import ClusterWatch, Mirror

PODS, JOBS = "/api/v1/pods", "/apis/batch/v1/jobs"


@pytest.fixture
def api():
    served = Api()
    yield served
    served.close()


def mirror_of(api, **changes):
    return Mirror(KubeClient(KubeSettings(api.url)), PODS, chance=lambda: 1.0, **changes)


def uids(mirror):
    return sorted(one["metadata"]["uid"] for one in mirror.objects())


def test_a_list_is_read_once_and_then_followed(api):
    api.lists[PODS] = [pod(uid="u1"), pod(uid="u2"), pod(uid="u3")]
    mirror = mirror_of(api)
    mirror.step()
    assert uids(mirror) == ["u1", "u2", "u3"]

    api.tell(PODS, "ADDED", pod(uid="u4"))
    api.tell(PODS, "MODIFIED", pod(uid="u1", ip="10.1.0.77"))
    api.tell(PODS, "DELETED", pod(uid="u2"))
    api.hang_up(PODS)
    assert mirror.step() == 1.0
    assert uids(mirror) == ["u1", "u3", "u4"]
    assert mirror.objects()[0]["status"]["podIP"] == "10.1.0.77"

    api.hang_up(PODS)
    mirror.step()
    assert [query.get("resourceVersion") for _, query, _ in api.seen] == [None, None, "100", "103"]


def test_a_bookmark_moves_the_place_to_go_on_from(api):
    mirror = mirror_of(api)
    mirror.step()
    api.told[PODS] = 900
    api.tell(PODS, "BOOKMARK", {"kind": "Pod"})
    api.hang_up(PODS)
    mirror.step()
    api.hang_up(PODS)
    mirror.step()
    assert api.seen[-1][1]["resourceVersion"] == "901"


def test_a_forgotten_version_starts_with_a_list_and_keeps_what_is_known_until_then(api):
    api.lists[PODS] = [pod(uid="u1")]
    mirror = mirror_of(api)
    mirror.step()
    api.tell(PODS, "ERROR", {"code": 410, "message": "too old"})
    assert mirror.step() == 5.0
    assert uids(mirror) == ["u1"]
    api.lists[PODS] = [pod(uid="u9")]
    mirror.step()
    assert uids(mirror) == ["u9"]
    assert (mirror.failures, mirror.last_error) == (1, "")


def test_failures_keep_what_is_known_and_wait_longer(api):
    now = [0.0]
    api.lists[PODS] = [pod(uid="u1")]
    mirror = mirror_of(api, clock=lambda: now[0])
    mirror.step()
    api.status = 500
    waits = [mirror.step() for _ in range(9)]
    assert waits == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0]
    assert uids(mirror) == ["u1"]
    assert (mirror.failures, mirror.heard_at) == (9, 0.0)
    assert "500" in mirror.last_error


def test_a_list_without_a_version_is_no_list(api):
    api.body = b'{"items": []}'
    mirror = mirror_of(api)
    assert mirror.step() == 5.0
    assert "no version" in mirror.last_error


def test_what_is_no_object_is_left_out(api):
    api.lists[PODS] = [3, {}, {"metadata": None}, {"metadata": {"uid": 4}}, pod(uid="u1")]
    mirror = mirror_of(api)
    mirror.step()
    assert uids(mirror) == ["u1"]


def test_a_cluster_is_followed_as_it_changes(api):
    owned = {"ownerReferences": [{"kind": "CronJob", "name": "report", "controller": True}]}
    api.lists[JOBS] = [{"metadata": {"uid": "j1", "namespace": "shop", "name": "nightly", **owned}}]
    api.lists[PODS] = [pod(uid="u1"), pod(uid="u2", owner=("Job", "nightly"))]
    now = [0.0]
    watch = ClusterWatch(KubeSettings(api.url), clock=lambda: now[0])
    assert watch.age_s == float("inf")
    watch.start()
    try:
        until(lambda: all(one.heard_at == 0.0 for one in watch.mirrors))
        assert (watch.index.pods["u2"].kind, watch.index.pods["u2"].name) == ("CronJob", "report")
        api.tell(PODS, "ADDED", pod(uid="u3"))
        until(lambda: "u3" in str(watch.pods.objects()))
        assert "u3" not in watch.index.pods  # names stay for a second: an index of thousands is not free
        now[0] = 1.0
        assert set(watch.index.pods) == {"u1", "u2", "u3"}
        assert (watch.failures, watch.last_error) == (0, "")
    finally:
        watch.stop()


def test_jobs_may_be_forbidden(api):
    api.forbidden = JOBS
    api.lists[PODS] = [pod(uid="u1", owner=("Job", "report-28812345"))]
    watch = ClusterWatch(KubeSettings(api.url))
    watch.start()
    try:
        until(lambda: watch.jobs.failures and all(one.changes for one in watch.mirrors[:3]))
        assert watch.index.pods["u1"].name == "report"
        assert watch.age_s < 60
        assert "403" in watch.last_error
    finally:
        watch.stop()
