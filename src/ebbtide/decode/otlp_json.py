"""OTLP metrics in JSON: the same request in proto3's JSON mapping, over HTTP or as the file exporter writes it.

Lenient where senders differ: enums as numbers or names, 64-bit integers as text or numbers, null for absent. Attribute
lists stay raw bytes until they are new, as in protobuf, and give the same series keys as there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from ebbtide.decode.catalog import Catalog, Context, Scope, Surroundings
from ebbtide.decode.label import nested_text, number_text
from ebbtide.decode.otlp import NO_RECORDED_VALUE, meaning
from ebbtide.decode.points import Points
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import DecodeError
from ebbtide.series import Batch

T = TypeVar("T")
#: JSON that is broken, of a wrong type, not UTF-8, or nested without end.
_UNREADABLE: Final = (msgspec.DecodeError, ValueError, RecursionError)
_NONE: Final = msgspec.Raw(b"null")
_TEMPORALITIES: Final = {"AGGREGATION_TEMPORALITY_DELTA": 1, "AGGREGATION_TEMPORALITY_CUMULATIVE": 2}


class _Value(msgspec.Struct, rename="camel"):
    string_value: str | None = None
    bool_value: bool | None = None
    int_value: int | str | None = None
    double_value: float | str | None = None
    array_value: _Array | None = None
    kvlist_value: _Pairs | None = None
    bytes_value: str | None = None


class _KeyValue(msgspec.Struct):
    key: str = ""
    value: _Value | None = None


class _Array(msgspec.Struct):
    values: list[_Value] | None = None


class _Pairs(msgspec.Struct):
    values: list[_KeyValue] | None = None


class _Attributes(msgspec.Struct):
    """A resource; a scope has two fields more."""

    attributes: list[_KeyValue] | None = None
    name: str | None = None
    version: str | None = None


class _Point(msgspec.Struct, rename="camel"):
    attributes: msgspec.Raw = _NONE
    start_time_unix_nano: int | str | None = None
    time_unix_nano: int | str | None = None
    as_int: int | float | str | None = None
    as_double: int | float | str | None = None
    flags: int | None = None


class _Numbers(msgspec.Struct, rename="camel"):
    data_points: list[_Point] | None = None
    aggregation_temporality: int | str | None = None
    is_monotonic: bool | None = None


class _Others(msgspec.Struct, rename="camel"):
    data_points: list[msgspec.Raw] | None = None


class _Metric(msgspec.Struct, rename="camel"):
    name: str | None = None
    gauge: _Numbers | None = None
    sum: _Numbers | None = None
    histogram: _Others | None = None
    exponential_histogram: _Others | None = None
    summary: _Others | None = None


class _ScopeMetrics(msgspec.Struct):
    scope: msgspec.Raw = _NONE
    metrics: list[_Metric] | None = None


class _ResourceMetrics(msgspec.Struct, rename="camel"):
    resource: msgspec.Raw = _NONE
    scope_metrics: list[_ScopeMetrics] | None = None


class _Request(msgspec.Struct, rename="camel"):
    resource_metrics: list[_ResourceMetrics] | None = None


# The same, one level at a time, for bodies in which something has a wrong type: what is right is kept.


class _RawNumbers(msgspec.Struct, rename="camel"):
    data_points: list[msgspec.Raw] | None = None
    aggregation_temporality: int | str | None = None
    is_monotonic: bool | None = None


class _RawMetric(msgspec.Struct):
    name: str | None = None
    gauge: _RawNumbers | None = None
    sum: _RawNumbers | None = None


class _RawScopeMetrics(msgspec.Struct):
    scope: msgspec.Raw = _NONE
    metrics: list[msgspec.Raw] | None = None


class _RawResourceMetrics(msgspec.Struct, rename="camel"):
    resource: msgspec.Raw = _NONE
    scope_metrics: list[msgspec.Raw] | None = None


class _RawRequest(msgspec.Struct, rename="camel"):
    resource_metrics: list[msgspec.Raw] | None = None


class OtlpJson:
    """Decodes OTLP JSON bodies; keeps what it learnt in `catalog`."""

    name = "otlp_json"

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._request = msgspec.json.Decoder(_Request)
        self._key_values = msgspec.json.Decoder(list[_KeyValue] | None)
        self._attributes = msgspec.json.Decoder(_Attributes | None)

    def decode(self, body: bytes, state: CounterState) -> Batch:
        """The samples of one request. Raises DecodeError if the body is not a JSON object."""
        self.catalog.begin()
        points = Points(self.catalog)
        try:
            resources = self._request.decode(body).resource_metrics or []
        except UnicodeDecodeError:
            return self.decode(body.decode("utf-8", "replace").encode(), state)
        except msgspec.ValidationError:
            resources = list(_salvage(body, points))
        except (msgspec.DecodeError, RecursionError) as error:
            raise _no_request(body, error) from error
        for resource_metrics in resources:
            for scope_metrics in resource_metrics.scope_metrics or []:
                surroundings = self._surroundings(bytes(resource_metrics.resource), bytes(scope_metrics.scope))
                for metric in scope_metrics.metrics or []:
                    self._metric(surroundings, metric, points)
        return points.batch(state)

    def _surroundings(self, resource: bytes, scope: bytes) -> Surroundings:
        return self.catalog.surroundings(
            (b"{", resource, scope), len(resource) + len(scope), lambda: self._make_surroundings(resource, scope)
        )

    def _make_surroundings(self, resource: bytes, scope: bytes) -> tuple[dict[str, str], Scope]:
        labels = self._shared(resource)
        one = self._shared(scope)
        scope_labels = _labels(one.attributes)
        return _labels(labels.attributes), Scope(one.name or "", one.version or "", scope_labels)

    def _shared(self, raw: bytes) -> _Attributes:
        """What cannot be parsed here counts as absent: the points are still somebody's traffic."""
        try:
            return _lenient(self._attributes, raw, _Attributes) or _Attributes()
        except _UNREADABLE:
            return _Attributes()

    def _metric(self, surroundings: Surroundings, metric: _Metric, points: Points) -> None:
        points.ignore("histogram", _length(metric.histogram))
        points.ignore("exponential_histogram", _length(metric.exponential_histogram))
        points.ignore("summary", _length(metric.summary))
        name = metric.name or ""
        if not self.catalog.mapper.wants(name):
            for numbers in (metric.sum, metric.gauge):
                points.ignore("other_metric", len((numbers and numbers.data_points) or []))
            return
        if metric.sum is not None:
            data_points = metric.sum.data_points or []
            try:
                meant = meaning(_temporality(metric.sum.aggregation_temporality), bool(metric.sum.is_monotonic))
            except ValueError:
                points.reject("no_temporality", len(data_points))
            else:
                self._data_points(surroundings.context(name, meant), data_points, points)
        if metric.gauge is not None:
            self._data_points(surroundings.context(name, None), metric.gauge.data_points or [], points)

    def _data_points(self, context: Context, data_points: list[_Point], points: Points) -> None:
        found = context.found
        for point in data_points:
            try:
                start, end = _time(point.start_time_unix_nano), _time(point.time_unix_nano)
                ended = bool((point.flags or 0) & NO_RECORDED_VALUE)
                value = point.as_double if point.as_int is None else point.as_int
                if value is None and not ended:
                    points.reject("no_value")
                    continue
                number = float(value or 0)
                key = bytes(point.attributes)
                at = found.get(key)
                if at is None:
                    at = self._learn(context, key)
            except (*_UNREADABLE, OverflowError):
                points.reject("malformed")
                continue
            points.add(at, start, end, number, ended)

    def _learn(self, context: Context, key: bytes) -> int:
        known = self.catalog.recall(context.found, key)
        if known is not None:
            return known
        labels = _labels(_lenient(self._key_values, key, list[_KeyValue]))
        return self.catalog.learn(context.found, key, len(key), context, labels)


