"""Labels as text: one canonical encoding for identity, one clean copy for everything a person or a query sees.

In come attribute maps as decoded (any text, any length), out go JSON bytes and a list of what had to be mended.
Identity is taken from the text as received, so that two labels that look alike once mended stay two series.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntFlag
from typing import Final

import msgspec

#: A label longer than this is cut. Kubernetes names end at 253, DNS names at 255 characters.
LABEL_CHARS_MAX: Final = 512
#: The evidence kept of one series. What does not fit is left out, longest labels first cut to LABEL_CHARS_SHORT.
ATTRIBUTES_BYTES_MAX: Final = 16 * 1024
LABEL_CHARS_SHORT: Final = 32

_encoder = msgspec.json.Encoder(order="sorted")
# C0, DEL and C1 controls; marks that reverse or hide text on a terminal or a page; halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class Repair(IntFlag):
    """What was mended in a series' labels; each accepted point of it counts under these names in `Counts.clipped`."""

    LABEL = 1  # a label was cut to LABEL_CHARS_MAX
    CONTROL_CHARACTER = 2  # replaced by U+FFFD
    INVALID_UTF8 = 4  # bytes shown as \xff
    ATTRIBUTES = 8  # all labels together were longer than ATTRIBUTES_BYTES_MAX


def text_of(raw: bytes) -> str:
    """Bytes as text, never failing: bytes that are not UTF-8 become lone surrogates, which `clean` shows as \\xff."""
    return raw.decode("utf-8", "surrogateescape")


def number_text(value: bool | int | float) -> str:
    """A label that came as a number or truth value, as text. Labels are text everywhere: 1 and "1" are one label."""
    return ("false", "true")[value] if isinstance(value, bool) else str(value)


def nested_text(value: object) -> str:
    """A label that came as a list or map, as JSON text with sorted keys (its numbers as text, like all labels)."""
    try:
        return _encoder.encode(value).decode()
    except UnicodeEncodeError:
        return ascii(value)


def canonical(labels: Mapping[str, str]) -> bytes:
    """The labels as one JSON object with sorted keys, word for word: the same bytes for the same labels, anywhere.

    >>> canonical({"b": "2", "a": "1"})
    b'{"a":"1","b":"2"}'
    """
    try:
        return _encoder.encode(labels)
    except UnicodeEncodeError:
        return _encoder.encode({_visible(key): _visible(value) for key, value in labels.items()})


def is_clean(labels: Mapping[str, str], encoded: bytes) -> bool:
    """Whether labels can be shown as they are. A quick test; a wrong no only costs the longer way."""
    if not labels:
        return True
    return (
        b"\\" not in encoded
        and b"\x7f" not in encoded
        and encoded.isascii()
        and len(encoded) <= ATTRIBUTES_BYTES_MAX
        and (len(encoded) <= LABEL_CHARS_MAX or max(map(len, labels.values())) <= LABEL_CHARS_MAX)
    )


def clean(labels: Mapping[str, str]) -> tuple[dict[str, str], Repair]:
    """Labels fit to be mapped and shown, each at most LABEL_CHARS_MAX long, and what had to be mended for that."""
    mended: dict[str, str] = {}
    repair = Repair(0)
    for key, value in labels.items():
        key, of_key = _clean_one(key)
        mended[key], of_value = _clean_one(value)
        repair |= of_key | of_value
    return mended, repair


def evidence(labels: Mapping[str, str]) -> tuple[bytes, Repair]:
    """Clean labels as JSON of at most ATTRIBUTES_BYTES_MAX; if they are longer, the first of them, each cut short."""
    encoded = _encoder.encode(labels)
    if len(encoded) <= ATTRIBUTES_BYTES_MAX:
        return encoded, Repair(0)
    kept: dict[str, str] = {}
    room = ATTRIBUTES_BYTES_MAX - 2
    for key in sorted(labels):
        short = labels[key][:LABEL_CHARS_SHORT]
        room -= len(_encoder.encode({key: short}))
        if room < 0:
            break
        kept[key] = short
    return _encoder.encode(kept), Repair.ATTRIBUTES


def _clean_one(text: str) -> tuple[str, Repair]:
    repair = Repair(0)
    if len(text) > LABEL_CHARS_MAX:
        text, repair = text[:LABEL_CHARS_MAX], Repair.LABEL
    if not text.isascii():
        shown = _visible(text)
        if shown != text:
            text, repair = shown, repair | Repair.INVALID_UTF8
    safe = _UNSAFE.sub("\ufffd", text)
    return (safe, repair | Repair.CONTROL_CHARACTER) if safe != text else (text, repair)


def _visible(text: str) -> str:
    return (
        text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace") if _has_surrogates(text) else text
    )


def _has_surrogates(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False
