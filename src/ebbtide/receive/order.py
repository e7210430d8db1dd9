"""A guess at the time of a body, before anyone decodes it: so that what waits is decoded in the order of time.

Senders drain their queues side by side, and readings of a counter that come after newer ones are ignored: their bytes
are not lost, but lie in a longer interval. In comes a body, out goes the end of one of its points, by the look of its
first bytes. A wrong guess costs nothing but that order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from ebbtide.series import SECOND_NS

#: Where the first point is looked for; before it stand the resource and the scope.
_LOOK_BYTES: Final = 16 * 1024
_EARLIEST_NS: Final = 946_684_800 * SECOND_NS
_LATEST_NS: Final = 7_258_118_400 * SECOND_NS

# NumberDataPoint: time_unix_nano is field 3, fixed64; its length says nothing, so the value has to look like a time.
_OTLP: Final = re.compile(rb"\x19(.{8})", re.DOTALL)
_OTLP_JSON: Final = re.compile(rb'"timeUnixNano"\s*:\s*"?(\d{1,20})')
_HEC: Final = re.compile(rb'"time"\s*:\s*"?(\d{1,12}(?:\.\d{1,9})?)')
# Sample: value (field 1, double), then timestamp (field 2, varint of milliseconds: 6 bytes from 2004 to 2109).
_REMOTE_WRITE: Final = re.compile(rb"\x09.{8}\x10([\x80-\xff]{5}[\x00-\x7f])", re.DOTALL)


def time_of(content: bytes, format_name: str) -> int | None:
    """The end of one of the body's points, Unix nanoseconds; None where none is seen."""
    guess = _GUESSES.get(format_name)
    if guess is None:
        return None
    pattern, read = guess
    for match in pattern.finditer(content, 0, _LOOK_BYTES):
        if _EARLIEST_NS <= (time_ns := read(match[1])) < _LATEST_NS:
            return time_ns
    return None


def _fixed(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


def _seconds(raw: bytes) -> int:
    return round(float(raw) * 1000) * (SECOND_NS // 1000)


def _milliseconds(raw: bytes) -> int:
    value = 0
    for at, byte in enumerate(raw):
        value |= (byte & 127) << 7 * at
    return value * (SECOND_NS // 1000)


_GUESSES: Final[dict[str, tuple[re.Pattern[bytes], Callable[[bytes], int]]]] = {
    "otlp_proto": (_OTLP, _fixed),
    "otlp_json": (_OTLP_JSON, int),
    "hec": (_HEC, _seconds),
    "remote_write": (_REMOTE_WRITE, _milliseconds),
}
