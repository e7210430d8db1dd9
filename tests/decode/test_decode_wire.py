"""The wire descriptor: the same bytes mean the same as in the published messages."""

from __future__ import annotations

from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from requests_of_decode import EDGE, Point, request

from ebbtide.decode import wire

PUBLISHED = {
    "Request": metrics_service_pb2.ExportMetricsServiceRequest,
    "ResourceMetrics": metrics_pb2.ResourceMetrics,
    "ScopeMetrics": metrics_pb2.ScopeMetrics,
    "Metric": metrics_pb2.Metric,
    "Point": metrics_pb2.NumberDataPoint,
    "Resource": resource_pb2.Resource,
    "Scope": common_pb2.InstrumentationScope,
    "KeyValue": common_pb2.KeyValue,
    "Value": common_pb2.AnyValue,
    "Array": common_pb2.ArrayValue,
    "Pairs": common_pb2.KeyValueList,
}


def test_field_numbers_are_the_published_ones() -> None:
    for name, published in PUBLISHED.items():
        ours = wire.MESSAGES[name].DESCRIPTOR.fields_by_name
        theirs = published.DESCRIPTOR.fields_by_name
        assert {field: ours[field].number for field in ours} == {field: theirs[field].number for field in ours}


def test_what_is_cut_can_be_parsed_on() -> None:
    encoded = request([Point()], resource={"k8s.cluster.name": "eu"}).SerializeToString()
    parsed = wire.Request.FromString(encoded)
    resource = wire.Resource.FromString(parsed.resource_metrics[0].resource)
    assert [wire.KeyValue.FromString(one).value.string_value for one in resource.attributes] == [b"eu"]
    metric = wire.Metric.FromString(parsed.resource_metrics[0].scope_metrics[0].metrics[0])
    assert metric.name == b"tcp.bytes" and metric.sum.aggregation_temporality == 1
    point = wire.Point.FromString(metric.sum.data_points[0])
    assert point.as_int == 48211 and len(point.attributes) == len(EDGE)


def test_text_that_is_not_utf8_fails_nothing() -> None:
    encoded = request([Point()]).SerializeToString().replace(b"shop", b"sh\xffp")
    assert wire.Request.FromString(encoded).resource_metrics
