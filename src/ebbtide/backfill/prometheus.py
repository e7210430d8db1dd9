"""Raw samples of a Prometheus or VictoriaMetrics, an hour and a metric at a time.

VictoriaMetrics exports them (`/api/v1/export`, JSON lines); anything else with the Prometheus API is asked for a range
of samples (`/api/v1/query`, `metric[1h]`), or, with a step, for the value at each step (`/api/v1/query_range`). Raw
samples are what remote write would have brought: no rate, no interpolation. An answer that is too large is asked for in
halves. Sources: prometheus.io/docs, "HTTP API"; docs.victoriametrics.com, "How to export data in JSON line format".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import msgspec
import numpy as np

from ebbtide.backfill.peer import RESUME, Peer, TooLarge
from ebbtide.backfill.readings import Readings, joined
from ebbtide.decode.preset import Preset
from ebbtide.errors import DataError, DecodeError, UsageError
from ebbtide.finding.text import one_line
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS

#: How far before an hour its counters are read: two scrapes of the slowest usual interval, and some that failed.
LOOKBACK_NS: Final = 10 * MINUTE_NS
#: Less than this is not asked for at once; who has more in it narrows the question.
LEAST_NS: Final = MINUTE_NS
_MS_NS: Final = 1_000_000
_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\*?")
_MATCHER = re.compile(r'[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\\n]|\\.)*"')

How = Literal["export", "samples", "steps"]
T = TypeVar("T")


class _Line(msgspec.Struct):
    metric: dict[str, str]
    values: list[float | str | None]
    timestamps: list[int]


class _Series(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, str]] = []


class _Data(msgspec.Struct, rename="camel", frozen=True):
    result_type: str = ""
    result: list[_Series] = []


class _Answer(msgspec.Struct, rename="camel"):
    status: str
    data: _Data = _Data()
    warnings: list[str] = []
    error: str = ""
    is_partial: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """A server, and what is asked of it: `selectors`, one for each metric of a preset; `step_ns` only for `steps`."""

    peer: Peer
    how: How
    selectors: tuple[str, ...]
    step_ns: int = 0

    def hour(self, hour: int) -> list[Readings]:
        """All readings of an hour and of `LOOKBACK_NS` before it, each series once, in order.

        Raises DecodeError for what is no answer, and as `Peer.get`.
        """
        start, end = hour * HOUR_NS - LOOKBACK_NS, (hour + 1) * HOUR_NS
        found: list[Readings] = []
        for selector in self.selectors:
            found += self._halved(selector, start, end)
        return joined(found)

    def _halved(self, selector: str, start: int, end: int) -> list[Readings]:
        try:
            return [one.between(start, end) for one in self._ask(selector, start, end)]
        except TooLarge as error:
            if end - start <= LEAST_NS:
                hint = "narrow it with --match, for instance 'namespace=\"shop\"', one run for each part"
                raise TooLarge(f"one minute of {selector} is too much at once: {error}", hint=hint) from None
        unit = self.step_ns or SECOND_NS
        middle = max(start + unit, (start + end) // 2 // unit * unit)
        return self._halved(selector, start, middle) + self._halved(selector, middle, end)

    def _ask(self, selector: str, start: int, end: int) -> list[Readings]:
        if self.how == "export":
            query = [("match[]", selector), ("start", _seconds(start)), ("end", _seconds(end - _MS_NS))]
            body = self.peer.get("/api/v1/export", [*query, ("reduce_mem_usage", "1")]).body
            return _understood(self.peer, body, _read_lines)
        if self.how == "steps":
            first = -(-start // self.step_ns) * self.step_ns
            if first >= end:
                return []
            query = [("query", selector), ("start", _seconds(first)), ("end", _seconds(end - _MS_NS))]
            body = self.peer.get("/api/v1/query_range", [*query, ("step", _seconds(self.step_ns)), *_WHOLE]).body
        else:
            # Prometheus 2 takes both ends of a range, 3 only the later: a millisecond more, and the rest is cut off.
            length = (end - start) // _MS_NS
            query = [("query", f"{selector}[{length}ms]"), ("time", _seconds(end - _MS_NS))]
            body = self.peer.get("/api/v1/query", [*query, *_WHOLE]).body
        return _understood(self.peer, body, _read_matrix)


#: Thanos and the cluster version of VictoriaMetrics would answer from the part that is up.
_WHOLE: Final = (("partial_response", "false"), ("deny_partial_response", "1"))


def find_source(peer: Peer, preset: Preset, matchers: Iterable[str] = (), step_ns: int | None = None) -> Source:
    """The source of a preset's metrics; asks the server whether it can export. `step_ns`: one value for each step.

    Raises UsageError for a matcher or a step that is none, and as `Peer.get`.
    """
    selectors = selectors_of(preset, matchers)
    if step_ns is not None:
        if HOUR_NS % step_ns or step_ns < SECOND_NS:
            raise UsageError("--step does not divide an hour", hint="30s, 1m, 2m or 5m do")
        if any(rule.untyped in ("delta", "value") for rule in preset.metrics):
            raise UsageError(
                f"{preset.name} sends what was sent since the last sample: at a step some would be counted twice, "
                "others never",
                hint="leave --step out: then the samples themselves are read",
            )
        return Source(peer, "steps", selectors, step_ns)
    probe = [("match[]", '{__name__="ebbtide_probe"}'), ("start", "0"), ("end", "1")]
    answer = peer.get("/api/v1/export", probe, is_refusal_answer=True)
    if answer.status in (401, 403):
        answer = peer.get("/api/v1/query", [("query", "1")])
        return Source(peer, "samples", selectors)
    return Source(peer, "export" if answer.status == 200 and not answer.body.strip() else "samples", selectors)


def selectors_of(preset: Preset, matchers: Iterable[str] = ()) -> tuple[str, ...]:
    """One selector for each metric name of a preset that Prometheus can have, narrowed by label matchers.

    Raises UsageError for a matcher that is none, or a preset with no such name.
    """
    matchers = list(matchers)
    for one in matchers:
        if _MATCHER.fullmatch(one) is None:
            raise UsageError(f"--match {one[:100]!r} is no label matcher", hint="write 'namespace=\"shop\"'")
    names = {name: None for rule in preset.metrics for name in rule.name if _NAME.fullmatch(name)}
    names |= {name: None for name in preset.heartbeats if _NAME.fullmatch(name)}
    if not names:
        raise UsageError(
            f"preset {preset.name!r} has no metric that Prometheus could have", hint="presets: docs/presets.md"
        )
    return tuple("{" + ",".join([_name_matcher(name), *matchers]) + "}" for name in names)


def _name_matcher(name: str) -> str:
    return f'__name__=~"{name[:-1]}.*"' if name.endswith("*") else f'__name__="{name}"'


def _understood(peer: Peer, body: bytes, read: Callable[[bytes], T]) -> T:
    try:
        return read(body)
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise DecodeError(
            f"{peer.url} answered something else than samples: {one_line(str(error), 200)}",
            hint=f"is this the address of a Prometheus API, up to before /api/v1? {RESUME}",
        ) from None


def _read_lines(body: bytes) -> list[Readings]:
    lines: list[_Line] = msgspec.json.Decoder(_Line).decode_lines(body)
    found = []
    for line in lines:
        if len(line.values) != len(line.timestamps):
            raise ValueError("a line has not as many values as timestamps")
        value = np.array([np.nan if one is None else float(one) for one in line.values], np.float64)
        found.append(_readings(line.metric, np.array(line.timestamps, np.int64), value))
    return found


def _read_matrix(body: bytes) -> list[Readings]:
    answer = msgspec.json.decode(body, type=_Answer)
    if answer.status != "success":
        raise DataError(f"the server says: {one_line(answer.error, 300)}", hint=RESUME)
    if answer.is_partial or answer.data.result_type != "matrix":
        raise ValueError("a part is missing" if answer.is_partial else f"a {answer.data.result_type[:20]!r}, no matrix")
    found = []
    for series in answer.data.result:
        at = np.array([time for time, _ in series.values], np.float64)
        value = np.array([float(value) for _, value in series.values], np.float64)
        found.append(_readings(series.metric, np.rint(at * 1000).astype(np.int64), value))
    return found


def _readings(labels: dict[str, str], time_ms: np.ndarray[tuple[int], np.dtype[np.int64]], value: object) -> Readings:
    time_ms = np.clip(time_ms, 0, (2**63 - 1) // _MS_NS)
    order = np.argsort(time_ms, kind="stable")
    return Readings(labels, time_ms[order] * _MS_NS, np.asarray(value, np.float64)[order])


def _seconds(time_ns: int) -> str:
    return f"{time_ns // SECOND_NS}.{time_ns % SECOND_NS // _MS_NS:03d}"
