"""OTLP protobuf: what the bytes say, however they are put."""

from __future__ import annotations

import hashlib
import json
import random

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint
from requests_of_decode import EDGE, END_NS, START_NS, Point, proto, request, session

from ebbtide.decode.otlp import meaning
from ebbtide.errors import DecodeError
from ebbtide.series import SECOND_NS, Heartbeat


def many(n: int, **options: object) -> list[Point]:
    return [Point(value=at, labels={**EDGE, "source.workload.name": f"w{at}x"}, **options) for at in range(n)]  # type: ignore[arg-type]


@pytest.mark.parametrize("n", [1, 7, 8, 3000])
@pytest.mark.parametrize("single", [True, False])
def test_both_shapes_hold_the_same(n: int, single: bool) -> None:
    one = session()
    for _ in range(2):
        batch = one.decode("otlp_proto", proto(many(n, start_ns=START_NS), single=single))
        assert batch.value.tolist() == list(range(n))
        assert [batch.series[at].sender.workload for at in batch.ref] == [f"w{at}x" for at in range(n)]  # type: ignore[union-attr]
        assert (batch.start_ns == START_NS).all() and (batch.end_ns == END_NS).all()


def test_ours_among_other_metrics_keep_their_order() -> None:
    points = [
        Point(metric=name, value=at, labels={**EDGE, "source.workload.name": f"w{at}x"})
        for at in range(1500)
        for name in ("tcp.rtt.average", "tcp.bytes")
    ]
    batch = session().decode("otlp_proto", proto(points, single=True))
    assert batch.value.tolist() == list(range(1500))
    assert batch.counts.ignored == {"other_metric": 1500}


def test_a_point_without_start_covers_one_interval() -> None:
    batch = session().decode("otlp_proto", proto([Point()]))
    assert batch.start_ns.tolist() == [END_NS - 30 * SECOND_NS]


@pytest.mark.parametrize("start", [END_NS, END_NS + 1, 5, 2**64 - 1])
def test_a_start_that_cannot_be_is_unknown(start: int) -> None:
    batch = session().decode("otlp_proto", proto([Point(start_ns=start)]))
    assert batch.start_ns.tolist() == [END_NS - 30 * SECOND_NS]


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        (Point(end_ns=0), "no_time"),
        (Point(end_ns=5), "bad_time"),
        (Point(end_ns=2**64 - 1), "bad_time"),
        (Point(value=-5), "negative"),
        (Point(value=float("inf")), "not_finite"),
        (Point(value=float("nan")), "not_finite"),
        (Point(value=1e300), "too_large"),
        (Point(value=-5, kind="cumulative"), "negative"),
    ],
)
@pytest.mark.parametrize("n", [1, 20])
def test_a_bad_point_costs_no_other(point: Point, reason: str, n: int) -> None:
    batch = session().decode("otlp_proto", proto([*many(n), point]))
    assert batch.counts.rejected == {reason: 1} and batch.counts.accepted == len(batch) == n


def test_histograms_and_summaries_are_counted_by_point() -> None:
    made = request(many(3))
    metrics = made.resource_metrics[0].scope_metrics[0].metrics
    for kind in ("histogram", "exponential_histogram", "summary"):
        metric = metrics.add(name="tcp.bytes")
        getattr(metric, kind).data_points.add(time_unix_nano=END_NS)
        getattr(metric, kind).data_points.add(time_unix_nano=END_NS)
    batch = session().decode("otlp_proto", made.SerializeToString())
    assert batch.counts.ignored == {"histogram": 2, "exponential_histogram": 2, "summary": 2}
    assert len(batch) == 3


@pytest.mark.parametrize("n", [1, 20])
def test_a_sum_without_temporality_is_rejected(n: int) -> None:
    made = request(many(n))
    made.resource_metrics[0].scope_metrics[0].metrics[0].sum.aggregation_temporality = 0
    assert session().decode("otlp_proto", made.SerializeToString()).counts.rejected == {"no_temporality": n}


def test_single_sums_without_temporality_are_rejected_too() -> None:
    made = request(many(20), single=True)
    made.resource_metrics[0].scope_metrics[0].metrics[5].sum.aggregation_temporality = 0
    batch = session().decode("otlp_proto", made.SerializeToString())
    assert batch.counts.rejected == {"no_temporality": 1} and len(batch) == 19


@pytest.mark.parametrize("n", [1, 20])
@pytest.mark.parametrize("single", [True, False])
def test_no_recorded_value_ends_a_series(n: int, single: bool) -> None:
    one = session()
    first = many(n, kind="cumulative")
    one.decode("otlp_proto", proto(first, single=single))
    markers = [Point(value=0, labels=p.labels, kind="cumulative", end_ns=END_NS + 5, flags=1) for p in first]
    batch = one.decode("otlp_proto", proto(markers, single=single))
    assert batch.counts.ignored == {"no_recorded_value": n} and len(batch) == 0
    assert len(one.state) == 0