def _lenient(decoder: msgspec.json.Decoder[T], raw: bytes, kind: object) -> T:
    """Decode; bytes that are not UTF-8 become lone surrogates, as they do in protobuf labels."""
    try:
        return decoder.decode(raw)
    except UnicodeDecodeError:
        parsed: T = msgspec.convert(json.loads(raw.decode("utf-8", "surrogateescape")), kind)
        return parsed


def _no_request(body: bytes, error: Exception) -> DecodeError:
    return DecodeError(
        f"{len(body)} bytes are not an OTLP metrics request in JSON: {error}",
        hint="is it cut short, compressed, or protobuf sent as application/json?",
    )


def _length(others: _Others | None) -> int:
    return len(others.data_points or []) if others is not None else 0


def _time(value: int | str | None) -> int:
    number = int(value or 0)
    if not 0 <= number < 2**64:
        raise ValueError(f"time {number}")
    return number


def _temporality(value: int | str | None) -> int:
    return _TEMPORALITIES.get(value, 0) if isinstance(value, str) else value or 0


def _labels(pairs: list[_KeyValue] | None) -> dict[str, str]:
    return {pair.key: _value_text(pair.value) for pair in pairs or []}


def _value_text(value: _Value | None) -> str:
    """An AnyValue as a label's text, the same as from protobuf."""
    if value is None:
        return ""
    if value.string_value is not None:
        return value.string_value
    if value.bool_value is not None:
        return number_text(value.bool_value)
    if value.int_value is not None:
        return number_text(int(value.int_value))
    if value.double_value is not None:
        return number_text(float(value.double_value))
    nested = _nested(value)
    return "" if nested is None else nested_text(nested)


