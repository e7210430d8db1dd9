"""What a finding rests on, as a snapshot: enough to repeat the evaluation when the samples are long gone.

Per metric the baseline's moments and every bucket above the line, beside them the detector with its complete options;
`repeat` builds a window from nothing else and asks the detector again. Destinations are given by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ebbtide.baseline.moments import Moments
from ebbtide.detect.detection import AnyDetector
from ebbtide.detect.detector import Anomalies, Baseline
from ebbtide.detect.joined_detector import Joined, JoinedSettings
from ebbtide.detect.novelty_detector import Novelty
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.detect.outbound_detector import Outbound, OutboundSettings
from ebbtide.finding.novelty_evidence import NoveltyEvidence
from ebbtide.finding.novelty_repeat import repeat_score
from ebbtide.finding.outbound_evidence import OutboundEvidence
from ebbtide.finding.outbound_repeat import repeat_scores
from ebbtide.series import Endpoint, Entity, Window

#: Hits kept per metric: all of an hour in 10 s buckets, aligned or not. Of longer windows the rest is only counted.
HITS_KEPT = 361
#: Destinations kept; the rest is counted.
DESTINATIONS_KEPT = 10
#: A record whose hits lie further apart than this many buckets is not repeated (30 days of 10 s are 259,200).
_WIDEST = 300_000


@dataclass(frozen=True, slots=True)
class HitBucket:
    """One bucket above the line: its start, the sum and number of its points, and the value that was tested."""

    start_ns: int
    total: float
    points: int
    value: float


@dataclass(frozen=True, slots=True)
class BaselineMoments:
    """The moments of the baseline, as the detector was given them; `count` is the number of points."""

    count: int
    mean: float
    m2: float
    minimum: float
    maximum: float


@dataclass(frozen=True, slots=True)
class MetricEvidence:
    """What one metric showed.

    `value`, `mean`, `stdev` and `line` belong to the worst hit, the one furthest above its line, in the unit of the
    tested statistic; `stdev` is what stood for the standard deviation. `total` is what was sent in all hit buckets,
    those left out of `hits` included. `usual_hour` is what the entity usually sends in an hour, None where not known.
    """

    metric: str
    unit: str
    value: float
    total: float
    mean: float
    stdev: float
    line: float
    baseline: BaselineMoments
    usual_hour: float | None
    hits: tuple[HitBucket, ...]
    hits_left_out: int = 0

    @property
    def deviations(self) -> float | None:
        """Standard deviations of the worst hit above the mean; None where there is no spread."""
        return (self.value - self.mean) / self.stdev if self.stdev > 0 else None


@dataclass(frozen=True, slots=True)
class DestinationShare:
    """What went to one place: bytes, their share of all (0 to 1), and when it was first sent to.

    `first_seen_ns` None: never before in the time of the baseline.
    """

    endpoint: Endpoint
    bytes: float
    share: float
    first_seen_ns: int | None

    @property
    def name(self) -> str:
        """The place in short, as received: `namespace/workload`, a name or an address."""
        place = self.endpoint
        name = place.workload or place.process or place.kind.value
        return f"{place.namespace}/{name}" if place.namespace else name


@dataclass(frozen=True, slots=True)
class Member:
    """One entity of a finding about a fleet: its own finding's uid, opening, risk score and sentence."""

    entity: Entity
    uid: str
    opened_ns: int
    risk: float
    headline: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All a verdict rests on. Windows and baselines are half-open; `snapped` as in `Baseline`."""

    detector: str
    options: Mapping[str, object]
    detection_version: str
    window_start_ns: int
    window_end_ns: int
    bucket_ns: int
    baseline_from_ns: int
    baseline_to_ns: int
    baseline_snapped: bool
    count: int
    metrics: tuple[MetricEvidence, ...]
    destinations: tuple[DestinationShare, ...] = ()
    destinations_left_out: int = 0
    outbound: OutboundEvidence | None = None
    """What the detector `outbound`, or that part of `joined`, was judged with; None where it did not fire."""

    novelty: NoveltyEvidence | None = None
    """What the detector `novelty`, or that part of `joined`, was judged with; None where it did not fire."""

    fleet: tuple[Member, ...] = ()
    """The entities a finding about many is about; everything else here is of the riskiest at the last evaluation."""

    @property
    def has_other_destinations(self) -> bool:
        """Whether something went to places that are not listed."""
        return self.destinations_left_out > 0 or sum(one.share for one in self.destinations) < 0.995


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the detector says the same of the evidence alone; `differences` in words, empty where it agrees.

    `is_complete`: no hit was left out of the record, so the count is repeated and not only bounded.
    """

    agrees: bool
    is_complete: bool
    count: int
    differences: tuple[str, ...]