def test_a_marker_without_value_is_known_too() -> None:
    made = request([Point(kind="cumulative", flags=1)])
    made.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].ClearField("as_int")
    assert session().decode("otlp_proto", made.SerializeToString()).counts.ignored == {"no_recorded_value": 1}


def test_a_point_without_value_is_rejected() -> None:
    made = request(many(10))
    made.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[3].ClearField("as_int")
    batch = session().decode("otlp_proto", made.SerializeToString())
    assert batch.counts.rejected == {"no_value": 1} and batch.value.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_fields_in_any_order_mean_the_same() -> None:
    """Encoders may write fields in any order: cut a point into its fields and shuffle them."""
    point = request([Point(start_ns=START_NS)]).resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0]
    pieces = [NumberDataPoint(start_time_unix_nano=point.start_time_unix_nano).SerializeToString()]
    pieces.append(NumberDataPoint(time_unix_nano=point.time_unix_nano).SerializeToString())
    pieces.append(NumberDataPoint(as_int=point.as_int).SerializeToString())
    pieces += [NumberDataPoint(attributes=[pair]).SerializeToString() for pair in point.attributes]
    shuffle = random.Random(7)
    expected = session().decode("otlp_proto", proto([Point(start_ns=START_NS)]))
    for _ in range(10):
        shuffle.shuffle(pieces)
        body = b"".join(pieces)
        sum_body = 9 * (b"\x0a" + _varint(len(body)) + body) + b"\x10\x01\x18\x01"
        metric = b"\x0a\x09tcp.bytes\x3a" + _varint(len(sum_body)) + sum_body
        scope = b"\x12" + _varint(len(metric)) + metric
        resource = b"\x12" + _varint(len(scope)) + scope
        batch = session().decode("otlp_proto", b"\x0a" + _varint(len(resource)) + resource)
        assert batch.series == expected.series
        assert batch.value.tolist() == [48211.0] * 9 and (batch.start_ns == START_NS).all()


def test_a_value_repeated_after_the_attributes_wins() -> None:
    made = request(many(9))
    metric = made.resource_metrics[0].scope_metrics[0].metrics[0]
    encoded = [one.SerializeToString() for one in metric.sum.data_points]
    encoded[4] += NumberDataPoint(as_int=999).SerializeToString()
    sum_body = b"".join(b"\x0a" + _varint(len(one)) + one for one in encoded) + b"\x10\x01\x18\x01"
    body = b"\x0a\x09tcp.bytes\x3a" + _varint(len(sum_body)) + sum_body
    scope = b"\x12" + _varint(len(body)) + body
    resource = b"\x12" + _varint(len(scope)) + scope
    batch = session().decode("otlp_proto", b"\x0a" + _varint(len(resource)) + resource)
    assert batch.value.tolist() == [0, 1, 2, 3, 999, 5, 6, 7, 8]


def _varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def test_labels_that_are_not_utf8_are_mended_and_counted() -> None:
    body = proto(many(20)).replace(b"shop", b"sh\xffp")
    batch = session().decode("otlp_proto", body)
    assert batch.counts.accepted == 20 and batch.counts.clipped == {"invalid_utf8": 20}
    assert {series.sender.namespace for series in batch.series if series.sender} == {"sh\\xffp"}


def test_a_huge_label_is_cut_and_counted() -> None:
    batch = session().decode("otlp_proto", proto([Point(labels={**EDGE, "note": "x" * 10_000_000}), *many(10)]))
    assert batch.counts.accepted == 11 and batch.counts.clipped == {"label": 1}
    assert max(len(series.attributes) for series in batch.series) < 2000


def test_many_labels_cannot_hide_who_sent() -> None:
    junk = {f"a{at:05}": "x" * 400 for at in range(1000)}
    batch = session().decode("otlp_proto", proto([Point(labels={**junk, **EDGE})]))
    assert batch.series[0].sender is not None and batch.series[0].sender.workload == "checkout"
    assert batch.counts.clipped == {"attributes": 1}


def test_labels_of_other_types_are_text() -> None:
    made = request([Point()])
    attributes = made.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].attributes
    attributes.add(key="b").value.bool_value = True
    attributes.add(key="i").value.int_value = -7
    attributes.add(key="d").value.double_value = 0.5
    attributes.add(key="l").value.array_value.values.add().string_value = "x"
    attributes.add(key="y").value.bytes_value = b"\x00\xff"
    attributes.add(key="n")
    shown = session().decode("otlp_proto", made.SerializeToString()).series[0].attributes
    for part in ('"b":"true"', '"i":"-7"', '"d":"0.5"', '"l":"[\\"x\\"]"', '"y":"\\"AP8=\\""', '"n":""'):
        assert part in shown


