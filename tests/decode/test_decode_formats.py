"""What every format must do: the same points give the same batch, and no bytes do harm."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_of_decode import BODIES, EDGE, END_NS, STEADY, Point, decode, session

from ebbtide.decode.formats import DECODERS
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import DecodeError
from ebbtide.series import SECOND_NS, Batch

FORMATS = sorted(DECODERS)

POINTS = [
    Point(value=at * 100, metric=metric, labels={**EDGE, "source.workload.name": f"checkout{at % 3}x"})
    for at in range(30)
    for metric in ("tcp.bytes", "udp.packets", "tcp.rtt.average")
] + [
    Point(labels={**EDGE, "aggregation": "id_id"}),
    Point(labels={"aggregation": "az_az"}),
    Point(value=-1),
    Point(value=float("nan")),
    Point(end_ns=0),
    Point(end_ns=1000),
    Point(labels={**EDGE, "source.process.name": "über\u202eprozess"}),
]


def facts(batch: Batch) -> list[tuple[object, ...]]:
    """The samples of a batch in no order."""
    return sorted(
        (batch.series[at].key, dataclasses.astuple(batch.series[at]).__repr__(), int(start), int(end), float(value))
        for at, start, end, value in zip(batch.ref, batch.start_ns, batch.end_ns, batch.value, strict=True)
    )


def test_every_format_has_a_body_here() -> None:
    assert set(BODIES) == set(DECODERS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_decoder_knows_its_name(name: str) -> None:
    assert DECODERS[name](session().catalog).name == name


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_points_give_the_same_batch(name: str) -> None:
    reference, found = decode(POINTS, "otlp_proto"), decode(POINTS, name)
    assert facts(found) == facts(reference)
    assert found.counts == reference.counts
    assert found.counts.received == len(POINTS)


@pytest.mark.parametrize("name", FORMATS)
def test_a_second_body_is_read_like_the_first(name: str) -> None:
    one = session()
    body = BODIES[name](POINTS)
    first, second = one.decode(name, body), one.decode(name, body)
    assert facts(first) == facts(second) and first.counts == second.counts


@pytest.mark.parametrize("name", FORMATS)
def test_columns_have_their_types(name: str) -> None:
    batch = decode(POINTS, name)
    assert [column.dtype for column in (batch.ref, batch.start_ns, batch.end_ns, batch.value, batch.reading)] == [
        np.int32,
        np.int64,
        np.int64,
        np.float64,
        np.float64,
    ]
    assert batch.ref.max() < len(batch.series) == len({series.key for series in batch.series})


@pytest.mark.parametrize("name", FORMATS)
def test_no_points_are_no_error(name: str) -> None:
    empty = {"otlp_proto": b"", "otlp_json": b"{}", "hec": b"", "remote_write": b"", "csv": b"time_ns,metric,value\n"}
    body = empty.get(name) if name in empty else BODIES[name]([])
    batch = session().decode(name, body or b"")
    assert len(batch) == 0 and batch.counts.received == 0


@pytest.mark.parametrize("name", FORMATS)
@settings(STEADY, max_examples=80)
@given(body=st.binary(max_size=300))
def test_any_bytes_end_in_a_batch_or_a_decode_error(name: str, body: bytes) -> None:
    try:
        batch = session().decode(name, body)
    except DecodeError as error:
        assert error.hint
    else:
        assert batch.counts.accepted == len(batch)


VALID = {name: make(POINTS[:12] + POINTS[-7:]) for name, make in BODIES.items()}


@pytest.mark.parametrize("name", FORMATS)
@settings(STEADY, max_examples=100)
@given(data=st.data())
def test_damaged_bodies_end_in_a_batch_or_a_decode_error(name: str, data: st.DataObject) -> None:
    body = bytearray(VALID[name])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 1))
        change = data.draw(st.sampled_from(["set", "cut", "double", "drop"]))
        if change == "set":
            body[at] = data.draw(st.integers(0, 255))
        elif change == "cut":
            body = body[: at + 1]
        elif change == "double":
            body[at:at] = body[at : at + 20]
        else:
            del body[at : at + data.draw(st.integers(0, 10))]
        if not body:
            return
    one = session()
    try:
        batch = one.decode(name, bytes(body))
    except DecodeError as error:
        assert error.hint
    else:
        assert batch.counts.accepted == len(batch)
        assert np.isfinite(batch.value).all()
        assert (batch.start_ns < batch.end_ns).all()
    # What it was fed does not change what it makes of good bodies.
    assert facts(one.decode(name, VALID[name])) == facts(decode(POINTS[:12] + POINTS[-7:], name))


@pytest.mark.parametrize("name", ["otlp_proto", "otlp_json"])
def test_counters_are_read_alike(name: str) -> None:
    one = session()
    first = one.decode(name, BODIES[name]([Point(value=100, kind="cumulative")]))
    second = one.decode(name, BODIES[name]([Point(value=130, kind="cumulative", end_ns=END_NS + 30 * SECOND_NS)]))
    assert np.isnan(first.value).all() and first.reading.tolist() == [100.0]
    assert second.value.tolist() == [30.0] and second.reading.tolist() == [130.0]
    assert second.start_ns.tolist() == [END_NS]


def test_decoders_share_a_sessions_state() -> None:
    one = session()
    one.decode("otlp_proto", BODIES["otlp_proto"]([Point(value=100, kind="cumulative")]))
    later = Point(value=130, kind="cumulative", end_ns=END_NS + 30 * SECOND_NS)
    assert one.decode("otlp_json", BODIES["otlp_json"]([later])).value.tolist() == [30.0]
    assert isinstance(one.state, CounterState) and len(one.export_readings()) == 1
