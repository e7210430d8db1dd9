"""OTLP and remote write request bodies of a million series, encoded before anything is timed.

Every data point is encoded with the published messages and carries the attributes of opentelemetry-network's az_az
level; the messages around the points are framed here, so that one encoding serves every size of request. Later rounds
are the same bytes with other times.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from opentelemetry.proto.metrics.v1.metrics_pb2 import NumberDataPoint

from ebbtide.series import SECOND_NS
from history import METRICS

START_NS = 1_764_072_000 * SECOND_NS
STEP_NS = 30 * SECOND_NS
#: Every entity sends to this many destinations.
DESTINATIONS = 20


def labels(edge: int, entities: int) -> dict[str, str]:
    """The attributes of edge number `edge`, of which each entity has `DESTINATIONS`."""
    entity, destination = edge % entities, edge // entities
    return {
        "aggregation": "az_az",
        "az_equal": "true",
        "dest.availability_zone": "us-east-1a",
        "dest.environment": "(no agent)",
        "dest.resolution_type": "DNS",
        "dest.workload.name": f"api{(entity + destination) % 997}.example.com",
        "sf_product": "network-explorer",
        "source.availability_zone": "us-east-1d",
        "source.container.name": "server",
        "source.environment": "prod-eu",
        "source.image_version": f"'checkout:v1.4.{destination}'",
        "source.namespace.name": f"team-{entity % 31}",
        "source.process.name": "checkoutservice",
        "source.resolution_type": "K8S_CONTAINER",
        "source.workload.name": f"checkout-api{entity}x",
        "source.workload.uid": f"0485c36b-283e-496e-af47-{edge:012d}",
    }


def encode_points(series: int, factor: int = 1, of: int = 0) -> list[bytes]:
    """One data point for each series; series `s` is metric `s % 5` of edge `s // 5`.

    Values are `factor` times the usual; with `of` they are the first ones of so many series.
    """
    entities = max(1, (of or series) // len(METRICS) // DESTINATIONS)
    points = []
    for edge in range(series // len(METRICS)):
        point = NumberDataPoint(start_time_unix_nano=START_NS, time_unix_nano=START_NS + STEP_NS)
        for key, value in labels(edge, entities).items():
            point.attributes.add(key=key).value.string_value = value
        for at in range(len(METRICS)):
            point.as_int = factor * (1000 + at + edge % 1000)
            points.append(point.SerializeToString())
    return points


def bodies(points: list[bytes], size: int, *, is_single: bool) -> Iterator[bytes]:
    """Requests of `size` points each, one data point per metric (`is_single`) or as many per metric as there are."""
    for first in range(0, len(points), size):
        part = points[first : first + size]
        if is_single:
            metrics = [_metric(METRICS[at % len(METRICS)], [point]) for at, point in enumerate(part)]
        else:
            metrics = [_metric(name, part[at :: len(METRICS)]) for at, name in enumerate(METRICS)]
        scope = b"".join(_field(2, metric) for metric in metrics)
        yield _field(1, _field(2, scope))


def write_bodies(path: Path, made: Iterator[bytes]) -> None:
    """A file of bodies, each after its length (uint32)."""
    with path.open("wb") as file:
        for body in made:
            file.write(struct.pack("<I", len(body)) + body)


def read_bodies(path: Path, tick: int) -> Iterator[bytes]:
    """The bodies of a file, `tick` intervals later than they were written."""
    times = [struct.pack("<Q", START_NS + at * STEP_NS) for at in (0, 1, tick, tick + 1)]
    with path.open("rb") as file:
        while head := file.read(4):
            body = file.read(struct.unpack("<I", head)[0])
            # Fields 2 and 3 of a data point, both of type fixed64.
            yield body.replace(b"\x11" + times[0] + b"\x19" + times[1], b"\x11" + times[2] + b"\x19" + times[3])


def encode_series(series: int) -> list[bytes]:
    """One remote write series for each, labelled as Coroot's node agent does, with one sample at `START_NS`."""
    made = []
    for at in range(series):
        named = {
            "__name__": "container_net_tcp_bytes_sent_total",
            "actual_destination": f"10.{at // DESTINATIONS % 200}.{at % DESTINATIONS}.7:443",
            "container_id": f"/k8s/team-{at % 31}/checkout-api{at // DESTINATIONS}-7d9c5b6f4-x2x9q/server",
            "destination": f"10.96.{at % DESTINATIONS}.1:443",
            "instance": "10.0.3.7:80",
            "job": "coroot-node-agent",
        }
        pairs = (_field(1, _field(1, key.encode()) + _field(2, text.encode())) for key, text in named.items())
        made.append(_field(1, b"".join(pairs) + sample(0.0, START_NS)))
    return made


def sample(value: float, at_ns: int) -> bytes:
    """One remote write sample, as a field of its series; as long for every time until 2109."""
    milliseconds, stamp = at_ns // 1_000_000, bytearray()
    while milliseconds > 127:
        stamp.append(milliseconds & 127 | 128)
        milliseconds >>= 7
    stamp.append(milliseconds)
    return _field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + bytes(stamp))


def writes(series: list[bytes], size: int) -> Iterator[bytes]:
    """Remote write requests of `size` series each, before compression."""
    for first in range(0, len(series), size):
        yield b"".join(series[first : first + size])


def _metric(name: str, points: list[bytes]) -> bytes:
    delta = b"\x10\x01\x18\x01"  # aggregation_temporality DELTA, is_monotonic
    return _field(1, name.encode()) + _field(3, b"By") + _field(7, b"".join(_field(1, one) for one in points) + delta)


def _field(number: int, content: bytes) -> bytes:
    size, length = bytearray(), len(content)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    size.append(length)
    return bytes([number << 3 | 2]) + bytes(size) + content
