"""Remote write 1.0 by hand: labels, times, staleness; the conformance suite of all formats runs over it too."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from requests_of_decode import END_NS, Point, remote_write, session, varint

from ebbtide.decode.remote_write import STALE_BITS
from ebbtide.errors import DecodeError
from ebbtide.series import SECOND_NS, Entity

#: A container as Coroot's agent names it; its pod becomes the workload.
COROOT = {"container_id": "/k8s/shop/checkout-7d9c5b6f4-x2x9q/app", "actual_destination": "10.0.0.1:443"}
#: A pod's interface as the kubelet's cAdvisor names it.
CADVISOR = {"namespace": "shop", "pod": "checkout-7d9c5b6f4-x2x9q", "interface": "eth0"}
#: A flow as OBI's Prometheus endpoint names it.
OBI = {
    "k8s_cluster_name": "prod",
    "k8s_src_namespace": "shop",
    "k8s_src_owner_name": "checkout",
    "k8s_src_owner_type": "Deployment",
    "k8s_dst_owner_name": "db",
    "k8s_dst_namespace": "data",
    "transport": "TCP",
}
STALE = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


def reading(value: float, tick: int, metric: str, labels: dict[str, str]) -> Point:
    return Point(metric, value, labels, END_NS + tick * 15 * SECOND_NS)


@pytest.mark.parametrize(
    ("preset", "metric", "labels", "sender", "ours"),
    [
        ("coroot", "container_net_tcp_bytes_sent_total", COROOT, Entity("c1", "shop", "checkout", ""), "tcp.bytes"),
        ("cadvisor", "container_network_transmit_bytes_total", CADVISOR, Entity("c1", "shop", "checkout"), "net.bytes"),
        ("obi", "obi_network_flow_bytes_total", OBI, Entity("prod", "shop", "checkout"), "tcp.bytes"),
        (
            "opentelemetry-network",
            "tcp_bytes",
            {"source_namespace_name": "shop", "source_workload_name": "checkout", "source_process_name": "java"},
            None,
            "tcp.bytes",
        ),
    ],
)
def test_names_as_prometheus_writes_them(preset, metric, labels, sender, ours) -> None:
    one = session(preset, default_cluster="c1")
    first = one.decode("remote_write", remote_write([reading(100, 0, metric, labels)]))
    second = one.decode("remote_write", remote_write([reading(130, 1, metric, labels)]))
    assert second.counts.accepted == 1, second.counts
    assert second.series[0].metric == ours
    if preset == "opentelemetry-network":  # its untyped output is deltas
        assert [*first.value, *second.value] == [100, 130]
        return
    assert np.isnan(first.value).all() and second.value.tolist() == [30]
    assert second.start_ns.tolist() == [END_NS]
    assert second.series[0].sender == sender


def test_a_staleness_marker_ends_a_series() -> None:
    one = session("coroot")
    metric = "container_net_tcp_bytes_sent_total"
    values = [one.decode("remote_write", remote_write([reading(value, tick, metric, COROOT)])) for tick, value in
              enumerate([100, 130, STALE, 500, 520])]  # fmt: skip
    assert [batch.counts.ignored.get("no_recorded_value", 0) for batch in values] == [0, 0, 1, 0, 0]
    assert not any(batch.counts.rejected for batch in values)
    assert np.isnan(values[3].value).all()  # a new life: its first reading is a baseline
    assert values[4].value.tolist() == [20]


def test_any_other_nan_is_a_bad_value() -> None:
    batch = session("coroot").decode(
        "remote_write", remote_write([reading(float("nan"), 0, "container_net_tcp_bytes_sent_total", COROOT)])
    )
    assert batch.counts.rejected == {"not_finite": 1}


def test_several_samples_of_one_series() -> None:
    point = Point("tcp_bytes", 5, {"source_workload_name": "a", "source_namespace_name": "n"})
    one = remote_write([point])
    sample = b"\x12" + bytes([9 + 7]) + b"\x09" + struct.pack("<d", 7.0) + b"\x10" + varint(END_NS // 10**6 + 15_000)
    inner = one[2:] if one[1] < 128 else one[3:]
    body = b"\x0a" + varint(len(inner) + len(sample)) + inner + sample
    assert session("opentelemetry-network").decode("remote_write", body).counts.received == 2


def test_times_that_are_none() -> None:
    labels = {"source_workload_name": "a", "source_namespace_name": "n"}
    far = b"\x10" + varint(2**62)
    body = remote_write([Point("tcp_bytes", 5, labels, end_ns=1_000_000)])
    assert b"\x10\x01" in body
    inner = body[2:].replace(b"\x12\x0b", b"\x12" + bytes([9 + len(far)])).replace(b"\x10\x01", far)
    batch = session("opentelemetry-network").decode("remote_write", b"\x0a" + varint(len(inner)) + inner)
    assert batch.counts.rejected == {"bad_time": 1}
    negative = b"\x10" + varint(2**64 - 5)
    inner = body[2:].replace(b"\x12\x0b", b"\x12" + bytes([9 + len(negative)])).replace(b"\x10\x01", negative)
    batch = session("opentelemetry-network").decode("remote_write", b"\x0a" + varint(len(inner)) + inner)
    assert batch.counts.rejected == {"no_time": 1}


def test_labels_that_cannot_be_read_cost_their_own_samples_only() -> None:
    good = remote_write([Point("tcp_bytes", 5, {"source_workload_name": "a", "source_namespace_name": "n"})])
    bad = b"\x0a\x02\xff\xff" + b"\x12\x0b\x09" + bytes(8) + b"\x10\x01"
    batch = session("opentelemetry-network").decode("remote_write", good + b"\x0a" + varint(len(bad)) + bad)
    assert batch.counts.rejected == {"malformed": 1}
    assert batch.counts.accepted + batch.counts.ignored.total() == 1


def test_native_histograms_are_counted_as_ignored() -> None:
    body = b"\x0a\x08" + b"\x22\x02\x08\x01" * 2
    assert session("coroot").decode("remote_write", body).counts.ignored == {"histogram": 2}


def test_what_is_no_request_is_refused_with_a_hint() -> None:
    with pytest.raises(DecodeError) as caught:
        session().decode("remote_write", b"\xff" * 20)
    assert "2.0" in caught.value.hint
