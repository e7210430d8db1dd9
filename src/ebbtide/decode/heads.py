"""Times and values of many data points at once.

Every common encoder (Go, C++, Rust, Python) writes a NumberDataPoint's fields in number order, so its bytes begin with
a head of fixed width: start (optional), time, value. NumPy reads the heads of all points of a request in a few array
operations; what follows a head (attributes, flags) is the same bytes every interval and is looked up. What does not
look like this is not guessed at: it is reported as such and parsed the ordinary way.

Field numbers: opentelemetry-proto `metrics/v1/metrics.proto`, NumberDataPoint and Metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Float64, Int64

UInt8 = NDArray[np.uint8]
UInt64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

_START: Final = 0x11  # field 2, fixed64
_TIME: Final = 0x19  # field 3, fixed64
_DOUBLE: Final = 0x21  # field 4, double
_INT: Final = 0x31  # field 6, sfixed64
_NAME: Final = 0x0A
_DESCRIPTION: Final = 0x12
_UNIT: Final = 0x1A
_GAUGE: Final = 0x2A
_SUM: Final = 0x3A
_DATA_POINT: Final = 0x0A
#: After the one data point of a metric: temporality and monotonicity, two bytes each.
_TAIL_MAX: Final = 4
_ATTRIBUTES: Final = 0x3A  # field 7
#: So that looking at the longest header, from the last byte on, stays inside the buffer.
_PAD: Final = bytes(1024)
_EIGHT: Final = np.arange(8)


@dataclass(frozen=True, slots=True)
class Heads:
    """Heads of n points. Where not `fits`, the other columns mean nothing.

    `head`, `rest` and `end` are offsets, within each item's own bytes, of a point's head, of what follows it, and of
    the point's end.
    """

    fits: Bool
    head: Int64
    rest: Int64
    end: Int64
    start_ns: UInt64
    time_ns: UInt64
    value: Float64


@dataclass(frozen=True, slots=True)
class _Joined:
    """Byte strings in one buffer: string i is buffer[begin[i]:end[i]]."""

    buffer: UInt8
    begin: Int64
    end: Int64

    @classmethod
    def of(cls, parts: Sequence[bytes]) -> _Joined:
        buffer = np.frombuffer(b"".join((*parts, _PAD)), np.uint8)
        end = np.cumsum(np.fromiter(map(len, parts), np.int64, len(parts)))
        begin = np.zeros(len(parts), np.int64)
        begin[1:] = end[:-1]
        return cls(buffer, begin, end)


def of_points(points: Sequence[bytes]) -> Heads:
    """The heads of encoded data points."""
    joined = _Joined.of(points)
    return _heads(joined, joined.begin, joined.end, np.ones(len(points), bool))


def of_metrics(metrics: Sequence[bytes]) -> Heads:
    """The heads of encoded metrics that hold one data point each, as opentelemetry-network's reducer sends them.

    A metric with more points, or anything else than name, description, unit and a sum or gauge, does not fit.
    """
    joined = _Joined.of(metrics)
    buffer, at, end = joined.buffer, joined.begin.copy(), joined.end
    fits: Bool = buffer[at] == _NAME
    for tag in (_NAME, _DESCRIPTION, _UNIT):
        has = buffer[at] == tag
        length = buffer[at + 1]
        fits &= ~has | (length < 0x80)
        at += np.where(has, 2 + length.astype(np.int64), 0)
        at = np.minimum(at, end)
    fits &= (buffer[at] == _SUM) | (buffer[at] == _GAUGE)
    at, length_, ok = _length(buffer, at + 1)
    fits &= ok & (at + length_ == end) & (buffer[np.minimum(at, end)] == _DATA_POINT)
    at = np.minimum(at, end)
    at, length_, ok = _length(buffer, at + 1)
    point_end = at + length_
    fits &= ok & (point_end <= end) & (end - point_end <= _TAIL_MAX)
    return _heads(joined, np.minimum(at, end), point_end, fits)


def _length(buffer: UInt8, at: Int64) -> tuple[Int64, Int64, Bool]:
    """A varint below 16,384 at `at`: what comes after it, its number, and whether it is one."""
    low, high = buffer[at].astype(np.int64), buffer[at + 1].astype(np.int64)
    two = low >= 0x80
    number = np.where(two, (low & 0x7F) | (high << 7), low)
    return at + 1 + two, number, ~two | (high < 0x80)


def _heads(joined: _Joined, at: Int64, point_end: Int64, fits: Bool) -> Heads:
    """Heads of the points that begin at `at` in the buffer."""
    buffer = joined.buffer
    has_start = buffer[at] == _START
    time_at = at + 9 * has_start
    rest = time_at + 18
    is_int = buffer[time_at + 9] == _INT
    fits = fits & (buffer[time_at] == _TIME) & (is_int | (buffer[time_at + 9] == _DOUBLE)) & (rest <= point_end)
    fits &= (rest == point_end) | (buffer[rest] == _ATTRIBUTES)
    start = np.where(has_start, _fixed64(buffer, at + 1), np.uint64(0))
    raw = _fixed64(buffer, time_at + 10)
    value = np.where(is_int, raw.view(np.int64).astype(np.float64), raw.view(np.float64))
    begin = joined.begin
    return Heads(fits, at - begin, rest - begin, point_end - begin, start, _fixed64(buffer, time_at + 1), value)


def _fixed64(buffer: UInt8, at: Int64) -> UInt64:
    eight: UInt64 = buffer[at[:, None] + _EIGHT].view("<u8").reshape(-1)
    return eight.astype(np.uint64, copy=False)
