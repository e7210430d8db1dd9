"""OTLP bodies, read with the published classes."""

import json

import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ebbtide.lab.simulate_otlp import METRICS_PER_BODY, JsonLines, Protobuf, bodies
from ebbtide.lab.simulate_series import Labeller
from simulated import small


@pytest.fixture(scope="module")
def points():
    simulation = small(entities=200, days=1)
    first = simulation.plan.parameters.first + 1700
    return Labeller(simulation).points(simulation.flows(first, first + 2))


@pytest.fixture(scope="module")
def requests(points):
    return [ExportMetricsServiceRequest.FromString(body) for body in bodies(points, Protobuf())]


def told(request):
    for resource in request.resource_metrics:
        for scope in resource.scope_metrics:
            yield from scope.metrics


def test_the_bodies_hold_every_point_once_in_order(points, requests):
    read = [(metric.name, metric.sum.data_points[0]) for request in requests for metric in told(request)]

    assert len(read) == len(points)
    for at, (name, point) in enumerate(read):
        label = points.labels[points.ref[at]]
        assert (name, point.as_int) == (label.metric, points.value[at])
        assert tuple((pair.key, pair.value.string_value) for pair in point.attributes) == label.attributes
        assert point.time_unix_nano == points.end_ns[at]
        assert point.time_unix_nano - point.start_time_unix_nano == 30 * 10**9


def test_one_point_a_metric_a_thousand_metrics_a_request_and_nothing_around_them(requests):
    assert any(len(list(told(request))) == METRICS_PER_BODY for request in requests)
    for request in requests:
        metrics = list(told(request))
        assert len(metrics) <= METRICS_PER_BODY
        assert {len(metric.sum.data_points) for metric in metrics} == {1}
        assert {metric.sum.aggregation_temporality for metric in metrics} == {1}
        assert all(metric.sum.is_monotonic for metric in metrics)
        assert len({metric.sum.data_points[0].time_unix_nano for metric in metrics}) == 1
        assert not request.resource_metrics[0].resource.attributes
        assert request.resource_metrics[0].scope_metrics[0].scope.name == ""


@pytest.mark.parametrize("cluster", ["", "prod-eu"])
def test_both_encodings_say_the_same(points, cluster):
    lines, packed = (list(bodies(points, encoder)) for encoder in (JsonLines(cluster), Protobuf(cluster)))

    assert len(lines) == len(packed)
    for line, body in zip(lines, packed, strict=True):
        assert b"\n" not in line
        parsed = json_format.ParseDict(json.loads(line), ExportMetricsServiceRequest())
        assert parsed == ExportMetricsServiceRequest.FromString(body)


def test_a_gateway_names_the_cluster_and_beats(points):
    request = ExportMetricsServiceRequest.FromString(next(iter(bodies(points, Protobuf("prod-eu")))))

    [pair] = request.resource_metrics[0].resource.attributes
    assert (pair.key, pair.value.string_value) == ("k8s.cluster.name", "prod-eu")
    *_, beat = told(request)
    assert beat.name == "ebpf_net.up"
    assert beat.gauge.data_points[0].as_int == 1
