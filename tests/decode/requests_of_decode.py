"""Logical points in every wire format, for the tests of this room."""

from __future__ import annotations

import csv
import functools
import io
import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet
from google.protobuf import json_format
from hypothesis import HealthCheck, settings
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ebbtide.decode.preset import Preset, load_preset, parse_preset
from ebbtide.decode.session import Session
from ebbtide.series import SECOND_NS, Batch

#: The same examples each time, however slow the machine: a test fails for one reason.
STEADY = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])

START_NS = 1_764_000_000 * SECOND_NS
END_NS = START_NS + 30 * SECOND_NS

EDGE = {
    "aggregation": "az_az",
    "source.environment": "prod-eu",
    "source.namespace.name": "shop",
    "source.workload.name": "checkout",
    "source.process.name": "java",
    "source.resolution_type": "K8S_CONTAINER",
    "dest.workload.name": "api.example.com",
    "dest.resolution_type": "DNS",
}


@dataclass(frozen=True)
class Point:
    """One point as a person would say it. `kind`: delta, cumulative or gauge."""

    metric: str = "tcp.bytes"
    value: float | int = 48211
    labels: dict[str, str] = field(default_factory=lambda: dict(EDGE))
    end_ns: int = END_NS
    start_ns: int = 0
    kind: str = "delta"
    flags: int = 0


def request(
    points: Sequence[Point], *, resource: dict[str, str] | None = None, single: bool = False
) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    of_resource = made.resource_metrics.add()
    for key, value in (resource or {}).items():
        of_resource.resource.attributes.add(key=key).value.string_value = value
    scope = of_resource.scope_metrics.add()
    metrics = {}
    for point in points:
        metric = None if single else metrics.get((point.metric, point.kind))
        if metric is None:
            metric = metrics[point.metric, point.kind] = scope.metrics.add(name=point.metric, unit="By")
            if point.kind != "gauge":
                metric.sum.aggregation_temporality = 1 if point.kind == "delta" else 2
                metric.sum.is_monotonic = True
        numbers = metric.gauge if point.kind == "gauge" else metric.sum
        made_point = numbers.data_points.add(
            start_time_unix_nano=point.start_ns, time_unix_nano=point.end_ns, flags=point.flags
        )
        if isinstance(point.value, int):
            made_point.as_int = point.value
        else:
            made_point.as_double = point.value
        for key, value in point.labels.items():
            made_point.attributes.add(key=key).value.string_value = value
    return made


def proto(points: Sequence[Point], **options: object) -> bytes:
    return request(points, **options).SerializeToString()  # type: ignore[arg-type]


def otlp_json(points: Sequence[Point], **options: object) -> bytes:
    return json.dumps(json_format.MessageToDict(request(points, **options))).encode()  # type: ignore[arg-type]


def hec(points: Sequence[Point]) -> bytes:
    events = [
        {
            "time": point.end_ns / SECOND_NS,
            "event": "metric",
            "host": "h",
            "fields": {f"metric_name:{point.metric}": point.value, **point.labels},
        }
        for point in points
    ]
    return "".join(json.dumps(event) for event in events).encode()


def remote_write(points: Sequence[Point]) -> bytes:
    """A WriteRequest before its snappy, framed by hand: one series a point, labels sorted as Prometheus does."""
    return b"".join(_framed(1, _time_series(point)) for point in points)


def _time_series(point: Point) -> bytes:
    labels = sorted({"__name__": point.metric, **point.labels}.items())
    encoded = b"".join(_framed(1, _framed(1, name.encode()) + _framed(2, text.encode())) for name, text in labels)
    # Milliseconds, but what is not 0 stays so.
    timestamp = -(-point.end_ns // 1_000_000)
    return encoded + _framed(2, b"\x09" + struct.pack("<d", point.value) + b"\x10" + varint(timestamp))


def _framed(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def rows(points: Sequence[Point]) -> list[dict[str, str]]:
    return [
        {"time_ns": str(point.end_ns), "metric": point.metric, "value": str(point.value), **point.labels}
        for point in points
    ]


def table(points: Sequence[Point]) -> bytes:
    names = list(dict.fromkeys(name for row in rows(points) for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(points))
    return text.getvalue().encode()


def parquet(points: Sequence[Point]) -> bytes:
    names = list(dict.fromkeys(name for row in rows(points) for name in row))
    columns = {name: [row.get(name) for row in rows(points)] for name in names}
    columns["time_ns"] = [point.end_ns for point in points]  # type: ignore[misc]
    columns["value"] = [float(point.value) for point in points]  # type: ignore[misc]
    sink = io.BytesIO()
    pa.parquet.write_table(pa.table(columns), sink)
    return sink.getvalue()


BODIES = {
    "otlp_proto": proto,
    "otlp_json": otlp_json,
    "hec": hec,
    "remote_write": remote_write,
    "csv": table,
    "parquet": parquet,
}


@functools.cache
def preset() -> Preset:
    """The default preset, which can also read tables of the same attributes."""
    return parse_preset(
        "extends: opentelemetry-network\n"
        "columns: {time: time_ns, unit: ns, metric_column: metric, value_column: value}\n"
    )


def session(name: str = "", **options: object) -> Session:
    return Session(load_preset(name) if name else preset(), **options)  # type: ignore[arg-type]


def decode(points: Sequence[Point], format_name: str = "otlp_proto", name: str = "") -> Batch:
    return session(name).decode(format_name, BODIES[format_name](points))
