"""Text of a page: harmless to read, numbers with SI prefixes, times in UTC."""

from __future__ import annotations

import datetime
import math
import re
import unicodedata

from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

#: Controls, format characters (bidi marks, zero width), surrogates, private and unassigned ones, line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: Longer texts are cut: a page of 1,000 findings must stay readable whatever a label holds.
LONGEST = 2000
_PREFIXES = ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ANCHOR = re.compile(r"[^A-Za-z0-9-]")


def visible(text: str) -> str:
    """The text with everything that is not seen, or that turns the reading direction, as U+FFFD; white space as blanks.

    >>> visible("pay\\u202elli\\x1b[31m\\nmalware")
    'pay\ufffdlli\ufffd[31m malware'
    """
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(_visible(char) for char in cut)


def _visible(char: str) -> str:
    if char.isspace() and char != "\u00a0":
        return " "
    return "\ufffd" if unicodedata.category(char) in _UNSAFE else char


def si(value: float, unit: str = "") -> str:
    """Three digits and an SI prefix, joined by no-break spaces. Bytes take the prefix (`MB`), other units follow it.

    >>> [si(value).replace("\\xa0", "_") for value in (0, 0.1734, 7, 999.6, 38905900.0)]
    ['0', '0.173', '7', '1_k', '38.9_M']
    >>> si(4.2e9, "bytes").replace("\\xa0", "_"), si(1200, "packets").replace("\\xa0", "_")
    ('4.2_GB', '1.2_k_packets')
    """
    if not math.isfinite(value):
        return "–"
    rounded = float(f"{value:.3g}")
    size, prefix = next(((size, prefix) for size, prefix in _PREFIXES if abs(rounded) >= size), (1.0, ""))
    number = f"{rounded / size:.3g}"
    number = f"{float(number):.10g}".replace("-", "−")
    if unit == "bytes":
        return f"{number}\u00a0{prefix}B"
    return "\u00a0".join(part for part in (number, prefix, visible(unit)) if part)


def utc(instant_ns: int) -> str:
    """An instant in UTC to the second, for people; seconds only where there are any.

    >>> utc(1704888000 * 10**9), utc(1704888007 * 10**9)
    ('2024-01-10 12:00', '2024-01-10 12:00:07')
    """
    return _moment(instant_ns).isoformat(" ", "seconds").removesuffix(":00")


def iso(instant_ns: int) -> str:
    """An instant in UTC to the second, for machines.

    >>> iso(1704888000 * 10**9)
    '2024-01-10T12:00:00Z'
    """
    return _moment(instant_ns).isoformat("T", "seconds") + "Z"


def day(instant_ns: int) -> str:
    """The day of an instant in UTC.

    >>> day(1704888000 * 10**9)
    '10 Jan'
    """
    moment = _moment(instant_ns)
    return f"{moment.day} {_MONTHS[moment.month - 1]}"


def _moment(instant_ns: int) -> datetime.datetime:
    """Clipped to the years 1 to 9999: a wrong time must not cost the page."""
    seconds = min(max(instant_ns // SECOND_NS, -62_135_596_800), 253_402_300_799)
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)


def duration(span_ns: int) -> str:
    """A time span, two units at most.

    >>> [duration(seconds * SECOND_NS) for seconds in (45, 420, 3900, 7200, 270000)]
    ['45 s', '7 min', '1 h 5 min', '2 h', '3 d 3 h']
    """
    units = ((DAY_NS, "d", HOUR_NS, "h"), (HOUR_NS, "h", MINUTE_NS, "min"), (MINUTE_NS, "min", SECOND_NS, "s"))
    for size, name, small_size, small_name in units:
        if span_ns >= size:
            small = span_ns % size // small_size
            return f"{span_ns // size} {name}" + (f" {small} {small_name}" if small else "")
    return f"{span_ns // SECOND_NS} s"


def anchor(uid: str) -> str:
    """The id of a finding's card, fit for `id=` and `#`.

    >>> anchor('6f9e-1"')
    'finding-6f9e-1_'
    """
    return "finding-" + _ANCHOR.sub("_", uid[:80])
