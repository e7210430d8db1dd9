"""Attributes to series: whose traffic it is, and when it is nobody's."""

from __future__ import annotations

import pytest
from requests_of_decode import EDGE

from ebbtide.decode.mapping import Edge, Ignored, Mapped, Mapper, Meant
from ebbtide.decode.preset import load_preset
from ebbtide.series import EndpointClass, Entity


def mapped(
    labels: dict[str, str],
    *,
    preset: str = "opentelemetry-network",
    metric: str = "tcp.bytes",
    resource: dict[str, str] | None = None,
    override: dict[str, object] | None = None,
    meant: Meant | None = Meant.DELTA,
) -> Mapped:
    found = Mapper(load_preset(preset, override)).map(metric, meant, labels, resource or {})
    assert isinstance(found, Mapped)
    return found


def edge(labels: dict[str, str], **options: object) -> Edge:
    return mapped(labels, **options).edge  # type: ignore[arg-type]


def ignored(labels: dict[str, str], metric: str = "tcp.bytes", **options: object) -> str:
    preset = load_preset("opentelemetry-network", options or None)
    found = Mapper(preset).map(metric, Meant.DELTA, labels, {})
    assert isinstance(found, Ignored)
    return found.reason


@pytest.mark.parametrize("missing", [None, "", "-", "(unknown)"])
def test_four_ways_to_say_nothing(missing: str | None) -> None:
    labels = {key: value for key, value in EDGE.items() if key != "source.process.name"}
    if missing is not None:
        labels["source.process.name"] = missing
    assert edge(labels).near == Entity("prod-eu", "shop", "checkout", "")


def test_a_point_attribute_wins_over_the_resources() -> None:
    found = edge(EDGE, resource={"source.workload.name": "other", "source.container.name": "x"})
    assert found.near is not None and found.near.workload == "checkout"


def test_what_the_point_lacks_the_resource_may_have() -> None:
    labels = {key: value for key, value in EDGE.items() if not key.startswith("source.")}
    moved = {key: value for key, value in EDGE.items() if key.startswith("source.")}
    assert edge(labels, resource=moved).near == edge(EDGE).near


def test_the_collectors_own_pod_is_never_the_sender() -> None:
    found = edge(EDGE, resource={"k8s.pod.name": "reducer-0", "k8s.namespace.name": "otel"})
    assert found.near == Entity("prod-eu", "shop", "checkout", "java")


def test_cluster_of_point_then_resource_then_environment_then_default() -> None:
    with_point = edge({**EDGE, "k8s.cluster.name": "p"}, resource={"k8s.cluster.name": "r"})
    with_resource = edge(EDGE, resource={"k8s.cluster.name": "r"})
    bare = {key: value for key, value in EDGE.items() if key != "source.environment"}
    clusters = [found.near and found.near.cluster for found in (with_point, with_resource, edge(EDGE), edge(bare))]
    assert clusters == ["p", "r", "prod-eu", "default"]


def test_no_agent_is_no_cluster() -> None:
    found = edge({**EDGE, "source.environment": "(no agent)"})
    assert found.near is not None and found.near.cluster == "default" and not found.own_cluster


def test_an_external_sender_is_no_entity_but_its_receiver_is() -> None:
    inbound = {
        "source.resolution_type": "IP",
        "source.workload.name": "(unknown)",
        "dest.resolution_type": "K8S_CONTAINER",
        "dest.workload.name": "checkout",
        "dest.environment": "prod-eu",
    }
    found = edge(inbound)
    assert found.near is None and found.far == Entity("prod-eu", "", "checkout", "")
    assert found.near_end.kind is EndpointClass.EXTERNAL and found.near_end.cluster == ""


def test_the_receiver_is_in_the_reporters_cluster_unless_the_ends_disagree() -> None:
    inside = {**EDGE, "dest.resolution_type": "K8S_CONTAINER", "dest.workload.name": "payments"}
    same = edge({**inside, "dest.environment": "prod-eu", "k8s.cluster.name": "eu"})
    other = edge({**inside, "dest.environment": "prod-us"})
    unsaid = edge(inside)
    assert [found.far and found.far.cluster for found in (same, other, unsaid)] == ["eu", "prod-us", "prod-eu"]