def repeat(evidence: Evidence, detector: AnyDetector) -> Verdict:
    """The detector's verdict on the evidence alone, compared with the recorded one: hits, lines and count.

    Works for detectors that judge each bucket by itself. Where hits were left out of the record, the count of those
    kept must not exceed the recorded one and must reach it with those left out.
    """
    left_out = sum(one.hits_left_out for one in evidence.metrics)
    if detector.name != evidence.detector:
        return Verdict(False, left_out == 0, 0, (f"detector {detector.name}, recorded {evidence.detector}",))
    if isinstance(detector, Outbound | Novelty | Joined):
        return _repeat_learned(evidence, detector)
    starts = [hit.start_ns for one in evidence.metrics for hit in one.hits]
    if not starts or (max(starts) - min(starts)) // evidence.bucket_ns >= _WIDEST:
        return Verdict(False, left_out == 0, 0, ("no hits, or hits too far apart, in the record",))
    window = _window_of(evidence, min(starts), max(starts))
    anomalies = detector.score(window, _baseline_of(evidence), detector.options.model_validate(dict(evidence.options)))
    count = int(anomalies.count[0])
    differences = _differences(evidence, anomalies)
    if not count <= evidence.count <= count + left_out:
        differences.append(f"count {count}, recorded {evidence.count}")
    if left_out == 0 and not anomalies.fired[0]:
        differences.append("does not fire")
    return Verdict(not differences, left_out == 0, count, tuple(differences))


def _repeat_learned(evidence: Evidence, detector: Outbound | Novelty | Joined) -> Verdict:
    """Each part by itself; what is judged by one part must have it, what joins several at least one."""
    differences: list[str] = []
    amount = evidence.outbound if isinstance(detector, Outbound | Joined) else None
    new = evidence.novelty if isinstance(detector, Novelty | Joined) else None
    if amount is None and new is None:
        return Verdict(False, True, 0, ("the record holds nothing to judge again",))
    if amount is not None:
        options = dict(evidence.options)
        if isinstance(detector, Joined):
            settings = JoinedSettings.model_validate(options).outbound()
        else:
            settings = OutboundSettings.model_validate(options)
        differences += _outbound_differences(amount, settings)
    if new is not None:
        differences += _novelty_differences(new)
    return Verdict(not differences, True, evidence.count, tuple(differences))


def _outbound_differences(found: OutboundEvidence, settings: OutboundSettings) -> list[str]:
    scores = repeat_scores(found, settings.options())
    differences = [
        f"{one.metric}: score {score}, recorded {one.score}"
        for one, score in zip(found.pairs, scores, strict=True)
        if score != one.score
    ]
    return differences if max(scores) > found.threshold else [*differences, "does not pass the threshold"]


def _novelty_differences(found: NoveltyEvidence) -> list[str]:
    score = repeat_score(found, NoveltyOptions())
    differences = [] if score == found.score else [f"score {score}, recorded {found.score}"]
    return differences if score > found.threshold else [*differences, "does not pass the threshold"]


def _window_of(evidence: Evidence, first_ns: int, last_ns: int) -> Window:
    width = (last_ns - first_ns) // evidence.bucket_ns + 1
    shape = (1, len(evidence.metrics), width)
    total, points = np.zeros(shape), np.zeros(shape, np.int32)
    for row, one in enumerate(evidence.metrics):
        for hit in one.hits:
            column = (hit.start_ns - first_ns) // evidence.bucket_ns
            total[0, row, column], points[0, row, column] = hit.total, hit.points
    names = tuple(one.metric for one in evidence.metrics)
    return Window((Entity("", "", ""),), names, first_ns, evidence.bucket_ns, total, points)


def _baseline_of(evidence: Evidence) -> Baseline:
    sets = [one.baseline for one in evidence.metrics]
    moments = Moments(
        np.array([[one.count for one in sets]], np.int64),
        np.array([[one.mean for one in sets]]),
        np.array([[one.m2 for one in sets]]),
        np.array([[one.minimum for one in sets]]),
        np.array([[one.maximum for one in sets]]),
    )
    return Baseline(moments, evidence.baseline_from_ns, evidence.baseline_to_ns, evidence.baseline_snapped)


def _differences(evidence: Evidence, anomalies: Anomalies) -> list[str]:
    """Hits that differ from the record, and lines of worst hits that do."""
    differences = []
    for row, one in enumerate(evidence.metrics):
        at = np.flatnonzero(anomalies.metric == row)
        again = {int(anomalies.bucket_ns[i]): float(anomalies.value[i]) for i in at}
        recorded = {hit.start_ns: hit.value for hit in one.hits}
        if again != recorded:
            differences.append(f"{one.metric}: {len(again)} hits, recorded {len(recorded)}, or other values")
        if len(at) and one.line not in anomalies.line[at]:
            differences.append(f"{one.metric}: line {float(anomalies.line[at[0]])}, recorded {one.line}")
    return differences
