"""Prometheus remote write 1.0: a `prometheus.WriteRequest` (already out of its snappy) becomes a Batch.

Each series brings its labels and some samples; `__name__` is the metric, every other label an attribute. There is no
type and no start time: the preset says what a metric's numbers mean and how long its interval is. One NaN with its own
bits marks that a series has ended. Source: prometheus/docs, docs/specs/prw/remote_write_spec.md; prometheus/prometheus,
prompb/types.proto and model/value/value.go.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError as ProtobufError

from ebbtide.decode import wire
from ebbtide.decode.catalog import Catalog, Scope
from ebbtide.decode.label import text_of
from ebbtide.decode.points import Points
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import DecodeError
from ebbtide.series import Batch

#: The value of a staleness marker, bit by bit; every other NaN is a value.
STALE_BITS: Final = 0x7FF0000000000002
_NAME: Final = "__name__"
_MS_NS: Final = 1_000_000
_TIME_MAX_MS: Final = (2**63 - 1) // _MS_NS


class RemoteWrite:
    """Decodes bodies of `POST /api/v1/write`; keeps what it learnt in `catalog`."""

    name = "remote_write"

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def decode(self, body: bytes, state: CounterState) -> Batch:
        """The samples of one request. Raises DecodeError if the body is no request at all."""
        try:
            request = wire.WriteRequest.FromString(body)
        except ProtobufError as error:
            raise DecodeError(
                f"{len(body)} bytes are not a Prometheus write request: {error}",
                hint="is it cut short, still compressed, or remote write 2.0? This is version 1.0",
            ) from error
        self.catalog.begin()
        points = Points(self.catalog)
        ids: list[int] = []
        ends: list[int] = []
        bits: list[int] = []
        for series in request.timeseries:
            points.ignore("histogram", len(series.histograms))
            samples = series.samples
            if not samples:
                continue
            known = self._series(tuple(series.labels))
            if known is None:
                points.reject("malformed", len(samples))
                continue
            for sample in samples:
                ids.append(known)
                ends.append(_time_ns(sample.timestamp))
                bits.append(sample.value)
        if ids:
            _put(points, ids, ends, bits)
        return points.batch(state)

    def _series(self, encoded: tuple[bytes, ...]) -> int | None:
        """The id of the series with these labels; None if one of them cannot be read."""
        surroundings = self.catalog.surroundings("remote_write", 0, lambda: ({}, Scope()))
        known = surroundings.found.get(encoded)
        if known is not None:
            return known
        try:
            labels = dict(map(_label, encoded))
        except ProtobufError:
            return None
        context = surroundings.context(labels.pop(_NAME, ""), None)
        return self.catalog.learn(surroundings.found, encoded, sum(map(len, encoded)), context, labels)


def _label(encoded: bytes) -> tuple[str, str]:
    label: Any = wire.Label.FromString(encoded)
    return text_of(label.name), text_of(label.value)


def _time_ns(timestamp_ms: int) -> int:
    """Milliseconds as nanoseconds; what is before 1970 is no time, what does not fit is the end of time."""
    return min(max(timestamp_ms, 0), _TIME_MAX_MS) * _MS_NS


def _put(points: Points, ids: list[int], ends: list[int], bits: list[int]) -> None:
    value_bits = np.array(bits, np.uint64)
    ended = value_bits == STALE_BITS
    value = np.where(ended, 0.0, value_bits.view(np.float64))
    points.extend(np.array(ids, np.int64), np.zeros(len(ids), np.uint64), np.array(ends, np.uint64), value, ended)
