"""OTLP metrics in protobuf: an ExportMetricsServiceRequest becomes a Batch.

Two shapes are made fast: many points per metric (collectors, SDKs, the Rust exporter), and one metric per point with
its name repeated (opentelemetry-network's C++ reducer). In both, a point whose bytes but for its head were seen before
costs one dictionary look-up. Everything else takes the exact way, point by point.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError as ProtobufError

from ebbtide.decode import heads, wire
from ebbtide.decode.catalog import Catalog, Context, Scope, Surroundings
from ebbtide.decode.label import nested_text, number_text, text_of
from ebbtide.decode.mapping import Meant
from ebbtide.decode.points import Points
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import DecodeError
from ebbtide.series import Batch

NO_RECORDED_VALUE: Final = 1
_DELTA: Final = 1
_CUMULATIVE: Final = 2
#: Below this many, array operations cost more than they save.
_MANY: Final = 8
_HEADERS_MAX: Final = 10_000
_PAIRS_MAX: Final = 100_000
_PAIR_BYTES_MAX: Final = 4096


class OtlpProto:
    """Decodes OTLP protobuf bodies; keeps what it learnt in `catalog`."""

    name = "otlp_proto"

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._pairs = _Pairs()
        self._label_sets: dict[bytes, dict[str, str] | None] = {}

    def decode(self, body: bytes, state: CounterState) -> Batch:
        """The samples of one request. Raises DecodeError if the body is no request at all."""
        try:
            request = wire.Request.FromString(body)
        except ProtobufError as error:
            raise DecodeError(
                f"{len(body)} bytes are not an OTLP metrics request: {error}",
                hint="is it cut short, compressed, or JSON sent as application/x-protobuf?",
            ) from error
        self.catalog.begin()
        points = Points(self.catalog)
        for resource_metrics in request.resource_metrics:
            resource = resource_metrics.resource
            for scope_metrics in resource_metrics.scope_metrics:
                surroundings = self._surroundings(resource, scope_metrics.scope)
                self._metrics(surroundings, list(scope_metrics.metrics), points)
        self._label_sets.clear()
        return points.batch(state)

    def _surroundings(self, resource: bytes, scope: bytes) -> Surroundings:
        return self.catalog.surroundings(
            (resource, scope), len(resource) + len(scope), lambda: self._make_surroundings(resource, scope)
        )

    def _make_surroundings(self, resource: bytes, scope: bytes) -> tuple[dict[str, str], Scope]:
        """What cannot be parsed here counts as absent: the points are still somebody's traffic."""
        try:
            labels = self._labels(wire.Resource.FromString(resource).attributes)
        except ProtobufError:
            labels = {}
        try:
            one = wire.Scope.FromString(scope)
            return labels, Scope(text_of(one.name), text_of(one.version), self._labels(one.attributes))
        except ProtobufError:
            return labels, Scope()

    def _labels(self, pairs: Iterable[bytes]) -> dict[str, str]:
        return dict(map(self._pairs.__getitem__, pairs))

    # -- metrics

    def _metrics(self, surroundings: Surroundings, metrics: list[bytes], points: Points) -> None:
        if len(metrics) < _MANY:
            for metric in metrics:
                self._metric(surroundings, metric, points)
            return
        found = heads.of_metrics(metrics)
        for one_point_each, run in _runs(found.fits):
            if one_point_each:
                self._single_points(surroundings, metrics, found, run, points)
            else:
                for metric in metrics[run]:
                    self._metric(surroundings, metric, points)

    def _single_points(
        self, surroundings: Surroundings, metrics: list[bytes], found: heads.Heads, run: slice, points: Points
    ) -> None:
        """A run of metrics with one point each: known by all their bytes but the head."""
        offsets = (found.head[run].tolist(), found.rest[run].tolist(), found.end[run].tolist())
        spans = list(zip(metrics[run], *offsets, strict=True))
        keys = [metric[:head] + metric[rest:] for metric, head, rest, _ in spans]
        ids = list(map(surroundings.found.get, keys))
        if None in ids:
            for row, known in enumerate(ids):
                if known is None:
                    ids[row] = self._learn_single(surroundings, keys[row], *spans[row])
        _put(points, ids, found, run, lambda at: self._metric(surroundings, metrics[at], points))

    def _learn_single(
        self, surroundings: Surroundings, key: bytes, metric: bytes, head: int, rest: int, end: int
    ) -> int | None:
        """The id of a metric's only point, [head, end) with its labels at `rest`; None: read it the exact way."""
        known = surroundings.found.get(key)  # learnt a moment ago, from the same body
        if known is None:
            known = self.catalog.recall(surroundings.found, key)
        if known is not None:
            return known
        try:
            labels = self._plain_labels(metric[rest:end])
            header = (metric[:head], metric[end:])
            if header not in surroundings.headers:
                if len(surroundings.headers) >= _HEADERS_MAX:
                    surroundings.headers.clear()
                surroundings.headers[header] = self._header_context(surroundings, metric)
            context = surroundings.headers[header]
        except ProtobufError:
            return None
        if context is None or labels is None:
            return None
        return self.catalog.learn(surroundings.found, key, len(key), context, labels)

    def _header_context(self, surroundings: Surroundings, encoded: bytes) -> Context | None:
        """The context of a metric with one point; None if it is anything else."""
        metric = wire.Metric.FromString(encoded)
        numbers, meant, is_valid = next(_numbers(metric))
        if not is_valid or len(numbers.data_points) != 1:
            return None
        return surroundings.context(text_of(metric.name), meant)

    def _plain_labels(self, rest: bytes) -> dict[str, str] | None:
        """The attributes after a point's head; None if there is more that would change what the head says.

        The metrics of one edge carry the same attributes: within a body they are parsed once.
        """
        if rest in self._label_sets:
            return self._label_sets[rest]
        point = wire.Point.FromString(rest)
        odd = point.flags & NO_RECORDED_VALUE or point.WhichOneof("one") or point.time_unix_nano
        labels = None if odd or point.start_time_unix_nano else self._labels(point.attributes)
        self._label_sets[rest] = labels
        return labels

    def _metric(self, surroundings: Surroundings, encoded: bytes, points: Points) -> None:
        """One metric with any number of points."""
        try:
            metric = wire.Metric.FromString(encoded)
        except ProtobufError:
            points.reject("malformed")
            return
        for kind in ("histogram", "exponential_histogram", "summary"):
            points.ignore(kind, len(getattr(metric, kind).data_points))
        name = text_of(metric.name)
        for numbers, meant, is_valid in _numbers(metric):
            data_points = list(numbers.data_points)
            if not self.catalog.mapper.wants(name):
                points.ignore("other_metric", len(data_points))
            elif not is_valid:
                points.reject("no_temporality", len(data_points))
            else:
                self._data_points(surroundings.context(name, meant), data_points, points)

    def _data_points(self, context: Context, encoded: list[bytes], points: Points) -> None:
        if len(encoded) < _MANY:
            for one in encoded:
                self._exact(context, one, points)
            return
        found = heads.of_points(encoded)
        for fits, run in _runs(found.fits):
            if fits:
                self._known_points(context, encoded, found, run, points)
            else:
                for one in encoded[run]:
                    self._exact(context, one, points)

    def _known_points(
        self, context: Context, encoded: list[bytes], found: heads.Heads, run: slice, points: Points
    ) -> None:
        """A run of points, known by what follows their heads."""
        keys = [one[rest:] for one, rest in zip(encoded[run], found.rest[run].tolist(), strict=True)]
        ids = list(map(context.found.get, keys))
        if None in ids:
            for row, known in enumerate(ids):
                if known is None:
                    ids[row] = self._learn_point(context, keys[row])
        _put(points, ids, found, run, lambda at: self._exact(context, encoded[at], points))

    def _learn_point(self, context: Context, key: bytes) -> int | None:
        known = context.found.get(key)
        if known is None:
            known = self.catalog.recall(context.found, key)
        if known is not None:
            return known
        try:
            labels = self._plain_labels(key)
        except ProtobufError:
            return None
        return None if labels is None else self.catalog.learn(context.found, key, len(key), context, labels)

    def _exact(self, context: Context, encoded: bytes, points: Points) -> None:
        """One point, whatever the order of its fields."""
        try:
            point = wire.Point.FromString(encoded)
        except ProtobufError:
            points.reject("malformed")
            return
        ended = bool(point.flags & NO_RECORDED_VALUE)
        which = point.WhichOneof("one")
        if which is None and not ended:
            points.reject("no_value")
            return
        key = tuple(point.attributes)
        known = context.found.get(key)
        if known is None:
            known = self.catalog.learn(context.found, key, len(encoded), context, self._labels(key))
        value = 0.0 if which is None else float(getattr(point, which))
        points.add(known, point.start_time_unix_nano, point.time_unix_nano, value, ended)


