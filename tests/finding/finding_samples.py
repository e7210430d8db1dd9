"""Small windows, baselines and findings for the tests of this room."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from ebbtide.baseline.moments import Moments
from ebbtide.detect.catalogue import load
from ebbtide.detect.detection import Detection
from ebbtide.detect.detector import Baseline
from ebbtide.detect.sigma import Sigma
from ebbtide.finding.assemble import Context, findings
from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.finding import Finding
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Endpoint, EndpointClass, Entity, Window

CATALOGUE = load(DETECTORS)
UPSTREAM = CATALOGUE.get("kubernetes_anomalous_outbound_network_activity_from_process")
CORRECTED = CATALOGUE.get("outbound_network_activity_from_process_corrected")
NOON_NS = 1704888000 * SECOND_NS  # 2024-01-10T12:00:00Z
NGINX = Entity("prod", "shop", "checkout", "nginx")
STRANGER = Endpoint(workload="203.0.113.9", kind=EndpointClass.EXTERNAL)
NEIGHBOUR = Endpoint("prod", "shop", "cart", "redis", EndpointClass.INTERNAL)
PLACES = (
    DestinationShare(STRANGER, 4.074e9, 0.97, None),
    DestinationShare(NEIGHBOUR, 0.126e9, 0.03, NOON_NS - 20 * DAY_NS),
)


def window_of(
    values: Mapping[str, Sequence[float]],
    entities: Sequence[Entity] = (NGINX,),
    start_ns: int = NOON_NS - HOUR_NS,
    bucket_ns: int = 30 * SECOND_NS,
) -> Window:
    """The same values for each entity, one point per bucket; 0 is a bucket without a point."""
    width = max((len(row) for row in values.values()), default=0)
    total = np.zeros((len(entities), len(values), width))
    for position, row in enumerate(values.values()):
        total[:, position, : len(row)] = row
    return Window(tuple(entities), tuple(values), start_ns, bucket_ns, total, (total > 0).astype(np.int32))


def baseline_of(values: Sequence[Sequence[float]], entities: int = 1, now_ns: int = NOON_NS) -> Baseline:
    """The same sets of samples, one per metric, for each entity."""
    sets = [Moments.of(one) for one in values]
    stack = [
        np.array([[getattr(one, name)[0] for one in sets]] * entities)
        for name in ("count", "mean", "m2", "minimum", "maximum")
    ]
    return Baseline(Moments(*stack), now_ns - 30 * DAY_NS, now_ns - HOUR_NS)


def find(
    values: Mapping[str, Sequence[float]],
    baseline: Sequence[Sequence[float]],
    detection: Detection = CORRECTED,
    entity: Entity = NGINX,
    start_ns: int = NOON_NS - HOUR_NS,
    context: Context | None = None,
) -> list[Finding]:
    """What the detection finds for one entity."""
    window, known = window_of(values, (entity,), start_ns), baseline_of(baseline)
    anomalies = Sigma().score(window, known, detection.options_for(Sigma()))
    return findings(detection, window, known, anomalies, start_ns + HOUR_NS, context)


def sample(**changes: object) -> Finding:
    """nginx sends 4.2 GB in 7 min, usually 110 MB an hour; fields may be changed."""
    [finding] = find(
        {"tcp.bytes": [0, 0, *[300e6] * 14], "tcp.new_sockets": [0, 0, *[40] * 14]},
        [[0.8e6, 1.0e6] * 200, [1, 3] * 200],
        context=Context({NGINX: PLACES}, {NGINX: {"tcp.bytes": 110e6, "tcp.new_sockets": 240}}),
    )
    return dataclasses.replace(finding, **changes)  # type: ignore[arg-type]
