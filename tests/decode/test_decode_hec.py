"""HEC: both metric forms, objects put together any way, and nothing lost to one bad event."""

from __future__ import annotations

import json

import pytest
from requests_of_decode import EDGE, END_NS, session

from ebbtide.errors import DecodeError
from ebbtide.series import SECOND_NS, Batch

TIME = END_NS // SECOND_NS


def decode(*events: object, between: str = "", name: str = "") -> Batch:
    return session(name).decode("hec", between.join(json.dumps(event) for event in events).encode())


def event(time: object = TIME, **fields: object) -> dict[str, object]:
    return {"time": time, "event": "metric", "fields": {**EDGE, **fields}}


SINGLE = {"metric_name": "tcp.bytes", "_value": 48211}
MULTI = {"metric_name:tcp.bytes": 48211, "metric_name:tcp.packets": 40}


def test_both_forms_are_one_series() -> None:
    batch = decode(event(**SINGLE), event(**MULTI))
    assert batch.value.tolist() == [48211.0, 48211.0, 40.0]
    assert batch.ref.tolist()[0] == batch.ref.tolist()[1]
    assert batch.start_ns.tolist() == [END_NS - 30 * SECOND_NS] * 3


@pytest.mark.parametrize("between", ["", "\n", "\r\n", " ", "\n\n\t"])
def test_objects_follow_one_another(between: str) -> None:
    assert len(decode(*[event(**MULTI)] * 5, between=between)) == 10


def test_braces_within_text_separate_nothing() -> None:
    batch = decode(event(**SINGLE, note="}}{ }}\n{ }}"), event(**SINGLE))
    assert len(batch) == 2 and len(batch.series) == 2
    assert "}}{ }}\\n{ }}" in batch.series[0].attributes or "\ufffd" in batch.series[0].attributes


@pytest.mark.parametrize("time", [TIME, float(TIME), str(TIME), f"{TIME}.000"])
def test_time_is_number_or_text(time: object) -> None:
    assert decode(event(time, **SINGLE)).end_ns.tolist() == [END_NS]


def test_milliseconds_are_exact() -> None:
    assert decode(event(TIME + 0.123, **SINGLE)).end_ns.tolist() == [END_NS + 123_000_000]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (event(None, **SINGLE), "no_time"),
        (event("soon", **SINGLE), "malformed"),
        (event(-1, **SINGLE), "malformed"),
        (event(1e30, **SINGLE), "malformed"),
        (event([], **SINGLE), "malformed"),
        (event(metric_name="tcp.bytes", _value=None), "malformed"),
        (event(metric_name="tcp.bytes", _value=True), "malformed"),
        (event(metric_name="tcp.bytes", _value="many"), "malformed"),
        (event(metric_name="tcp.bytes", _value="NaN"), "not_finite"),
        (event(metric_name="tcp.bytes", _value=-1), "negative"),
        (event(), "no_value"),
        ({"time": TIME, "event": "metric"}, "malformed"),
        ({"time": TIME, "event": "metric", "fields": 5}, "malformed"),
        (7, "malformed"),
    ],
)
def test_a_bad_event_costs_no_other(bad: object, reason: str) -> None:
    batch = decode(event(**SINGLE), bad, event(**SINGLE))
    assert batch.counts.rejected == {reason: 1} and len(batch) == 2


def test_events_that_are_no_metrics_are_ignored() -> None:
    batch = decode({"time": TIME, "event": "a log line", "fields": {"a": "b"}}, event(**SINGLE))
    assert batch.counts.ignored == {"not_a_metric": 1} and len(batch) == 1


def test_labels_may_be_numbers() -> None:
    shown = decode(event(**SINGLE, port=443, up=True, none=None)).series[0].attributes
    assert '"port":"443"' in shown and '"up":"true"' in shown and '"none":""' in shown


def test_where_an_event_came_from_is_no_attribute() -> None:
    one, other = event(**SINGLE), {**event(**SINGLE), "host": "h", "source": "s", "index": "i"}
    assert len(decode(one, other).series) == 1


def test_gauges_are_levels_for_upstream_and_nothing_to_us() -> None:
    labels = {"k8s.cluster.name": "c", "metric_name:tcp.rtt.average": 0.25, "metric_name:tcp.active": 3}
    assert decode(event(**labels), name="splunk").value.tolist() == [0.25, 3.0]
    assert decode(event(**labels)).counts.ignored == {"other_metric": 2}


@pytest.mark.parametrize("body", [b"nonsense", b'{"time":', b'{"a":1}}', b"[" * 100_000, b"\xff\xfe"])
def test_what_is_no_event_raises_with_a_hint(body: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        session().decode("hec", body)
    assert caught.value.hint


def test_labels_that_are_not_utf8_are_mended() -> None:
    body = json.dumps(event(**SINGLE)).encode().replace(b"shop", b"sh\xffp")
    batch = session().decode("hec", body)
    assert batch.series[0].sender is not None and batch.series[0].sender.namespace == "sh\\xffp"
    assert batch.counts.clipped == {"invalid_utf8": 1}