def test_a_remote_sender_keeps_its_own_cluster() -> None:
    labels = {
        **EDGE,
        "source.environment": "prod-us",
        "dest.environment": "prod-eu",
        "dest.resolution_type": "K8S_CONTAINER",
        "k8s.cluster.name": "prod-eu",
    }
    found = edge(labels)
    assert found.near and found.near.cluster == "prod-us"
    assert found.far and found.far.cluster == "prod-eu"


@pytest.mark.parametrize(
    ("resolution", "workload", "kind"),
    [
        ("DNS", "api.example.com", EndpointClass.EXTERNAL),
        ("IP", "(unknown)", EndpointClass.EXTERNAL),
        ("AWS", "rds", EndpointClass.EXTERNAL),
        ("IP", "DNS", EndpointClass.DNS),
        ("INSTANCE_METADATA", "instance metadata", EndpointClass.METADATA),
        ("PROCESS", "sshd", EndpointClass.HOST),
        ("K8S_CONTAINER", "payments", EndpointClass.INTERNAL),
        ("NONE", "", EndpointClass.UNKNOWN),
    ],
)
def test_kinds_of_destination(resolution: str, workload: str, kind: EndpointClass) -> None:
    found = edge({**EDGE, "dest.resolution_type": resolution, "dest.workload.name": workload})
    assert found.far_end.kind is kind
    assert (found.far_end.cluster != "") == (kind in (EndpointClass.HOST, EndpointClass.INTERNAL))


def test_without_resolution_type_a_named_workload_is_known() -> None:
    assert edge({"source.workload.name": "checkout"}).near == Entity("default", "", "checkout", "")


def test_other_views_of_the_same_bytes_are_ignored() -> None:
    assert ignored({**EDGE, "aggregation": "id_id"}) == "other_aggregation_view"


def test_a_view_moved_to_the_resource_is_still_seen() -> None:
    bare = {key: value for key, value in EDGE.items() if key != "aggregation"}
    mapper = Mapper(load_preset("opentelemetry-network"))
    found = mapper.map("tcp.bytes", Meant.DELTA, bare, {"aggregation": "id_id"})
    assert found == Ignored("other_aggregation_view")


def test_another_view_can_be_chosen() -> None:
    override: dict[str, object] = {"views": {"use": "id_id"}}
    assert edge({**EDGE, "aggregation": "id_id"}, override=override).near is not None
    assert ignored(EDGE, views={"use": "id_id"}) == "other_aggregation_view"


def test_points_without_a_view_pass() -> None:
    assert edge({key: value for key, value in EDGE.items() if key != "aggregation"}).near is not None


def test_other_metrics_and_nobodys_points_are_ignored() -> None:
    assert ignored(EDGE, metric="tcp.rtt.average") == "other_metric"
    assert ignored({}) == "no_entity"


@pytest.mark.parametrize(
    ("workload", "identity"),
    [
        ("backup-28391040", "backup"),
        ("backup-28391040-x2x4z", "backup"),
        ("checkout-5d8c9f6b7d-x7x2z", "checkout"),
        ("redis-cache", "redis-cache"),
        ("api-gateway-v2", "api-gateway-v2"),
        ("28391040", "28391040"),
        ("-28391040", "-28391040"),
    ],
)
def test_workloads_that_never_repeat_become_one(workload: str, identity: str) -> None:
    found = edge({**EDGE, "source.workload.name": workload})
    assert found.near and found.near.workload == identity


@pytest.mark.parametrize(
    ("process", "identity"),
    [
        ("runc:[2:INIT]", "runc"),
        ("worker-12", "worker"),
        ("kworker/u8:3", "kworker"),
        ("python3.11", "python3.11"),
        ("php-fpm7", "php-fpm7"),
        ("checkoutservice-server", "checkoutservice"),
        ("äöüäöüäöü", "äöüäöüä"),
    ],
)
def test_processes_that_number_themselves_become_one(process: str, identity: str) -> None:
    found = edge({**EDGE, "source.process.name": process})
    assert found.near and found.near.process == identity


def test_external_names_are_left_as_they_are() -> None:
    assert edge({**EDGE, "dest.workload.name": "s3-28391040"}).far_end.workload == "s3-28391040"


