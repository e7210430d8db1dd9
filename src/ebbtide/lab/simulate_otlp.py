"""Points as OTLP bodies, exactly as the reducer sends them: one point a metric, at most 1,000 metrics a request.

Both encodings are put together from text or bytes that are made once per series, with holes for the two times and the
value; a point then costs about a microsecond. Field numbers are those of opentelemetry-proto 1.x; a test reads the
bodies with the published classes. Resource and scope are empty, unless a gateway adds the cluster's name.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Protocol

import numpy as np

from ebbtide.lab.simulate_plan import INTERVAL_S
from ebbtide.lab.simulate_series import UNITS, Attributes, Label, Points
from ebbtide.series import SECOND_NS

METRICS_PER_BODY = 1000
_HEARTBEAT = "ebpf_net.up"


class Encoder(Protocol):
    """One of the two encodings. Holds what it made of labels so far."""

    content_type: str

    def body(self, points: list[tuple[Label, int]], end_ns: int) -> bytes:
        """One request with these points of one interval."""
        ...


def bodies(points: Points, encoder: Encoder) -> Iterator[bytes]:
    """Requests in order of time; a request has points of one interval."""
    starts = np.flatnonzero(np.diff(points.interval, prepend=-1))
    for first, last in zip(starts.tolist(), [*starts[1:].tolist(), len(points)], strict=True):
        end_ns = (int(points.interval[first]) + 1) * INTERVAL_S * SECOND_NS
        for at in range(first, last, METRICS_PER_BODY):
            part = slice(at, min(at + METRICS_PER_BODY, last))
            pairs = zip(points.ref[part].tolist(), points.value[part].tolist(), strict=True)
            yield encoder.body([(points.labels[ref], value) for ref, value in pairs], end_ns)


class JsonLines:
    """OTLP JSON, one request a line without its end: what a collector's `file` exporter writes."""

    content_type = "application/json"

    def __init__(self, cluster: str = "") -> None:
        resource = [{"key": "k8s.cluster.name", "value": {"stringValue": cluster}}] if cluster else []
        text = json.dumps({"attributes": resource} if resource else {}, separators=(",", ":"))
        self._before = '{"resourceMetrics":[{"resource":' + text + ',"scopeMetrics":[{"scope":{},"metrics":['
        self._parts: dict[Label, tuple[str, str]] = {}
        self._is_gateway = bool(cluster)

    def body(self, points: list[tuple[Label, int]], end_ns: int) -> bytes:
        """One line."""
        times = f'"startTimeUnixNano":"{end_ns - INTERVAL_S * SECOND_NS}","timeUnixNano":"{end_ns}","asInt":"'
        metrics = []
        for label, value in points:
            before, after = self._parts.get(label) or self._remember(label)
            metrics.append(f"{before}{times}{value}{after}")
        if self._is_gateway:
            beat = f'{{"timeUnixNano":"{end_ns}","asInt":"1"}}'
            metrics.append(f'{{"name":"{_HEARTBEAT}","unit":"1","gauge":{{"dataPoints":[{beat}]}}}}')
        return (self._before + ",".join(metrics) + "]}]}]}").encode()

    def _remember(self, label: Label) -> tuple[str, str]:
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in label.attributes]
        before = f'{{"name":"{label.metric}","unit":"{UNITS[label.metric]}","sum":{{"dataPoints":[{{'
        after = '","attributes":' + json.dumps(attributes, separators=(",", ":"))
        after += '}],"aggregationTemporality":1,"isMonotonic":true}}'
        self._parts[label] = before, after
        return before, after


class Protobuf:
    """OTLP protobuf: the body of a POST to /v1/metrics."""

    content_type = "application/x-protobuf"

    def __init__(self, cluster: str = "") -> None:
        self._resource = _field(1, _attributes((("k8s.cluster.name", cluster),), 1) if cluster else b"")
        self._parts: dict[Label, tuple[bytes, bytes]] = {}
        self._is_gateway = bool(cluster)

    def body(self, points: list[tuple[Label, int]], end_ns: int) -> bytes:
        """One request."""
        times = struct.pack("<BqBq", 0x11, end_ns - INTERVAL_S * SECOND_NS, 0x19, end_ns) + b"\x31"
        metrics: list[bytes] = []
        for label, value in points:
            before, after = self._parts.get(label) or self._remember(label)
            metrics += (before, times, value.to_bytes(8, "little", signed=True), after)
        if self._is_gateway:
            point = struct.pack("<BqBq", 0x19, end_ns, 0x31, 1)
            beat = _field(1, _HEARTBEAT.encode()) + _field(3, b"1") + _field(5, _field(1, point))
            metrics.append(_field(2, beat))
        scope = _field(2, _field(1, b"") + b"".join(metrics))
        return _field(1, self._resource + scope)

    def _remember(self, label: Label) -> tuple[bytes, bytes]:
        """What stands before and after the times and the value: all lengths are known, for those have one size."""
        attributes, holes = _attributes(label.attributes, 7), 27
        point = _length(1, holes + len(attributes))
        tail = attributes + b"\x10\x01\x18\x01"  # delta, monotonic
        total = _length(7, len(point) + holes + len(tail))
        head = _field(1, label.metric.encode()) + _field(3, UNITS[label.metric].encode())
        metric = _length(2, len(head) + len(total) + len(point) + holes + len(tail))
        self._parts[label] = metric + head + total + point, tail
        return self._parts[label]


def _attributes(attributes: Attributes, number: int) -> bytes:
    """Repeated KeyValue fields with text values."""
    return b"".join(
        _field(number, _field(1, key.encode()) + _field(2, _field(1, value.encode()))) for key, value in attributes
    )


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return _length(number, len(content)) + content


def _length(number: int, size: int) -> bytes:
    out = bytearray([number << 3 | 2])
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    out.append(size)
    return bytes(out)
