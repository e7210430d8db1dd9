"""Bodies read with the published message classes."""

from __future__ import annotations

import pytest

from ebbtide.meter.edge import Point
from ebbtide.meter.otlp import POINTS_PER_BODY, Interval, encode, rejected_points

service = pytest.importorskip("opentelemetry.proto.collector.metrics.v1.metrics_service_pb2")

INTERVAL = Interval(1_764_000_000_000_000_000, 1_764_000_010_000_000_000)
RESOURCE = (("k8s.cluster.name", "prod"), ("service.name", "ebbtide-meter"))


def decoded(points):
    return [
        service.ExportMetricsServiceRequest.FromString(body.data) for body in encode(points, INTERVAL, RESOURCE, "1")
    ]


def test_a_delta_sum_is_one():
    (request,) = decoded([Point("tcp.bytes", "By", 42, (("source.workload.name", "web"),))])
    (block,) = request.resource_metrics
    assert {pair.key: pair.value.string_value for pair in block.resource.attributes} == dict(RESOURCE)
    (metric,) = block.scope_metrics[0].metrics
    assert (metric.name, metric.unit, metric.WhichOneof("data")) == ("tcp.bytes", "By", "sum")
    assert (metric.sum.aggregation_temporality, metric.sum.is_monotonic) == (1, True)
    (row,) = metric.sum.data_points
    assert (row.start_time_unix_nano, row.time_unix_nano) == (INTERVAL.start_ns, INTERVAL.end_ns)
    assert (row.WhichOneof("value"), row.as_int) == ("as_int", 42)
    assert [(pair.key, pair.value.string_value) for pair in row.attributes] == [("source.workload.name", "web")]
    assert (block.scope_metrics[0].scope.name, block.scope_metrics[0].scope.version) == ("ebbtide.meter", "1")


def test_a_gauge_of_zero_is_written():
    (request,) = decoded([Point("x", "1", 0, (), is_delta=False)])
    row = request.resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]
    assert row.WhichOneof("value") == "as_int"


def test_nothing_unknown_is_written():
    (request,) = decoded([Point("a", "1", 1, (("k", "v"),)), Point("a", "1", 2, ()), Point("b", "1", 3, (), False)])
    assert service.ExportMetricsServiceRequest.FromString(request.SerializeToString()) == request
    names = [metric.name for metric in request.resource_metrics[0].scope_metrics[0].metrics]
    assert names == ["a", "b"]


def test_large_intervals_are_split():
    points = [
        Point("tcp.bytes", "By", number + 1, (("dest.ip", str(number)),)) for number in range(POINTS_PER_BODY + 5)
    ]
    bodies = list(encode(points, INTERVAL, RESOURCE, "1"))
    assert [body.points for body in bodies] == [POINTS_PER_BODY, 5]
    assert max(len(body.data) for body in bodies) < 4 << 20


def test_no_points_no_body():
    assert list(encode([], INTERVAL, RESOURCE, "1")) == []


def test_rejections_are_read():
    answer = service.ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 3
    assert rejected_points(answer.SerializeToString()) == 3
    assert rejected_points(b"") == 0
    assert rejected_points(b"\xff\xff not protobuf") == 0
