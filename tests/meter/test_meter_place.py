"""Names of both ends: pods, units, executables; Services, nodes, DNS names, outside."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_meter_cgroup import ID, SYSTEMD, UID
from test_meter_dns import POINTER, V4, answer
from test_meter_kubernetes import pod
from test_meter_process import fake_proc

from ebbtide.meter.cgroup import CgroupTable
from ebbtide.meter.dns import NameCache
from ebbtide.meter.flow import NO_ADDRESS, FlowKey, Opener, Protocol, address_bytes, port_class
from ebbtide.meter.kubernetes import ClusterIndex
from ebbtide.meter.place import Names, other
from ebbtide.meter.process import ProcessTable
from ebbtide.series import EndpointClass


def key(remote="203.0.113.9", *, tgid=7, cgroup=50, opener=Opener.LOCAL, port=443, name=b"curl"):
    packed = address_bytes(remote) if remote else NO_ADDRESS
    return FlowKey(cgroup, packed, tgid, Protocol.TCP, opener, port_class(port), name)


@pytest.fixture
def names(tmp_path):
    (tmp_path / "proc").mkdir()
    (tmp_path / "cgroup").mkdir()
    return Names("node1", ProcessTable(tmp_path / "proc"), CgroupTable(tmp_path / "cgroup"), NameCache())


def in_kubernetes(names: Names) -> list[str]:
    index = ClusterIndex()
    item = pod(
        uid=UID, labels={"pod-template-hash": "5d4"}, containerStatuses=[{"name": "app", "containerID": f"x://{ID}"}]
    )
    index.add_pods([item], {})
    index.add_services([{"metadata": {"name": "api", "namespace": "shop"}, "spec": {"clusterIP": "10.96.0.9"}}])
    index.add_nodes(
        [{"metadata": {"name": "n2"}, "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.4"}]}}]
    )
    names.index, names.is_kubernetes = (lambda: index), True
    names.cgroups.learn(50, f"{SYSTEMD}/cri-containerd-{ID}.scope")


def test_a_process_of_a_pod_has_its_workload(names):
    in_kubernetes(names)
    place = names.local(key())
    assert (place.kind, place.resolution) == (EndpointClass.INTERNAL, "K8S_CONTAINER")
    assert (place.namespace, place.workload, place.container, place.process) == ("shop", "web", "app", "curl")


def test_a_pod_no_list_has_yet_is_counted(names):
    in_kubernetes(names)
    names.cgroups.learn(51, "/kubepods/pod" + "b" * 32 + "/" + "c" * 64)
    place = names.local(key(cgroup=51))
    assert (place.kind, place.workload, place.container) == (EndpointClass.INTERNAL, "(unknown)", "c" * 12)
    assert names.unnamed == {"no_pod": 1}


def test_a_unit_is_the_workload_of_the_host(names):
    names.cgroups.learn(60, "/system.slice/nginx.service")
    place = names.local(key(cgroup=60, name=b"nginx"))
    assert (place.kind, place.namespace, place.workload, place.process) == (
        EndpointClass.HOST,
        "node1",
        "nginx",
        "nginx",
    )


def test_without_a_unit_the_executable_is(names, tmp_path):
    fake_proc(tmp_path / "proc", 7, "worker-1", 100, Path("/opt/acme/bin/syncd"))
    place = names.local(key(cgroup=1))
    assert (place.workload, place.process, place.path) == ("syncd", "worker-1", "/opt/acme/bin/syncd")


def test_the_path_of_the_process_names_a_cgroup_v2_does_not_know(names, tmp_path):
    fake_proc(tmp_path / "proc", 7, "curl", 100, cgroup=f"4:memory:/docker/{ID}\n0::/\n")
    place = names.local(key(cgroup=1))
    assert (place.resolution, place.container) == ("CONTAINER", ID[:12])


def test_a_cgroup_that_went_unseen_is_counted(names):
    place = names.local(key(cgroup=999))
    assert (place.kind, names.unnamed["no_cgroup"]) == (EndpointClass.UNKNOWN, 1)


def test_a_row_without_a_process_keeps_its_workload(names):
    in_kubernetes(names)
    place = names.local(key(tgid=0, name=b""))
    assert (place.workload, place.process, names.unnamed) == ("web", "", {"no_process": 1})


@pytest.mark.parametrize(
    ("remote", "kind", "resolution", "workload"),
    [
        ("10.1.0.5", EndpointClass.INTERNAL, "K8S_CONTAINER", "web"),
        ("10.96.0.9", EndpointClass.INTERNAL, "K8S_SERVICE", "api"),
        ("10.0.0.4", EndpointClass.HOST, "NODE", "n2"),
        ("169.254.169.254", EndpointClass.METADATA, "INSTANCE_METADATA", "instance metadata"),
        ("127.0.0.1", EndpointClass.HOST, "LOCALHOST", "localhost"),
        ("::1", EndpointClass.HOST, "LOCALHOST", "localhost"),
        ("203.0.113.9", EndpointClass.UNKNOWN, "IP", "(unknown)"),  # documentation range: private to Python
        ("8.8.4.4", EndpointClass.EXTERNAL, "IP", "(unknown)"),
        ("10.200.0.1", EndpointClass.UNKNOWN, "IP", "(unknown)"),
        ("", EndpointClass.UNKNOWN, "OTHER", "(other)"),
    ],
)
def test_remote_addresses_in_kubernetes(names, remote, kind, resolution, workload):
    in_kubernetes(names)
    place = names.remote(key(remote), 0.0)
    assert (place.kind, place.resolution, place.workload) == (kind, resolution, workload)


def test_outside_kubernetes_a_private_address_is_external(names):
    place = names.remote(key("10.200.0.1"), 0.0)
    assert (place.kind, place.ip) == (EndpointClass.EXTERNAL, "10.200.0.1")


def test_a_name_server_is_known_by_the_port_it_was_asked_on(names):
    assert names.remote(key("8.8.4.4", port=53), 0.0).kind is EndpointClass.DNS
    assert names.remote(key("8.8.4.4", port=53, opener=Opener.REMOTE), 0.0).kind is EndpointClass.EXTERNAL


def test_a_dns_name_stands_for_its_addresses(names):
    names.names.hear(50, answer("files.example", (POINTER, 1, V4)), 0.0)
    place = names.remote(key("192.0.2.1"), 1.0)
    assert (place.resolution, place.workload, place.dns_name, place.ip) == ("DNS", "files.example", "files.example", "")


def test_a_service_keeps_its_identity_beside_its_dns_name(names):
    in_kubernetes(names)
    names.names.hear(50, answer("api.shop.svc", (POINTER, 1, bytes([10, 96, 0, 9]))), 0.0)
    place = names.remote(key("10.96.0.9"), 1.0)
    assert (place.resolution, place.workload, place.dns_name) == ("K8S_SERVICE", "api", "api.shop.svc")


def test_other_keeps_its_kind():
    assert other(EndpointClass.EXTERNAL) != other(EndpointClass.INTERNAL)
