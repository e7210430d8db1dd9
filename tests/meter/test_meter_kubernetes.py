"""Workloads from API objects: owners, static pods, hostile objects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.meter.kubernetes import ClusterIndex, Service, Workload, job_owners_of, slim


def pod(name="web-5d4-x1", *, owner=("ReplicaSet", "web-5d4"), labels=None, uid="u1", ip="10.1.0.5", **status):
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "labels": labels or {},
            "ownerReferences": [{"kind": owner[0], "name": owner[1], "controller": True}] if owner else [],
        },
        "spec": {"containers": [{"name": "c", "image": "reg.example/shop/web:v1.2@sha256:00"}]},
        "status": {
            "phase": "Running",
            "podIP": ip,
            "podIPs": [{"ip": ip}],
            "containerStatuses": [{"name": "server", "containerID": "containerd://abc"}],
            **status,
        },
    }


def index_of(*items, owners=None):
    index = ClusterIndex()
    index.add_pods(items, owners or {})
    slimmed = ClusterIndex()
    slimmed.add_pods([slim(item) for item in items], owners or {})
    assert slimmed == index
    return index


@pytest.mark.parametrize(
    ("owner", "labels", "owners", "kind", "name"),
    [
        (("ReplicaSet", "web-5d4"), {"pod-template-hash": "5d4"}, {}, "Deployment", "web"),
        (("ReplicaSet", "solo"), {}, {}, "ReplicaSet", "solo"),
        (("StatefulSet", "db"), {}, {}, "StatefulSet", "db"),
        (("DaemonSet", "log"), {}, {}, "DaemonSet", "log"),
        (("Job", "backup-29012345"), {}, {("shop", "backup-29012345"): "backup"}, "CronJob", "backup"),
        (("Job", "once"), {}, {("shop", "x"): "y"}, "Job", "once"),
        (("Job", "nightly-29012345"), {}, {}, "CronJob", "nightly"),
        (("Job", "once"), {}, {}, "Job", "once"),
        (("Workflow", "train"), {}, {}, "Workflow", "train"),
        (None, {}, {}, "Pod", "web-5d4-x1"),
    ],
)
def test_owners_are_followed_to_the_workload(owner, labels, owners, kind, name):
    found = index_of(pod(owner=owner, labels=labels), owners=owners).pods["u1"]
    assert (found.namespace, found.kind, found.name) == ("shop", kind, name)


def test_a_static_pod_is_known_by_its_hash_and_without_its_node():
    item = pod("etcd-node1", owner=("Node", "node1"))
    item["metadata"]["annotations"] = {"kubernetes.io/config.hash": "a1" * 16}
    assert index_of(item).pods["a1" * 16].name == "etcd"


def test_images_are_written_as_the_original_does():
    assert index_of(pod()).pods["u1"].image == "'web:v1.2'"


def test_containers_and_addresses_lead_to_the_pod():
    index = index_of(pod())
    assert index.containers["abc"] == "server"
    assert index.pod_addresses["10.1.0.5"].name == "web-5d4"


def test_host_network_and_ended_pods_own_no_address():
    on_host = pod(uid="u2")
    on_host["spec"]["hostNetwork"] = True
    index = index_of(on_host, pod(uid="u3", phase="Succeeded"))
    assert index.pod_addresses == {}
    assert set(index.pods) == {"u2", "u3"}


@pytest.mark.parametrize("read", [lambda item: item, slim])
def test_services_and_nodes(read):
    services = [
        {
            "metadata": {"name": "api", "namespace": "shop"},
            "spec": {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "fd00::9"]},
            "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}},
        },
        {"metadata": {"name": "headless", "namespace": "shop"}, "spec": {"clusterIP": "None"}},
    ]
    nodes = [{"metadata": {"name": "n1"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.4"}]}}]
    index = ClusterIndex()
    index.add_services(map(read, services))
    index.add_nodes(map(read, nodes))
    assert index.services == dict.fromkeys(("10.96.0.9", "fd00::9", "203.0.113.9"), Service("shop", "api"))
    assert index.nodes == {"10.0.0.4": "n1"}


def test_what_is_never_looked_at_is_not_kept():
    item = pod() | {"managedFields": [{"manager": "kubectl"}]}
    item["spec"] = {**item["spec"], "volumes": [{"name": "v"}], "nodeName": "n1"}
    assert slim(item) == pod()


def test_job_owners():
    jobs = [{"metadata": {"name": "b-1", "namespace": "x", "ownerReferences": [{"kind": "CronJob", "name": "b"}]}}]
    assert job_owners_of([slim(job) for job in jobs]) == job_owners_of(jobs) == {("x", "b-1"): "b"}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["metadata", "spec", "status", "name", "namespace", "uid", "ownerReferences", "podIPs", "labels"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), JUNK, max_size=3), max_size=4))
def test_hostile_objects_are_skipped_and_counted(items):
    index = ClusterIndex()
    index.add_pods(items, {})
    index.add_services(items)
    index.add_nodes(items)
    job_owners_of(items)
    assert index.skipped + len(index.pods) >= len({id(item) for item in items}) - len(items) + (len(items) > 0)


def test_a_workload_is_a_value():
    assert Workload("a", "b", "Pod") == Workload("a", "b", "Pod")
