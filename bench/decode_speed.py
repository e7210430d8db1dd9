"""How fast OTLP is decoded, beside walking the published messages: one run, one process, one core.

    python bench/decode_speed.py [--json FILE] [--repeat 5]

Two shapes (one data point per metric, as opentelemetry-network's reducer sends; many points per metric), requests of
1,000 and 10,000 points, warm (all series known) and cold (all new). `walk` reads every field of every point into
Python tuples, with labels as a dict: what a receiver without caches does before it maps anything. Every decode figure
is the whole way to a `Batch`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session

SECOND_NS = 1_000_000_000
START_NS = 1_764_000_000 * SECOND_NS
METRICS = ("tcp.bytes", "tcp.packets", "tcp.new_sockets", "udp.bytes", "udp.packets")


def labels(at: int) -> dict[str, str]:
    """The attributes of opentelemetry-network's az_az level for edge number `at`."""
    return {
        "aggregation": "az_az",
        "az_equal": "true",
        "dest.availability_zone": "us-east-1a",
        "dest.environment": "(no agent)",
        "dest.resolution_type": "DNS",
        "dest.workload.name": f"api{at % 97}.example.com",
        "sf_product": "network-explorer",
        "source.availability_zone": "us-east-1d",
        "source.container.name": "server",
        "source.environment": "prod-eu",
        "source.image_version": "'checkout:v1.4.2'",
        "source.namespace.name": f"team-{at % 31}",
        "source.process.name": "checkoutservice",
        "source.resolution_type": "K8S_CONTAINER",
        "source.workload.name": f"checkout-api{at}x",
        "source.workload.uid": f"0485c36b-283e-496e-af47-{at:012d}",
    }


def request(points: int, *, single: bool, cumulative: bool = False, tick: int = 0) -> ExportMetricsServiceRequest:
    made = ExportMetricsServiceRequest()
    scope = made.resource_metrics.add().scope_metrics.add()
    metrics: dict[str, object] = {}
    for at in range(points):
        name = METRICS[at % len(METRICS)]
        metric = None if single else metrics.get(name)
        if metric is None:
            metric = metrics[name] = scope.metrics.add(name=name, unit="By")
            metric.sum.aggregation_temporality = 2 if cumulative else 1
            metric.sum.is_monotonic = True
        point = metric.sum.data_points.add(
            start_time_unix_nano=START_NS if cumulative else START_NS + 30 * tick * SECOND_NS,
            time_unix_nano=START_NS + 30 * (tick + 1) * SECOND_NS,
            as_int=1000 * (tick + 1) + at,
        )
        for key, value in labels(at // len(METRICS)).items():
            point.attributes.add(key=key).value.string_value = value
    return made


def walk(body: bytes) -> int:
    """Every field of every point, from the published messages."""
    parsed = ExportMetricsServiceRequest.FromString(body)
    rows = []
    for resource_metrics in parsed.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                name = metric.name
                for point in metric.sum.data_points:
                    attributes = {pair.key: pair.value.string_value for pair in point.attributes}
                    rows.append((name, point.start_time_unix_nano, point.time_unix_nano, point.as_int, attributes))
    return len(rows)


def best(run: Callable[[], object], repeat: int, prepare: Callable[[], object] | None = None) -> float:
    times = []
    for _ in range(repeat):
        if prepare is not None:
            prepare()
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return min(times)


def measure(points: int, *, single: bool, repeat: int) -> list[dict[str, object]]:
    delta = request(points, single=single)
    body = delta.SerializeToString()
    text = json.dumps(json_format.MessageToDict(delta)).encode()
    counters = [
        request(points, single=single, cumulative=True, tick=tick).SerializeToString() for tick in range(repeat)
    ]
    fresh: list[Session] = []

    def new_session() -> None:
        fresh[:] = [Session(load_preset("opentelemetry-network"))]

    warm, warm_json, warm_counters = (Session(load_preset("opentelemetry-network")) for _ in range(3))
    warm.decode("otlp_proto", body)
    warm_json.decode("otlp_json", text)
    warm_counters.decode("otlp_proto", request(points, single=single, cumulative=True, tick=-1).SerializeToString())
    later = iter(counters)
    seconds = {
        "walk": best(lambda: walk(body), repeat),
        "warm": best(lambda: warm.decode("otlp_proto", body), repeat),
        "warm counters": best(lambda: warm_counters.decode("otlp_proto", next(later)), repeat),
        "cold": best(lambda: fresh[0].decode("otlp_proto", body), repeat, new_session),
        "json parsed only": best(lambda: json.loads(text), repeat),
        "json warm": best(lambda: warm_json.decode("otlp_json", text), repeat),
        "json cold": best(lambda: fresh[0].decode("otlp_json", text), repeat, new_session),
    }
    shape = "1 point/metric" if single else "many points/metric"
    return [
        {
            "shape": shape,
            "points": points,
            "what": what,
            "points_per_s": round(points / took),
            "us_per_point": round(took / points * 1e6, 2),
            "ratio_to_walk": round(seconds["walk"] / took, 2),
        }
        for what, took in seconds.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeat", type=int, default=7)
    arguments = parser.parse_args()
    rows = [
        row
        for single in (True, False)
        for points in (1000, 10_000)
        for row in measure(points, single=single, repeat=arguments.repeat)
    ]
    for row in rows:
        print(
            "{shape:20}{points:>7}  {what:18}{points_per_s:>11,}/s{us_per_point:>8} us{ratio_to_walk:>8} x".format(
                **row
            )
        )
    if arguments.json:
        arguments.json.write_text(json.dumps({"python": sys.version, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