def test_heartbeats_prove_one_interval() -> None:
    up = [Point(metric="ebpf_net.up", value=1, kind="gauge", labels={"shard": str(at)}) for at in range(3)]
    down = Point(metric="ebpf_net.up", value=0, kind="gauge", end_ns=END_NS + 5)
    batch = session().decode("otlp_proto", proto([*up, down], resource={"k8s.cluster.name": "eu"}))
    assert batch.heartbeats == (Heartbeat("eu", END_NS - 30 * SECOND_NS, END_NS),)
    assert batch.counts.ignored == {"heartbeat": 4}


def test_two_resources_are_two_series() -> None:
    both = request([Point()], resource={"k8s.cluster.name": "a"})
    both.MergeFrom(request([Point()], resource={"k8s.cluster.name": "b"}))
    batch = session().decode("otlp_proto", both.SerializeToString())
    assert {series.sender.cluster for series in batch.series if series.sender} == {"a", "b"}


def test_a_scope_is_part_of_the_identity() -> None:
    plain, scoped = request([Point()]), request([Point()])
    scoped.resource_metrics[0].scope_metrics[0].scope.name = "reducer-ffi"
    keys = {session().decode("otlp_proto", one.SerializeToString()).series[0].key for one in (plain, scoped)}
    assert len(keys) == 2


def test_the_order_of_attributes_is_not() -> None:
    turned = Point(labels=dict(reversed(EDGE.items())))
    batch = session().decode("otlp_proto", proto([Point(), turned]))
    assert len(batch.series) == 1 and batch.ref.tolist() == [0, 0]


def test_the_key_is_stable() -> None:
    """Stored series are found again by this number: it may change only with a migration."""
    shared = b'{"metric":"tcp.bytes","scope":"","version":""}\n{}\n{}\n'
    labels = json.dumps(EDGE, sort_keys=True, separators=(",", ":")).encode()
    by_hand = int.from_bytes(hashlib.blake2b(shared + labels, digest_size=8).digest(), "big", signed=True)
    assert session().decode("otlp_proto", proto([Point()])).series[0].key == by_hand == -1186523360265322128


def test_a_default_cluster_is_part_of_the_key() -> None:
    bare = Point(labels={key: value for key, value in EDGE.items() if key != "source.environment"})
    keys = {session(default_cluster=name).decode("otlp_proto", proto([bare])).series[0].key for name in ("a", "b")}
    named = {session(default_cluster=name).decode("otlp_proto", proto([Point()])).series[0].key for name in ("a", "b")}
    assert len(keys) == 2 and len(named) == 1


def test_a_damaged_metric_costs_no_other() -> None:
    made = request(many(20), single=True)
    scope = made.resource_metrics[0].scope_metrics[0].SerializeToString()
    damaged = scope.replace(b"\x0a\x09tcp.bytes", b"\x0b\x09tcp.bytes", 1)
    resource = b"\x12" + _varint(len(damaged)) + damaged
    batch = session().decode("otlp_proto", b"\x0a" + _varint(len(resource)) + resource)
    assert batch.counts.rejected == {"malformed": 1} and len(batch) == 19


@pytest.mark.parametrize("body", [b"{", b"\x0a\xff", proto(many(5))[:-3], b"\x1f\x8b\x08"])
def test_what_is_no_request_raises_with_a_hint(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        session().decode("otlp_proto", body)
    assert caught.value.hint


def test_an_empty_request_is_a_request() -> None:
    assert len(session().decode("otlp_proto", ExportMetricsServiceRequest().SerializeToString())) == 0


def test_meaning_of_sums() -> None:
    assert meaning(1, True) is not None and meaning(2, True) is not None
    assert meaning(2, False) is None
    with pytest.raises(ValueError, match="temporality"):
        meaning(0, True)


def test_readings_stay_as_received_while_values_are_scaled() -> None:
    one = session("netobserv")
    labels = {"SrcK8S_OwnerName": "etcd", "Sampling": "50"}
    for at, reading in enumerate((100, 103)):
        point = Point("netobserv_workload_egress_bytes_total", reading, labels, END_NS + at * 30 * SECOND_NS)
        batch = one.decode("otlp_proto", proto([Point(point.metric, reading, labels, point.end_ns, kind="cumulative")]))
    assert batch.value.tolist() == [150.0] and batch.reading.tolist() == [103.0]
    assert not np.isnan(batch.value).any()
