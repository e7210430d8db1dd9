"""The catalog: bounded, and emptying it changes nothing but speed."""

from __future__ import annotations

import pytest
from requests_of_decode import EDGE, END_NS, Point, preset, proto

from ebbtide.decode.catalog import Catalog
from ebbtide.decode.mapping import Mapper
from ebbtide.decode.otlp import OtlpProto
from ebbtide.decode.preset import load_preset
from ebbtide.decode.temporality import CounterState
from ebbtide.series import SECOND_NS


def series(begin: int, end: int) -> list[Point]:
    return [
        Point(value=at, labels={**EDGE, "source.workload.name": f"w{at}x"}, kind="cumulative")
        for at in range(begin, end)
    ]


def test_a_full_catalog_is_emptied_and_nothing_changes() -> None:
    catalog = Catalog(Mapper(preset()), series_max=100)
    decoder, state = OtlpProto(catalog), CounterState()
    first = decoder.decode(proto(series(0, 150)), state)
    assert len(catalog) == 150
    decoder.decode(proto(series(150, 160)), state)
    assert len(catalog) == 10
    later = [Point(p.metric, int(p.value) + 5, p.labels, END_NS + 30 * SECOND_NS, kind=p.kind) for p in series(0, 150)]
    again = decoder.decode(proto(later), state)
    assert [one.key for one in again.series] == [one.key for one in first.series]
    assert again.value.tolist() == [5.0] * 150


@pytest.mark.parametrize("single", [True, False])
def test_without_room_for_keys_their_digests_are_remembered(single: bool) -> None:
    points = [Point(value=at, labels={**EDGE, "source.workload.name": f"w{at}x"}) for at in range(200)]
    small, large = (Catalog(Mapper(preset()), key_bytes_max=limit) for limit in (10_000, 10**9))
    for _ in range(3):
        one, other = (
            OtlpProto(catalog).decode(proto(points, single=single), CounterState()) for catalog in (small, large)
        )
        assert [series.key for series in one.series] == [series.key for series in other.series]
        assert one.value.tolist() == other.value.tolist()
    assert len(small) == len(large) == 200


def test_digests_are_bounded_like_series() -> None:
    catalog = Catalog(Mapper(preset()), key_bytes_max=1_000, series_max=100)
    decoder = OtlpProto(catalog)
    for begin in range(0, 900, 90):
        decoder.decode(proto(series(begin, begin + 90)), CounterState())
        assert len(catalog) <= 190


def test_views_that_are_not_ours_fill_the_catalog_too() -> None:
    catalog = Catalog(Mapper(preset()), key_bytes_max=1_000, series_max=100)
    decoder = OtlpProto(catalog)
    for begin in range(0, 900, 90):
        others = [Point(labels={**EDGE, "aggregation": "id_id", "pod": str(at)}) for at in range(begin, begin + 90)]
        decoder.decode(proto(others), CounterState())
        assert catalog.remembered <= 190


def test_too_long_keys_are_not_remembered() -> None:
    catalog = Catalog(Mapper(preset()))
    decoder = OtlpProto(catalog)
    long = [Point(labels={**EDGE, "note": "x" * 9000})]
    keys = {decoder.decode(proto(long), CounterState()).series[0].key for _ in range(3)}
    assert len(keys) == 1 and len(catalog) == 3


def test_made_up_metric_names_take_no_room() -> None:
    catalog = Catalog(Mapper(preset()))
    decoder = OtlpProto(catalog)
    batch = decoder.decode(proto([Point(metric=f"m{at}") for at in range(2000)], single=True), CounterState())
    assert batch.counts.ignored == {"other_metric": 2000}
    assert len(catalog) <= 1


def test_ids_of_ours_and_of_others_do_not_mix_when_columns_grow() -> None:
    catalog = Catalog(Mapper(preset()))
    decoder = OtlpProto(catalog)
    others = [Point(labels={**EDGE, "aggregation": "id_id", "pod": str(at)}) for at in range(900)]
    decoder.decode(proto(others), CounterState())
    batch = decoder.decode(proto(series(0, 3000) + others), CounterState())
    assert len(batch) == 3000 and batch.counts.ignored == {"other_aggregation_view": 900}


def test_made_up_metrics_of_ours_fill_the_catalog_too() -> None:
    catalog = Catalog(Mapper(load_preset("splunk")), key_bytes_max=1_000_000)
    decoder = OtlpProto(catalog)
    labels = {**EDGE, "k8s.cluster.name": "c"}
    for begin in range(0, 5000, 500):
        points = [Point(metric=f"tcp.m{at}", labels=labels) for at in range(begin, begin + 500)]
        assert len(decoder.decode(proto(points, single=True), CounterState())) == 500
    assert len(catalog) <= 1000
