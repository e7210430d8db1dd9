"""Examples in a detection's file: what it must find and what it must leave alone, as a few numbers each.

They document a detection better than prose, and they are run: `run_examples` builds the baseline and the window they
describe and asks the detector. A detection whose examples fail is not the one its author meant.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ebbtide.baseline.moments import Moments
from ebbtide.detect.detector import Anomalies, Baseline
from ebbtide.detect.joined_detector import Joined
from ebbtide.detect.novelty_detector import Novelty
from ebbtide.detect.outbound_detector import Outbound
from ebbtide.series import SECOND_NS, Entity, Window

if TYPE_CHECKING:
    from ebbtide.detect.detection import AnyDetector, Detection, WindowDetector

#: More buckets than this in one list are refused: an example is small.
MOST_BUCKETS = 100_000

Buckets: TypeAlias = tuple[tuple[float, ...], ...]


def parse_buckets(text: object) -> Buckets:
    """The points of each bucket in a list such as `"100 x 500, 900, -, 2 x 300+400"`.

    `100 x 500` is a hundred buckets of 500, `-` a bucket without a point, `300+400` one bucket with two points.
    Raises ValueError for anything else, for negative or endless numbers and for more than `MOST_BUCKETS` buckets.

    >>> parse_buckets("2 x 5, -, 1+2")
    ((5.0,), (5.0,), (), (1.0, 2.0))
    """
    if not isinstance(text, str | int | float) or isinstance(text, bool):
        raise ValueError(f'{text!r} is no list of values; write for instance "100 x 500, 900"')
    buckets: list[tuple[float, ...]] = []
    for item in str(text).split(","):
        match = re.fullmatch(r"\s*(?:(\d{1,6})\s*[x×]\s*)?(\S+)\s*", item)
        if match is None:
            raise ValueError(f'{item.strip()!r} is no value; write for instance "100 x 500, 900"')
        times = int(match[1] or 1)
        if len(buckets) + times > MOST_BUCKETS:
            raise ValueError(f"more than {MOST_BUCKETS} buckets")
        buckets += [_parse_points(match[2])] * times
    return tuple(buckets)


def _parse_points(text: str) -> tuple[float, ...]:
    if text == "-":
        return ()
    try:
        points = tuple(float(part) for part in text.split("+"))
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None
    if not all(math.isfinite(value) and value >= 0 for value in points):
        raise ValueError(f"{text!r} is not a finite number of 0 or more")
    return points


def _parse_interval(text: object) -> object:
    match = re.fullmatch(r"(\d{1,5})s", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no interval in seconds; write for instance 30s")
    return int(match[1]) * SECOND_NS


class Example(BaseModel):
    """One example: what was usual, what was seen, what must come of it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=200)]
    baseline: dict[str, Annotated[Buckets, BeforeValidator(parse_buckets)]] = Field(default_factory=dict)
    """What was usual, per metric. With a baseline of points each number is one point, else each bucket is its sum."""

    window: dict[str, Annotated[Buckets, BeforeValidator(parse_buckets)]] = Field(min_length=1)
    """What was seen, per metric and bucket, from the same first bucket on."""

    interval_ns: Annotated[int, BeforeValidator(_parse_interval)] = Field(30 * SECOND_NS, alias="interval", gt=0)
    """The source's interval, for a detection whose bucket is `source`."""

    expect: Literal["finding", "nothing"]
    count: int | None = Field(None, ge=0)
    """How many hits must count; absent: not looked at."""

    unscored: dict[str, str] = Field(default_factory=dict)
    """For metrics that cannot be judged: the reason that must be given."""


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What became of one example; `got` says what the detector did, in words."""

    name: str
    passed: bool
    expected: str
    got: str


def run_examples(detection: Detection, detector: AnyDetector) -> list[ExampleResult]:
    """One result per example of the detection, in their order.

    Examples describe a window and moments: a detection that is judged with what the store has learned fails them.
    """
    if isinstance(detector, Outbound | Novelty | Joined):
        return [ExampleResult(one.name, False, one.expect, "no examples for this detector") for one in detection.tests]
    return [_run(detection, detector, example) for example in detection.tests]


def _run(detection: Detection, detector: WindowDetector, example: Example) -> ExampleResult:
    metrics = detection.selects(sorted({*example.baseline, *example.window}))
    window = _window(example, metrics, detection.bucket_of(example.interval_ns))
    baseline = _baseline(example, metrics, detection)
    anomalies = detector.score(window, baseline, detection.options_for(detector))
    fired, count = bool(anomalies.fired[0]), int(anomalies.count[0])
    reasons = _reasons(anomalies, metrics)
    passed = (
        fired == (example.expect == "finding")
        and example.count in (None, count)
        and all(reasons.get(metric) == reason for metric, reason in example.unscored.items())
    )
    return ExampleResult(
        example.name,
        passed,
        _say(example.expect, example.count, example.unscored),
        _say("finding" if fired else "nothing", count, reasons),
    )


def _window(example: Example, metrics: tuple[str, ...], bucket_ns: int) -> Window:
    lists = [example.window.get(metric, ()) for metric in metrics]
    width = max((len(buckets) for buckets in lists), default=0)
    total, points = np.zeros((1, len(metrics), width)), np.zeros((1, len(metrics), width), np.int32)
    for row, buckets in enumerate(lists):
        for column, values in enumerate(buckets):
            total[0, row, column], points[0, row, column] = sum(values), len(values)
    entity = Entity("example", "example", "example", "example")
    return Window((entity,), metrics, 0, bucket_ns, total, points)


def _baseline(example: Example, metrics: tuple[str, ...], detection: Detection) -> Baseline:
    sets = []
    for metric in metrics:
        buckets = example.baseline.get(metric, ())
        if detection.baseline.of == "points":
            sets.append(Moments.of(value for points in buckets for value in points))
        else:
            sets.append(Moments.of(sum(points) for points in buckets if points))
    stack = [
        np.array([[getattr(one, name)[0] for one in sets]]) for name in ("count", "mean", "m2", "minimum", "maximum")
    ]
    to_ns = -detection.baseline.gap_ns
    return Baseline(Moments(*stack), to_ns - detection.baseline.length_ns, to_ns)


def _reasons(anomalies: Anomalies, metrics: tuple[str, ...]) -> dict[str, str]:
    return {
        metric: reason
        for reason, mask in anomalies.unscored.items()
        for metric, hit in zip(metrics, mask[0], strict=True)
        if hit
    }


def _say(verdict: str, count: int | None, reasons: dict[str, str]) -> str:
    parts = [verdict]
    if count is not None:
        parts.append(f"{count} hits")
    parts += [f"{metric}: {reason}" for metric, reason in sorted(reasons.items())]
    return ", ".join(parts)