@pytest.mark.parametrize(
    ("pod", "workload"),
    [
        ("checkout-5d8c9f6b7d-x7x2z", "checkout"),
        ("backup-28391040-x2x4z", "backup"),
        ("fluentd-x2x4z", "fluentd"),
        ("postgres-0", "postgres"),
        ("standalone", "standalone"),
    ],
)
def test_pods_become_their_workload(pod: str, workload: str) -> None:
    found = edge({"namespace": "shop", "pod": pod}, preset="cadvisor", metric="container_network_transmit_bytes_total")
    assert found.near == Entity("default", "shop", workload, "")


def test_receive_metrics_are_somebodys_received() -> None:
    name = "container_network_receive_bytes_total"
    assert mapped({"pod": "postgres-0"}, preset="cadvisor", metric=name).is_received


def test_sampling_multiplies() -> None:
    labels = {"SrcK8S_OwnerName": "etcd", "Sampling": "50"}
    name = "netobserv_workload_egress_bytes_total"
    assert mapped(labels, preset="netobserv", metric=name).scale == 50
    for nonsense in ("0", "-3", "nan", "many", "1e300", ""):
        assert mapped({**labels, "Sampling": nonsense}, preset="netobserv", metric=name).scale == 1


def test_rules_choose_by_attribute() -> None:
    names = [
        mapped({"k8s.src.owner.name": "a", **labels}, preset="obi", metric="obi.network.flow.bytes").metric
        for labels in ({"transport": "TCP"}, {"transport": "udp"}, {"transport": "SCTP"}, {})
    ]
    assert names == ["tcp.bytes", "udp.bytes", "net.bytes", "net.bytes"]


def test_direction_filters() -> None:
    mapper = Mapper(load_preset("kubeletstats"))
    labels = {"k8s.pod.name": "postgres-0", "direction": "sideways"}
    assert mapper.map("k8s.pod.network.io", Meant.DELTA, labels, {}) == Ignored("filtered")


def test_what_has_no_type_is_what_the_preset_says() -> None:
    assert mapped(EDGE, meant=None).meant is Meant.DELTA
    retina = {"direction": "egress", "source_workload_name": "web"}
    name = "networkobservability_adv_forward_bytes"
    assert mapped(retina, preset="retina", metric=name, meant=None).meant is Meant.CUMULATIVE
    assert mapped(EDGE, preset="splunk", meant=None, metric="tcp.active").meant is Meant.VALUE
    kubelet = Mapper(load_preset("kubeletstats"))
    assert kubelet.map("k8s.pod.network.io", None, {"direction": "transmit"}, {}) == Ignored("untyped")


class TestAsUpstream:
    """The profile `splunk` sees what upstream's search sees."""

    def test_every_view_and_every_metric(self) -> None:
        found = mapped({**EDGE, "aggregation": "id_id"}, preset="splunk", metric="tcp.rtt.average")
        assert found.metric == "tcp.rtt.average"

    def test_unknown_is_a_name_like_any_other(self) -> None:
        labels = {"k8s.cluster.name": "c", "source.workload.name": "(unknown)", "source.process.name": "-"}
        assert edge(labels, preset="splunk").near == Entity("c", "", "(unknown)", "-")

    def test_the_environment_is_no_cluster(self) -> None:
        found = edge(EDGE, preset="splunk")
        assert found.near == Entity("", "shop", "checkout", "java")

    @pytest.mark.parametrize("missing", ["source.workload.name", "source.process.name"])
    def test_without_workload_or_process_there_is_no_sender(self, missing: str) -> None:
        labels = {**EDGE, "dest.process.name": "x", missing: ""}
        assert edge(labels, preset="splunk").near is None

    def test_names_are_not_made_one(self) -> None:
        found = edge({**EDGE, "source.process.name": "a-very-long-worker-12"}, preset="splunk")
        assert found.near and found.near.process == "a-very-long-worker-12"


def test_heartbeats_name_their_cluster() -> None:
    mapper = Mapper(load_preset("opentelemetry-network"))
    assert mapper.map("ebpf_net.up", None, {}, {"k8s.cluster.name": "r"}) == Ignored("heartbeat", "r")


def test_forgetting_changes_nothing() -> None:
    mapper = Mapper(load_preset("opentelemetry-network"))
    before = mapper.map("tcp.bytes", Meant.DELTA, EDGE, {})
    mapper.forget()
    assert mapper.map("tcp.bytes", Meant.DELTA, EDGE, {}) == before
