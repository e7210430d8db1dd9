"""Heads of data points: what fits is read right, what does not is said not to fit."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, NumberDataPoint
from requests_of_decode import STEADY

from ebbtide.decode import heads

times = st.integers(1, 2**64 - 1)
values = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))


@st.composite
def data_points(draw: st.DrawFn) -> NumberDataPoint:
    point = NumberDataPoint(start_time_unix_nano=draw(st.one_of(st.just(0), times)), time_unix_nano=draw(times))
    value = draw(values)
    if isinstance(value, int):
        point.as_int = value
    else:
        point.as_double = value
    for key in draw(st.lists(st.text(max_size=5), max_size=3)):
        point.attributes.add(key=key).value.string_value = draw(st.text(max_size=200))
    return point


def number(point: NumberDataPoint) -> float:
    return float(getattr(point, point.WhichOneof("value") or "as_int"))


@STEADY
@given(st.lists(data_points(), min_size=1, max_size=8))
def test_heads_of_points_are_what_the_parser_reads(points: list[NumberDataPoint]) -> None:
    encoded = [point.SerializeToString() for point in points]
    found = heads.of_points(encoded)
    assert found.fits.all()
    assert found.start_ns.tolist() == [point.start_time_unix_nano for point in points]
    assert found.time_ns.tolist() == [point.time_unix_nano for point in points]
    assert found.value.tolist() == [number(point) for point in points]
    for one, point, rest in zip(encoded, points, found.rest.tolist(), strict=True):
        assert NumberDataPoint.FromString(one[rest:]).attributes == point.attributes


@STEADY
@given(st.lists(st.tuples(data_points(), st.text(max_size=150), st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_heads_of_single_point_metrics(raw: list[tuple[NumberDataPoint, str, bool, bool]]) -> None:
    metrics = []
    for point, name, is_sum, has_unit in raw:
        metric = Metric(name=name, unit="By" if has_unit else "")
        if is_sum:
            metric.sum.aggregation_temporality = 2
            metric.sum.is_monotonic = True
        (metric.sum if is_sum else metric.gauge).data_points.append(point)
        metrics.append(metric)
    encoded = [metric.SerializeToString() for metric in metrics]
    found = heads.of_metrics(encoded)
    for at, (point, name, _, _) in enumerate(raw):
        small = len(encoded[at]) < 2000 and 0 < len(name.encode()) < 128
        assert found.fits[at] or not small
        if found.fits[at]:
            assert int(found.time_ns[at]) == point.time_unix_nano
            assert float(found.value[at]) == number(point)
            rest = encoded[at][int(found.rest[at]) : int(found.end[at])]
            assert NumberDataPoint.FromString(rest).attributes == point.attributes


@settings(STEADY, max_examples=300)
@given(st.lists(st.binary(max_size=60), min_size=1, max_size=6))
def test_any_bytes_are_looked_at_without_harm(items: list[bytes]) -> None:
    for found in (heads.of_points(items), heads.of_metrics(items)):
        assert len(found.fits) == len(items)
        for one, fits, rest in zip(items, found.fits.tolist(), found.rest.tolist(), strict=True):
            assert not fits or rest <= len(one)


def test_metrics_with_two_points_do_not_fit() -> None:
    metric = Metric(name="tcp.bytes")
    for _ in range(2):
        metric.sum.data_points.add(time_unix_nano=1, as_int=1)
    assert not heads.of_metrics([metric.SerializeToString()]).fits.any()


def test_points_without_value_or_with_exemplars_do_not_fit() -> None:
    marker = NumberDataPoint(time_unix_nano=5, flags=1)
    marker.attributes.add(key="a")
    with_exemplar = NumberDataPoint(time_unix_nano=5, as_double=1.5)
    with_exemplar.exemplars.add(time_unix_nano=3, as_int=1)
    found = heads.of_points([marker.SerializeToString(), with_exemplar.SerializeToString()])
    assert not found.fits.any()


def test_a_point_cut_within_its_head_does_not_fit() -> None:
    whole = b"\x19" + struct.pack("<Q", 5) + b"\x31" + struct.pack("<q", 7)
    found = heads.of_points([whole, whole[:-1]])
    assert found.fits.tolist() == [True, False]
    assert np.array_equal(found.value[:1], [7.0])