class _Pairs(dict[bytes, tuple[str, str]]):
    """Encoded KeyValue -> label; most series differ in one or two of theirs. Bounded like the catalog."""

    def __missing__(self, encoded: bytes) -> tuple[str, str]:
        try:
            pair = wire.KeyValue.FromString(encoded)
            label = (text_of(pair.key), _value_text(pair.value))
        except ProtobufError:
            label = ("malformed", encoded.hex())
        if len(self) >= _PAIRS_MAX:
            self.clear()
        if len(encoded) <= _PAIR_BYTES_MAX:
            self[encoded] = label
        return label


def _value_text(value: Any) -> str:
    """An AnyValue as a label's text: numbers and truth values as written in JSON, bytes in base64, others as JSON."""
    which = value.WhichOneof("one")
    if which == "string_value":
        return text_of(value.string_value)
    if which in ("bool_value", "int_value", "double_value"):
        return number_text(getattr(value, which))
    return "" if which is None else nested_text(_nested(value))


def _nested(value: Any) -> object:
    which = value.WhichOneof("one")
    if which == "array_value":
        return [_nested(one) for one in value.array_value.values]
    if which == "kvlist_value":
        return {text_of(pair.key): _nested(pair.value) for pair in value.kvlist_value.values}
    if which == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return None if which is None else _value_text(value)