def _nested(value: _Value | None) -> object:
    if value is None:
        return None
    if value.array_value is not None:
        return [_nested(one) for one in value.array_value.values or []]
    if value.kvlist_value is not None:
        return {pair.key: _nested(pair.value) for pair in value.kvlist_value.values or []}
    if value.bytes_value is not None:
        return value.bytes_value
    return _value_text(value) if value != _Value() else None


def _salvage(body: bytes, points: Points) -> Iterator[_ResourceMetrics]:
    """The request level by level, without what has a wrong type; that is rejected as malformed."""
    try:
        request = msgspec.json.decode(body, type=_RawRequest)
    except _UNREADABLE as error:
        raise _no_request(body, error) from error
    for raw_resource in request.resource_metrics or []:
        resource = _part(raw_resource, _RawResourceMetrics, points)
        if resource is None:
            continue
        scopes = []
        for raw_scope in resource.scope_metrics or []:
            scope = _part(raw_scope, _RawScopeMetrics, points)
            if scope is not None:
                metrics = [_salvage_metric(raw, points) for raw in scope.metrics or []]
                scopes.append(_ScopeMetrics(scope.scope, [metric for metric in metrics if metric is not None]))
        yield _ResourceMetrics(resource.resource, scopes)


def _salvage_metric(raw: msgspec.Raw, points: Points) -> _Metric | None:
    try:
        return msgspec.json.decode(raw, type=_Metric)
    except _UNREADABLE:
        metric = _part(raw, _RawMetric, points)
    if metric is None:
        return None
    return _Metric(metric.name, _salvage_numbers(metric.gauge, points), _salvage_numbers(metric.sum, points))


def _salvage_numbers(numbers: _RawNumbers | None, points: Points) -> _Numbers | None:
    if numbers is None:
        return None
    found = [_part(raw, _Point, points) for raw in numbers.data_points or []]
    kept = [point for point in found if point is not None]
    return _Numbers(kept, numbers.aggregation_temporality, numbers.is_monotonic)


def _part(raw: msgspec.Raw, kind: type[T], points: Points) -> T | None:
    try:
        return msgspec.json.decode(raw, type=kind)
    except _UNREADABLE:
        points.reject("malformed")
        return None
