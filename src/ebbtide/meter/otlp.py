"""OTLP metrics as protobuf bytes, from a descriptor built in code: the published messages, only the fields sent.

In: points of one interval. Out: bodies of an ExportMetricsServiceRequest, none with more than `POINTS_PER_BODY` points.
Field numbers are those of opentelemetry-proto 1.x (collector/metrics/v1, metrics/v1, common/v1, resource/v1), which are
stable; a test reads these bodies with the published classes.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as ProtobufError

from ebbtide.meter.edge import Attributes, Point

POINTS_PER_BODY = 4000
SCOPE = "ebbtide.meter"
_DELTA = 1
_PACKAGE = "ebbtide.meter.otlp"
_FIELD = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "string": _FIELD.TYPE_STRING,
    "int64": _FIELD.TYPE_INT64,
    "fixed64": _FIELD.TYPE_FIXED64,
    "sfixed64": _FIELD.TYPE_SFIXED64,
    "int32": _FIELD.TYPE_INT32,
    "bool": _FIELD.TYPE_BOOL,
}

#: message -> (field, number, type); a type that is not a scalar is a message, "*" means repeated.
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "AnyValue": (("string_value", 1, "string"),),
    "KeyValue": (("key", 1, "string"), ("value", 2, "AnyValue")),
    "Resource": (("attributes", 1, "*KeyValue"),),
    "Scope": (("name", 1, "string"), ("version", 2, "string")),
    "NumberDataPoint": (
        ("attributes", 7, "*KeyValue"),
        ("start_time_unix_nano", 2, "fixed64"),
        ("time_unix_nano", 3, "fixed64"),
        ("as_int", 6, "sfixed64"),
    ),
    "Gauge": (("data_points", 1, "*NumberDataPoint"),),
    "Sum": (
        ("data_points", 1, "*NumberDataPoint"),
        ("aggregation_temporality", 2, "int32"),
        ("is_monotonic", 3, "bool"),
    ),
    "Metric": (("name", 1, "string"), ("unit", 3, "string"), ("gauge", 5, "Gauge"), ("sum", 7, "Sum")),
    "ScopeMetrics": (("scope", 1, "Scope"), ("metrics", 2, "*Metric")),
    "ResourceMetrics": (("resource", 1, "Resource"), ("scope_metrics", 2, "*ScopeMetrics")),
    "Request": (("resource_metrics", 1, "*ResourceMetrics"),),
    "PartialSuccess": (("rejected_data_points", 1, "int64"), ("error_message", 2, "string")),
    "Response": (("partial_success", 1, "PartialSuccess"),),
}
#: Members of a oneof must say so, or a value of 0 would not be written.
_ONEOF = {"AnyValue": ("value", ("string_value",)), "NumberDataPoint": ("value", ("as_int",))}


@dataclass(frozen=True, slots=True)
class Interval:
    """The time the points of a body cover, Unix nanoseconds, start exclusive."""

    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Body:
    """One encoded request and how many points it carries."""

    data: bytes
    points: int


@functools.cache
def _classes() -> dict[str, Any]:
    """Message classes by name, in a pool of their own: the published package may be loaded beside them."""
    file = descriptor_pb2.FileDescriptorProto(name="ebbtide/meter/otlp.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        group, members = _ONEOF.get(name, ("", ()))
        if group:
            message.oneof_decl.add(name=group)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = _FIELD.LABEL_REPEATED if kind.startswith("*") else _FIELD.LABEL_OPTIONAL
            scalar = _TYPES.get(kind)
            field.type = scalar or _FIELD.TYPE_MESSAGE
            if scalar is None:
                field.type_name = f".{_PACKAGE}.{kind.lstrip('*')}"
            if field_name in members:
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)  # type: ignore[no-untyped-call,unused-ignore]
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))  # type: ignore[no-untyped-call,unused-ignore]
        for name in _MESSAGES
    }


@functools.lru_cache(maxsize=65536)
def _template(attributes: Attributes) -> Any:
    """A data point with its attributes set; copied for each value, because the same edges speak every interval."""
    point = _classes()["NumberDataPoint"]()
    _set_attributes(point.attributes, attributes)
    return point


def _set_attributes(target: Any, attributes: Attributes) -> None:
    for key, text in attributes:
        pair = target.add(key=key)
        pair.value.string_value = text


def encode(points: Iterable[Point], interval: Interval, resource: Attributes, version: str) -> Iterator[Body]:
    """Bodies of at most `POINTS_PER_BODY` points, grouped by metric; nothing for no points."""
    ordered = sorted(points, key=lambda point: (point.metric, point.unit, point.is_delta))
    for start in range(0, len(ordered), POINTS_PER_BODY):
        chunk = ordered[start : start + POINTS_PER_BODY]
        yield Body(_encode_body(chunk, interval, resource, version), len(chunk))


def _encode_body(points: list[Point], interval: Interval, resource: Attributes, version: str) -> bytes:
    request = _classes()["Request"]()
    block = request.resource_metrics.add()
    _set_attributes(block.resource.attributes, resource)
    scope = block.scope_metrics.add()
    scope.scope.name, scope.scope.version = SCOPE, version
    for (name, unit, is_delta), group in groupby(points, key=lambda point: (point.metric, point.unit, point.is_delta)):
        metric = scope.metrics.add(name=name, unit=unit)
        if is_delta:
            metric.sum.aggregation_temporality, metric.sum.is_monotonic = _DELTA, True
        target = metric.sum.data_points if is_delta else metric.gauge.data_points
        for point in group:
            row = target.add()
            row.CopyFrom(_template(point.attributes))
            row.start_time_unix_nano, row.time_unix_nano = interval.start_ns, interval.end_ns
            row.as_int = point.value
    data: bytes = request.SerializeToString()
    return data


def rejected_points(response: bytes) -> int:
    """How many points a receiver refused in an answer of success; 0 for an answer that is not protobuf."""
    try:
        answer = _classes()["Response"].FromString(response)
    except ProtobufError:
        return 0
    return int(answer.partial_success.rejected_data_points)