def meaning(temporality: int, is_monotonic: bool) -> Meant | None:
    """What a Sum's numbers are; one that may fall (not monotonic) says no more than a gauge does."""
    if temporality == _DELTA:
        return Meant.DELTA
    if temporality == _CUMULATIVE:
        return Meant.CUMULATIVE if is_monotonic else None
    raise ValueError(f"aggregation temporality {temporality}")


def _numbers(metric: Any) -> Iterator[tuple[Any, Meant | None, bool]]:
    """The number points of a metric and what they mean; `_INVALID` for a sum without temporality."""
    if metric.HasField("sum"):
        numbers = metric.sum
        try:
            yield numbers, meaning(numbers.aggregation_temporality, numbers.is_monotonic), True
        except ValueError:
            yield numbers, None, False
    if metric.HasField("gauge"):
        yield metric.gauge, None, True


def _runs(fits: heads.Bool) -> Iterator[tuple[bool, slice]]:
    """Runs of equal values, in order."""
    if fits.all():
        yield True, slice(0, len(fits))
        return
    edges = [0, *(np.flatnonzero(fits[1:] != fits[:-1]) + 1).tolist(), len(fits)]
    for begin, end in itertools.pairwise(edges):
        yield bool(fits[begin]), slice(begin, end)


def _put(
    points: Points, ids: Sequence[int | None], found: heads.Heads, run: slice, exact: Callable[[int], None]
) -> None:
    """Hand a run of points over; those without id are read the exact way, in their place."""
    if None not in ids:
        columns = (found.start_ns[run], found.time_ns[run], found.value[run])
        points.extend(np.array(ids, np.int64), *columns, np.zeros(len(ids), bool))
        return
    for row, known in enumerate(ids):
        at = run.start + row
        if known is None:
            exact(at)
        else:
            points.add(known, int(found.start_ns[at]), int(found.time_ns[at]), float(found.value[at]))
