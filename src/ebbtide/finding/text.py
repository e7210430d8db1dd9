"""Words and numbers for people: safe lines, SI units, durations and instants.

Labels come from processes an attacker may run: a name can hold line breaks, terminal codes or marks that turn the
reading direction. Whatever a person reads goes through `one_line` first. Numbers have one way to be written here, so
that a headline, an explanation and a sink never disagree.
"""

from __future__ import annotations

import datetime
import math
import re
import unicodedata

from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS

#: A name in a sentence is cut after this many characters.
LONGEST_NAME = 80

#: Controls, format characters (bidi marks, zero width), surrogates, private and unassigned ones, line separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_MARKS = frozenset({"Mn", "Me"})
#: More combining marks than this on one letter only serve to deface the lines around it.
_MOST_MARKS = 2

_BYTES = ("B", "kB", "MB", "GB", "TB", "PB", "EB")
_COUNTS = ((1e9, " billion"), (1e6, " million"))
_RFC3339 = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?Z")


def one_line(text: str, longest: int = LONGEST_NAME) -> str:
    """The text as one harmless line of at most `longest` characters.

    Control and format characters become U+FFFD, runs of white space one blank, surplus combining marks go; what is cut
    ends in an ellipsis.

    >>> one_line("a\\x1b[31mb\\n c")
    'a�[31mb� c'
    """
    out: list[str] = []
    marks = 0
    for char in text[: 4 * longest]:
        category = unicodedata.category(char)
        marks = marks + 1 if category in _MARKS else 0
        if marks > _MOST_MARKS:
            continue
        if category in _UNSAFE:
            char = "�"
        elif char.isspace():
            char = " "
        if char == " " and out and out[-1] == " ":
            continue
        out.append(char)
    line = "".join(out).strip()
    is_cut = len(line) > longest or len(text) > 4 * longest
    return line[: longest - 1] + "…" if is_cut else line


def bytes_text(value: float) -> str:
    """Bytes in SI units, two digits where they matter.

    >>> [bytes_text(value) for value in (0, 999, 1234, 42e6, 4.2e9)]
    ['0 B', '999 B', '1.2 kB', '42 MB', '4.2 GB']
    """
    power = 0
    while _short(value, 1000) and power < len(_BYTES) - 1:
        value, power = value / 1000, power + 1
    return f"{_figure(value, whole=power == 0)} {_BYTES[power]}"


def _short(value: float, limit: float) -> bool:
    return math.isfinite(value) and round(value) >= limit


def count_text(value: float) -> str:
    """A number of things.

    >>> [count_text(value) for value in (7, 12300, 2.5, 1.25e6, 3e9)]
    ['7', '12,300', '2.5', '1.2 million', '3.0 billion']
    """
    if not math.isfinite(value):
        return "countless"
    for size, name in _COUNTS:
        if value >= size:
            return f"{_figure(value / size)}{name}"
    return f"{value:,.0f}" if value >= 1000 or value % 1 == 0 else f"{value:,.1f}"


def ratio_text(value: float) -> str:
    """How many times as much; one decimal below 10.

    >>> [ratio_text(value) for value in (1.04, 3.81, 38.2, 123456.0)]
    ['1.0', '3.8', '38', '123,456']
    """
    return _figure(value)


def _figure(value: float, *, whole: bool = False) -> str:
    if not math.isfinite(value):
        return "countless"
    return f"{value:,.0f}" if whole or round(value, 1) >= 10 else f"{value:.1f}"


def percent_text(share: float) -> str:
    """A share of 0 to 1 in percent; never 100 or 0 by rounding alone.

    >>> [percent_text(share) for share in (0.974, 0.999, 1.0, 0.001)]
    ['97 %', '99 %', '100 %', 'under 1 %']
    """
    percent = 100 * min(max(share, 0.0), 1.0)
    if 0 < percent < 1:
        return "under 1 %"
    return f"{99 if 99 < percent < 100 else percent:.0f} %"


def duration_text(span_ns: int) -> str:
    """A time span, two units at most.

    >>> [duration_text(seconds * 10**9) for seconds in (45, 420, 3900, 7200, 270000)]
    ['45 s', '7 min', '1 h 5 min', '2 h', '3 d 3 h']
    """
    for size, name, small_size, small_name in (
        (DAY_NS, "d", HOUR_NS, "h"),
        (HOUR_NS, "h", MINUTE_NS, "min"),
        (MINUTE_NS, "min", SECOND_NS, "s"),
    ):
        if span_ns >= size:
            small = span_ns % size // small_size
            return f"{span_ns // size} {name}" + (f" {small} {small_name}" if small else "")
    return f"{span_ns // SECOND_NS} s"


def rfc3339(instant_ns: int) -> str:
    """An instant in UTC, with as many decimals as it needs.

    >>> rfc3339(1704888000 * 10**9), rfc3339(1704888000 * 10**9 + 500_000_000)
    ('2024-01-10T12:00:00Z', '2024-01-10T12:00:00.5Z')
    """
    seconds, fraction = divmod(instant_ns, SECOND_NS)
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    decimals = f".{fraction:09d}".rstrip("0") if fraction else ""
    return f"{moment.isoformat()}{decimals}Z"


def whole_seconds(instant_ns: int) -> str:
    """The instant for a table: `rfc3339` without its fraction.

    >>> whole_seconds(1_500_000_000)
    '1970-01-01T00:00:01Z'
    """
    return rfc3339(instant_ns // SECOND_NS * SECOND_NS)


def parse_rfc3339(text: str) -> int:
    """Nanoseconds of an instant in UTC as `rfc3339` writes it. Raises ValueError for anything else."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:40]!r} is no time in UTC such as 2024-01-10T12:00:00Z")
    since = datetime.datetime.fromisoformat(match[1]) - datetime.datetime(1970, 1, 1)
    return (since.days * 86_400 + since.seconds) * SECOND_NS + int((match[2] or "").ljust(9, "0"))
