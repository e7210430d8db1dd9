"""OTLP JSON: lenient where senders differ, exact where it counts, and the same as protobuf."""

from __future__ import annotations

import json

import pytest
from google.protobuf import json_format
from requests_of_decode import EDGE, END_NS, START_NS, Point, otlp_json, proto, request, session

from ebbtide.errors import DecodeError
from ebbtide.series import Batch


def decode(body: object) -> Batch:
    return session().decode("otlp_json", body if isinstance(body, bytes) else json.dumps(body).encode())


def body_of(point: dict[str, object], **numbers: object) -> dict[str, object]:
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in EDGE.items()]
    sum_ = {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [{"attributes": attributes, **point}]}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "tcp.bytes", "sum": {**sum_, **numbers}}]}]}]}


TIMES: dict[str, object] = {"startTimeUnixNano": str(START_NS), "timeUnixNano": str(END_NS)}


@pytest.mark.parametrize(
    "point",
    [
        {**TIMES, "asInt": "48211"},
        {**TIMES, "asInt": 48211},
        {**TIMES, "asDouble": 48211.0},
        {**TIMES, "asDouble": "48211"},
        {"startTimeUnixNano": START_NS, "timeUnixNano": END_NS, "asInt": "48211", "flags": 0},
        {**TIMES, "asInt": "48211", "flags": None, "exemplars": [], "unknownField": {"x": [1]}},
    ],
)
def test_numbers_come_as_text_or_number(point: dict[str, object]) -> None:
    batch = decode(body_of(point))
    assert batch.value.tolist() == [48211.0]
    assert batch.start_ns.tolist() == [START_NS] and batch.end_ns.tolist() == [END_NS]


@pytest.mark.parametrize("temporality", [1, "AGGREGATION_TEMPORALITY_DELTA"])
def test_enums_come_as_number_or_name(temporality: object) -> None:
    assert len(decode(body_of({**TIMES, "asInt": 1}, aggregationTemporality=temporality))) == 1


@pytest.mark.parametrize("temporality", [0, "AGGREGATION_TEMPORALITY_UNSPECIFIED", "?", None])
def test_no_temporality_is_rejected(temporality: object) -> None:
    batch = decode(body_of({**TIMES, "asInt": 1}, aggregationTemporality=temporality))
    assert batch.counts.rejected == {"no_temporality": 1}


@pytest.mark.parametrize(
    ("point", "reason"),
    [
        ({**TIMES, "asInt": "many"}, "malformed"),
        ({**TIMES, "asInt": {}}, "malformed"),
        ({**TIMES, "asInt": True}, "malformed"),
        ({"timeUnixNano": "soon", "asInt": 1}, "malformed"),
        ({"timeUnixNano": -5, "asInt": 1}, "malformed"),
        ({"timeUnixNano": 2**70, "asInt": 1}, "malformed"),
        ({**TIMES, "asInt": 1, "attributes": "none"}, "malformed"),
        ({**TIMES, "asInt": 1, "attributes": [{"key": 5}]}, "malformed"),
        ({**TIMES, "asDouble": "NaN"}, "not_finite"),
        ({**TIMES, "asDouble": "Infinity"}, "not_finite"),
        ({**TIMES}, "no_value"),
        ({"asInt": 1}, "no_time"),
    ],
)
def test_a_bad_point_costs_no_other(point: dict[str, object], reason: str) -> None:
    body = body_of(point)
    good = body_of({**TIMES, "asInt": 7})
    body["resourceMetrics"] += good["resourceMetrics"]  # type: ignore[operator]
    batch = decode(body)
    assert batch.counts.rejected == {reason: 1} and batch.value.tolist() == [7.0]


@pytest.mark.parametrize("part", ["nonsense", 7, None, {"scopeMetrics": 5}, {"scopeMetrics": [5, {"metrics": [[]]}]}])
def test_a_part_of_a_wrong_type_costs_no_other(part: object) -> None:
    body = body_of({**TIMES, "asInt": 7})
    body["resourceMetrics"].insert(0, part)  # type: ignore[attr-defined]
    batch = decode(body)
    assert batch.value.tolist() == [7.0] and sum(batch.counts.rejected.values()) >= 1


@pytest.mark.parametrize("body", [b"", b"[]", b"7", b"{", b'{"resourceMetrics": 5}', b"\x0a\x01", b"\xff" * 9])
def test_what_is_no_request_raises_with_a_hint(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        decode(body)
    assert caught.value.hint


def test_deep_nesting_is_refused_not_followed() -> None:
    with pytest.raises(DecodeError):
        decode(b'{"resourceMetrics":' + b"[" * 100_000)


def test_every_kind_of_label_gives_the_same_series_as_protobuf() -> None:
    made = request([Point()], resource={"k8s.cluster.name": "eu"})
    scope = made.resource_metrics[0].scope_metrics[0].scope
    scope.name, scope.version = "reducer", "1"
    scope.attributes.add(key="s").value.int_value = 3
    attributes = made.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].attributes
    attributes.add(key="b").value.bool_value = False
    attributes.add(key="i").value.int_value = -(2**60)
    attributes.add(key="d").value.double_value = 3.0
    attributes.add(key="e").value.double_value = 1e-7
    attributes.add(key="y").value.bytes_value = b"\x00\xff"
    attributes.add(key="n")
    nested = attributes.add(key="l").value.array_value
    nested.values.add().int_value = 5
    nested.values.add()
    pair = nested.values.add().kvlist_value.values.add(key="k")
    pair.value.bool_value = True
    from_json = decode(json.dumps(json_format.MessageToDict(made)).encode())
    from_proto = session().decode("otlp_proto", made.SerializeToString())
    assert from_json.series == from_proto.series


def test_labels_that_are_not_utf8_are_mended_as_in_protobuf() -> None:
    points = [Point()]
    from_json = decode(otlp_json(points).replace(b"shop", b"sh\xffp"))
    from_proto = session().decode("otlp_proto", proto(points).replace(b"shop", b"sh\xffp"))
    assert from_json.series == from_proto.series
    assert from_json.counts == from_proto.counts


def test_histograms_are_counted_by_point() -> None:
    metric = {"name": "tcp.bytes", "histogram": {"dataPoints": [{}, {}]}, "summary": {"dataPoints": [{}]}}
    batch = decode({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]})
    assert batch.counts.ignored == {"histogram": 2, "summary": 1}


def test_nulls_are_absent() -> None:
    body = {"resourceMetrics": [{"resource": None, "scopeMetrics": [{"scope": None, "metrics": None}]}]}
    assert decode(body).counts.received == 0
    assert decode(b'{"resourceMetrics": null}').counts.received == 0
