"""Short ways to make series and batches in tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ebbtide.series import SECOND_NS, Batch, Endpoint, EndpointClass, Entity, Series

NAN = float("nan")
#: `Store.set_floors` with it makes a store learn nothing for the outbound detector, which costs more than all else.
NOTHING_LEARNED = {"none": 1.0}


NGINX = Entity("prod", "shop", "checkout", "nginx")


@dataclass(frozen=True)
class Point:
    """One sample in words: who sent what to whom, when it ended (seconds), and what tells its series apart."""

    end_s: float
    value: float
    metric: str = "tcp.bytes"
    sender: Entity | None = NGINX
    to: str = "api.example.com"
    receiver: Entity | None = None
    span_s: float = 10
    label: str = ""
    reading: float = NAN
    image: str = ""


def series_of(point: Point) -> Series:
    text = repr(
        (point.metric, point.sender, point.to, point.receiver, point.label, *([point.image] if point.image else []))
    )
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)
    return Series(
        key,
        point.metric,
        point.sender,
        point.receiver,
        _place(point.sender, "client"),
        _place(point.receiver, point.to),
        point.image,
    )


def batch_of(points: Iterable[Point]) -> Batch:
    points = list(points)
    series: dict[int, Series] = {}
    for point in points:
        one = series_of(point)
        series.setdefault(one.key, one)
    at = {key: index for index, key in enumerate(series)}
    end = np.array([round(point.end_s * SECOND_NS) for point in points], np.int64)
    span = np.array([round(point.span_s * SECOND_NS) for point in points], np.int64)
    return Batch(
        tuple(series.values()),
        np.array([at[series_of(point).key] for point in points], np.int32),
        end - span,
        end,
        np.array([point.value for point in points], np.float64),
        np.array([point.reading for point in points], np.float64),
    )


def _place(entity: Entity | None, name: str) -> Endpoint:
    if entity is None:
        return Endpoint("", "", name, "", EndpointClass.EXTERNAL)
    return Endpoint(entity.cluster, entity.namespace, entity.workload, entity.process, EndpointClass.INTERNAL)
