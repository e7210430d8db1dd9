"""Which source is taken, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from kube_server import Api, until
from test_meter_cgroup import UID
from test_meter_export import FakeSender
from test_meter_kubernetes import pod

from ebbtide.errors import ServiceError
from ebbtide.meter import assembly
from ebbtide.meter.assembly import open_meter, own_addresses
from ebbtide.meter.export import Target
from ebbtide.meter.fallback import Fallback
from ebbtide.meter.kube_api import KubeSettings
from ebbtide.meter.probe import Probe
from ebbtide.meter.settings import MeterSettings, SourceKind
from ebbtide.series import EndpointClass

TARGET = Target("http://127.0.0.1:9")


def refused(*_):
    raise ServiceError("loading the BPF programs failed", hint="needs CAP_BPF")


def test_where_ebpf_is_refused_sock_diag_stands_in_and_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(assembly, "open_root", lambda _: tmp_path)
    monkeypatch.setattr(assembly, "Probe", refused)
    with open_meter(MeterSettings(TARGET), FakeSender()) as meter:
        assert isinstance(meter.source, Fallback)
        assert meter.missing == ("udp", "dns_names", "header_bytes")
        assert "CAP_BPF" in meter.why


def test_ebpf_asked_for_and_refused_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(assembly, "open_root", lambda _: tmp_path)
    monkeypatch.setattr(assembly, "Probe", refused)
    settings = MeterSettings(TARGET, source=SourceKind.EBPF)
    with pytest.raises(ServiceError, match="loading"), open_meter(settings, FakeSender()):
        pass


def test_a_part_of_the_cgroup_tree_is_not_enough_for_ebpf(tmp_path):
    with open_meter(MeterSettings(TARGET, cgroup=tmp_path), FakeSender()) as meter:
        assert meter.kind is SourceKind.SOCK_DIAG
        assert "not a cgroup v2 mount" in meter.why


def test_sock_diag_asked_for_loads_nothing(monkeypatch):
    monkeypatch.setattr(assembly, "Probe", refused)
    with open_meter(MeterSettings(TARGET, source=SourceKind.SOCK_DIAG), FakeSender()) as meter:
        assert (meter.kind, meter.why) == (SourceKind.SOCK_DIAG, "asked for")


def test_ebpf_is_taken_where_it_works(monkeypatch, image, cgroup_root):
    monkeypatch.setattr(assembly, "Probe", lambda settings, hear: Probe(settings, hear, image=image))
    with open_meter(MeterSettings(TARGET, cgroup=cgroup_root), FakeSender()) as meter:
        assert (meter.kind, meter.missing, meter.why) == (SourceKind.EBPF, (), "")


def test_kubernetes_joins_when_it_is_configured():
    settings = MeterSettings(
        TARGET, source=SourceKind.SOCK_DIAG, kubernetes=KubeSettings("http://127.0.0.1:9", token_path=Path("/nowhere"))
    )
    with open_meter(settings, FakeSender()) as meter:
        assert meter.names.is_kubernetes
        assert meter.cluster is not None


def test_traffic_of_a_container_has_its_workload_even_when_its_cgroup_is_gone(
    monkeypatch, image, open_probe, cgroup_root, container, run
):
    with open_probe():
        pass
    api = Api()
    running = [{"name": "app", "containerID": f"containerd://{'ab' * 32}"}]
    item = pod(uid=UID, labels={"pod-template-hash": "5d4"}, containerStatuses=running)
    api.lists["/api/v1/pods"] = [item]
    monkeypatch.setattr(assembly, "Probe", lambda settings, hear: Probe(settings, hear, image=image))
    settings = MeterSettings(TARGET, cgroup=cgroup_root, is_loopback_counted=True, kubernetes=KubeSettings(api.url))
    try:
        with open_meter(settings, FakeSender()) as meter:
            until(lambda: all(one.changes for one in meter.cluster.mirrors))
            meter.begin(0)
            server = run("serve")
            client = run("send", cgroup=container, port=server.says()["port"], size=4321)
            client.end()
            container.rmdir()
            server.end()
            edges = meter.tick(1_000_000_000)
    finally:
        api.close()
    mine = {edge: value for edge, value in edges.sums.items() if edge.local.workload == "web"}
    ((edge, value),) = mine.items()
    assert (edge.local.namespace, edge.local.container, edge.local.kind) == ("shop", "app", EndpointClass.INTERNAL)
    assert (value.tx_bytes, value.sockets, edge.remote.resolution) == (4321, 1, "LOCALHOST")
    assert edge.local.path


def test_own_addresses_are_text():
    assert all(isinstance(address, str) for address in own_addresses())
