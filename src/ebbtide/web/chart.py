"""The chart of a finding: what was tested, in the unit it was tested in, beside what is usual.

While samples are stored, a point is one bucket of the evaluation, or the largest of a few where there would be too
many to draw; afterwards hours take their place, spread evenly, and the marked buckets come from the finding's own
record. The JSON says which. Nothing is invented: what is not known is null.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel

from ebbtide.detect.detection import Detection, project
from ebbtide.finding.evidence import Evidence, MetricEvidence
from ebbtide.finding.finding import Finding
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, Entity, Float64, Int64
from ebbtide.store.reading import Grouping
from ebbtide.store.view import View
from ebbtide.web.usual import band

#: Hours shown before the first and after the last marked bucket.
CONTEXT_NS = 9 * HOUR_NS
#: More points than this cannot be told apart on a screen.
MOST_POINTS = 1_500
#: A finding that lasts longer is shown by its last days.
LONGEST_NS = 14 * DAY_NS
#: How many earlier weeks are drawn as ghosts.
WEEKS = 3
#: The days before the chart whose hours tell what is usual.
USUAL_DAYS = 30

Values = list[float | None]


class Ghost(BaseModel):
    """The same hours some weeks before."""

    weeks: int
    sent: Values


class FindingChart(BaseModel):
    """One metric around a finding. `time` holds the starts of points in Unix milliseconds, `step_s` lies between them.

    `grain` is `bucket` (a point is what was tested, or the largest of several) or `hour` (hourly totals spread evenly).
    `lower` to `upper` is what is usual: one value each, mean +- one deviation of the baseline, where a line for each
    bucket was used; else a value a point, the 10th and 90th percentile of the same hour of the 30 days before, spread
    evenly. `line` is that line, or the record hour (`line_words`). `marks` are [start, end) of what counted.
    """

    metric: str
    unit: str
    statistic: str
    bucket_s: float
    step_s: float
    grain: str
    time: list[int]
    sent: Values
    received: Values | None
    ghosts: list[Ghost]
    mean: float | None
    line: float | None
    lower: float | Values | None
    upper: float | Values | None
    marks: list[tuple[int, int]]


@dataclass(frozen=True, slots=True, eq=False)
class _Axis:
    """Buckets from `start_ns` on, `fold` of them a point."""

    start_ns: int
    bucket_ns: int
    count: int
    fold: int = field(default=1)

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.count * self.bucket_ns

    def folded(self, values: Float64) -> Values:
        """The largest of every `fold` values; what is not known anywhere is None."""
        width = -(-self.count // self.fold) * self.fold
        padded = np.full(width, -np.inf)
        padded[: self.count] = np.where(np.isnan(values), -np.inf, values)
        highest = padded.reshape(-1, self.fold).max(axis=1)
        return [one if np.isfinite(one) else None for one in highest.tolist()]


def finding_chart(
    view: View, finding: Finding, detection: Detection | None, metric: str | None, until_ns: int
) -> FindingChart | None:
    """The chart of one metric of a finding, by default the most telling; None when it has no such metric.

    It ends at `until_ns` at the latest, unless the finding ends later: what is to come is not drawn.
    """
    evidence = finding.evidence
    one = next((each for each in evidence.metrics if each.metric == metric), None)
    one = one if metric is not None else main_metric(evidence)
    if one is None:
        return None
    numbers = members(view, finding, detection)
    axis = _axis(finding, until_ns)
    is_mean = evidence.options.get("statistic") == "mean"
    sent, grain = _sent(view, numbers, one.metric, axis, is_mean)
    if grain == "hour":
        sent = _with_hits(sent, one, axis)
    received = None if is_mean else _received(view, numbers, one.metric, axis, grain)
    ghosts = [
        Ghost(weeks=weeks, sent=axis.folded(past))
        for weeks in range(1, WEEKS + 1)
        if not np.isnan(past := _earlier(view, numbers, one.metric, axis, is_mean, weeks)).all()
    ]
    starts = axis.start_ns + np.arange(0, axis.count, axis.fold, dtype=np.int64) * axis.bucket_ns
    has_line = evidence.detector == "sigma"
    lower, upper = _deviation(one) if has_line else _usual(view, numbers, one.metric, axis)
    record = one.line * axis.bucket_ns / HOUR_NS
    return FindingChart(
        metric=one.metric,
        unit=one.unit,
        statistic="mean" if is_mean else "sum",
        bucket_s=axis.bucket_ns / 1e9,
        step_s=axis.bucket_ns * axis.fold / 1e9,
        grain=grain,
        time=_ms(starts),
        sent=axis.folded(sent),
        received=axis.folded(received) if received is not None and np.nansum(received) > 0 else None,
        ghosts=ghosts,
        mean=_finite(one.mean) if has_line else None,
        line=_finite(one.line) if has_line else _finite(record) if record > 0 else None,
        lower=lower,
        upper=upper,
        marks=[(hit.start_ns // 10**6, (hit.start_ns + axis.bucket_ns) // 10**6) for hit in one.hits],
    )


def band_words(evidence: Evidence) -> str:
    """What the band of the chart is."""
    if evidence.detector == "sigma":
        return "mean ± one deviation"
    return "10th to 90th percentile of this hour of the day, spread evenly"


def line_words(evidence: Evidence) -> str:
    """What the line of the chart is."""
    if evidence.detector == "sigma":
        return "line: what lies above it counts"
    what = "its record hour" if evidence.outbound is not None else "what in an hour would have stayed quiet"
    return f"{what}, spread evenly"


def main_metric(evidence: Evidence) -> MetricEvidence | None:
    """The metric that tells most: bytes before packets before sockets, as in headlines."""
    kinds = ("bytes", "packets", "new_sockets")
    ranked = sorted(
        evidence.metrics,
        key=lambda one: next((at for at, kind in enumerate(kinds) if one.metric.endswith(kind)), len(kinds)),
    )
    return ranked[0] if ranked else None


def members(view: View, finding: Finding, detection: Detection | None) -> list[int]:
    """The stored entities a finding speaks of: a detection may pool columns (upstream pools namespaces).

    Of a finding about a fleet the riskiest one, on whose evidence it rests.
    """
    if finding.evidence.fleet:
        return view.profile.numbers(finding.riskiest)
    if detection is None:
        return view.profile.numbers(finding.entity)
    return [
        number
        for number, entity in enumerate(view.identity.entities)
        if entity.workload == finding.entity.workload and project(entity, detection.by) == finding.entity
    ]


def _axis(finding: Finding, until_ns: int) -> _Axis:
    evidence = finding.evidence
    bucket_ns = evidence.bucket_ns
    hits = [hit.start_ns for one in evidence.metrics for hit in one.hits]
    first_ns = min([finding.opened_ns, *hits])
    end_ns = max(finding.end_ns, min(finding.end_ns + CONTEXT_NS, until_ns))
    start_ns = max(first_ns - CONTEXT_NS, end_ns - LONGEST_NS) // bucket_ns * bucket_ns
    count = max(1, -(-(end_ns - start_ns) // bucket_ns))
    return _Axis(start_ns, bucket_ns, count, -(-count // MOST_POINTS))


def _sent(view: View, numbers: list[int], metric: str, axis: _Axis, is_mean: bool) -> tuple[Float64, str]:
    """What was sent in each bucket, (count,), by samples while there are any, else by hours."""
    values, points = _samples(view, numbers, metric, axis.start_ns, axis)
    if not points.any():
        return _by_hours(view, numbers, metric, axis.start_ns, axis)[0], "hour"
    clusters = sorted({view.identity.entities[one].cluster for one in numbers})
    minutes = view.profile.minutes_heard(clusters, axis.start_ns, axis.end_ns)
    at = ((axis.start_ns + np.arange(axis.count) * axis.bucket_ns) // MINUTE_NS) - axis.start_ns // MINUTE_NS
    heard = minutes[np.minimum(at, len(minutes) - 1)] | (points > 0)
    if is_mean:  # a mean over no points is nothing, not 0
        return np.where(points > 0, values / np.maximum(points, 1), np.nan), "bucket"
    return np.where(heard, values, np.nan), "bucket"


def _samples(view: View, numbers: Sequence[int], metric: str, start_ns: int, axis: _Axis) -> tuple[Float64, Int64]:
    grouping = Grouping(np.array(numbers, np.int32), np.zeros(len(numbers), np.int64), (_label(view, numbers),))
    end_ns = start_ns + axis.count * axis.bucket_ns
    window = view.reading.window(grouping, (metric,), start_ns, end_ns, axis.bucket_ns)
    return window.total[0, 0], window.points[0, 0].astype(np.int64)


def _label(view: View, numbers: Sequence[int]) -> Entity:
    return view.identity.entities[numbers[0]] if numbers else Entity("", "", "")


def _by_hours(view: View, numbers: Sequence[int], metric: str, start_ns: int, axis: _Axis) -> tuple[Float64, Float64]:
    """Sent and received of each bucket as its even share of its hour, (count,)."""
    first_ns = start_ns // HOUR_NS * HOUR_NS
    end_ns = start_ns + axis.count * axis.bucket_ns
    _, sent, received = view.profile.hours(numbers, metric, first_ns, -(-end_ns // HOUR_NS) * HOUR_NS)
    at = (start_ns + np.arange(axis.count) * axis.bucket_ns - first_ns) // HOUR_NS
    share = axis.bucket_ns / HOUR_NS
    return sent[at] * share, received[at] * share


def _deviation(one: MetricEvidence) -> tuple[float | None, float | None]:
    return _finite(max(one.mean - one.stdev, 0.0)), _finite(one.mean + one.stdev)


def _usual(view: View, numbers: Sequence[int], metric: str, axis: _Axis) -> tuple[Values | None, Values | None]:
    """The usual band of the days before, as each bucket's even share of its hour; None where too few days are known."""
    first_ns = (axis.start_ns // DAY_NS - USUAL_DAYS) * DAY_NS
    starts, sent, _ = view.profile.hours(numbers, metric, first_ns, axis.start_ns)
    usual = band(starts, sent)
    if np.isnan(usual.upper).all():
        return None, None
    hour = (axis.start_ns + np.arange(axis.count) * axis.bucket_ns) // HOUR_NS % 24
    share = axis.bucket_ns / HOUR_NS
    # `first_ns` is midnight, so the first day has every hour of the day in its place.
    lower, upper = (axis.folded(values[:24][hour] * share) for values in (usual.lower, usual.upper))
    return lower, upper


def _with_hits(sent: Float64, one: MetricEvidence, axis: _Axis) -> Float64:
    for hit in one.hits:
        at = (hit.start_ns - axis.start_ns) // axis.bucket_ns
        if 0 <= at < axis.count:
            sent[at] = hit.value
    return sent


def _received(view: View, numbers: Sequence[int], metric: str, axis: _Axis, grain: str) -> Float64:
    if grain == "hour":
        return _by_hours(view, numbers, metric, axis.start_ns, axis)[1]
    return view.profile.received_buckets(numbers, metric, axis.start_ns, axis.end_ns, axis.bucket_ns)


def _earlier(view: View, numbers: list[int], metric: str, axis: _Axis, is_mean: bool, weeks: int) -> Float64:
    shift_ns = weeks * 7 * DAY_NS
    past = _Axis(axis.start_ns - shift_ns, axis.bucket_ns, axis.count, axis.fold)
    sent, grain = _sent(view, numbers, metric, past, is_mean)
    # A mean of points cannot be had from an hour's total.
    return np.full(axis.count, np.nan) if is_mean and grain == "hour" else sent


def _ms(starts_ns: Int64) -> list[int]:
    return [int(one) for one in (starts_ns // 10**6).tolist()]


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
