"""The numbers of a chart, as JSON that may stand inside a script element.

Nothing is rounded: what a page shows can be read back equal from it. Even times are one start, step and count.
"""

from __future__ import annotations

import json

import numpy as np

from ebbtide.report.report import Chart, Level
from ebbtide.report.wording import visible
from ebbtide.series import Float64, Int64

_MILLISECOND_NS = 1_000_000
#: Whole numbers up to here are the same in a double and in JSON, and shorter without `.0`.
_WHOLE = 2**53
#: `ensure_ascii` escapes all beyond ASCII, U+2028 and U+2029 among it; these end a script element or begin a comment.
_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def chart_json(chart: Chart) -> str:
    """The chart's data. Times in milliseconds; NaN and infinite values are null.

    `time` is [start, step, count] if `even`, else one number a point.
    """
    even, time = _time(chart.times_ns)
    data = {
        "title": visible(chart.title),
        "unit": visible(chart.unit),
        "even": even,
        "time": time,
        "sent": _values(chart.sent),
        "received": None if chart.received is None else _values(chart.received),
        "mean": _level(chart.mean),
        "line": _level(chart.line),
        "lower": _level(chart.lower),
        "upper": _level(chart.upper),
        "marks": [[_ms(start), _ms(end)] for start, end in chart.marks],
        "labels": [[_ms(one.start_ns), _ms(one.end_ns)] for one in chart.labels],
    }
    return json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":")).translate(_ESCAPES)


def _ms(instant_ns: int) -> int | float:
    whole, rest = divmod(int(instant_ns), _MILLISECOND_NS)
    return whole if rest == 0 else instant_ns / _MILLISECOND_NS


def _time(times_ns: Int64) -> tuple[bool, list[int | float]]:
    steps = np.unique(np.diff(times_ns))
    if len(steps) == 1 and times_ns[0] % _MILLISECOND_NS == 0 and steps[0] % _MILLISECOND_NS == 0:
        return True, [_ms(int(times_ns[0])), _ms(int(steps[0])), len(times_ns)]
    return False, [_ms(one) for one in times_ns.tolist()]


def _number(value: float) -> int | float | None:
    if not np.isfinite(value):
        return None
    return int(value) if value == int(value) and abs(value) < _WHOLE else value


def _values(values: Float64) -> list[int | float | None]:
    return [_number(one) for one in values.tolist()]


def _level(level: Level) -> list[int | float | None] | int | float | None:
    if level is None:
        return None
    return _values(level) if isinstance(level, np.ndarray) else _number(float(level))
