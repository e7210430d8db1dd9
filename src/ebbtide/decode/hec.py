"""Splunk HEC metrics: JSON objects one after another, each with one metric or several.

`{"time": 1764000030.0, "event": "metric", "fields": {"metric_name:tcp.bytes": 48211, "source.workload.name": ...}}`,
or `"metric_name": "tcp.bytes", "_value": 48211`. There is no type and no start time: the preset says what a metric's
numbers mean and how long its interval is. `host`, `source`, `sourcetype` and `index` say which way an event came, not
whose traffic it is: they are no attributes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from ebbtide.decode.catalog import Catalog, Context, Scope
from ebbtide.decode.label import nested_text, number_text
from ebbtide.decode.points import Points
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import DecodeError
from ebbtide.series import SECOND_NS, Batch

_MULTI: Final = "metric_name:"
_SINGLE: Final = "metric_name"
_VALUE: Final = "_value"


class Hec:
    """Decodes bodies of `POST /services/collector`; keeps what it learnt in `catalog`."""

    name = "hec"

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def decode(self, body: bytes, state: CounterState) -> Batch:
        """The samples of one body. Raises DecodeError if it is not a sequence of JSON objects."""
        self.catalog.begin()
        points = Points(self.catalog)
        for event in _events(body):
            if isinstance(event, dict):
                self._event(event, points)
            else:
                points.reject("malformed")
        return points.batch(state)

    def _event(self, event: Mapping[str, Any], points: Points) -> None:
        if event.get("event", "metric") != "metric":
            points.ignore("not_a_metric")
            return
        fields = event.get("fields")
        if not isinstance(fields, dict):
            points.reject("malformed")
            return
        labels: dict[str, str] = {}
        values: dict[str, object] = {}
        for key, value in fields.items():
            if key.startswith(_MULTI):
                values[key[len(_MULTI) :]] = value
            elif key not in (_SINGLE, _VALUE):
                labels[key] = value if isinstance(value, str) else _text(value)
        if _SINGLE in fields:
            values[_text(fields[_SINGLE])] = fields.get(_VALUE)
        if not values:
            points.reject("no_value")
        end_ns = _time_ns(event.get("time"))
        key = tuple(labels.items())
        for metric, value in values.items():
            self._point(metric, value, end_ns, labels, key, points)

    def _point(
        self,
        metric: str,
        value: object,
        end_ns: int | None,
        labels: dict[str, str],
        key: tuple[tuple[str, str], ...],
        points: Points,
    ) -> None:
        if not self.catalog.mapper.wants(metric):
            points.ignore("other_metric")
            return
        number = _number(value)
        if number is None or end_ns is None:
            points.reject("malformed")
            return
        context = self._context(metric)
        at = context.found.get(key)
        if at is None:
            size = sum(len(name) + len(text) for name, text in key)
            at = self.catalog.learn(context.found, key, size, context, labels)
        points.add(at, 0, end_ns, number)

    def _context(self, metric: str) -> Context:
        return self.catalog.surroundings("hec", 0, lambda: ({}, Scope())).context(metric, None)


def _events(body: bytes) -> Iterator[object]:
    """The JSON values of a body, whether or not something stands between them."""
    try:
        # Objects end in }} and begin with {: on lines of their own they are parsed at full speed.
        yield from msgspec.json.decode(b"[" + body.strip().replace(b"}}{", b"}},{").replace(b"}}\n{", b"}},{") + b"]")
        return
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass  # text with such braces in it, other blanks, or a broken body: look closely
    yield from _events_one_by_one(body)


def _events_one_by_one(body: bytes) -> Iterator[object]:
    text = body.decode("utf-8", "surrogateescape")
    decoder = json.JSONDecoder()
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            return
        try:
            event, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise DecodeError(
                f"byte {at} of {len(body)} does not begin a JSON object: {error}",
                hint="HEC wants JSON objects one after another, not an array; is the body cut short or compressed?",
            ) from error
        yield event


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return number_text(value)
    return "" if value is None else nested_text(value)


def _number(value: object) -> float | None:
    """A value as a number; text that is one counts, truth values do not."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _time_ns(value: object) -> int | None:
    """Epoch seconds, number or text, as nanoseconds; 0 where absent, None where it is no time at all."""
    if value is None:
        return 0
    seconds = _number(value)
    if seconds is None or not math.isfinite(seconds) or not 0 <= seconds < 2**64 / SECOND_NS:
        return None
    # Milliseconds are what senders give; whole microseconds hide the double's rounding.
    return round(seconds * 1e6) * 1000
