"""Which evaluations are due: pure arithmetic over watermarks, grids and what was judged before.

A cluster's watermark is the newest end of its samples (or heartbeats) minus the lateness that is allowed: everything
below it has arrived. A detection that keeps clusters apart is due cluster by cluster, so that a slow one holds up no
other; one whose rows pool clusters is due when every cluster that is not silent has come so far.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ebbtide.backtest import instants
from ebbtide.detect.detection import Detection
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS
from ebbtide.store.progress import TOGETHER, LateHour, Reach


@dataclass(frozen=True, slots=True)
class Pace:
    """How long is waited, and how much is done at once.

    `lateness_ns`: samples that end so long before the newest of their cluster still count as in time. `silence_ns`: a
    cluster of which nothing arrived for so long is silent. `late_ns`: later data are not judged any more. `recent_ns`:
    what was missed longer ago is judged at the pace of history, which is coarser. `most`: evaluations in one call.
    """

    lateness_ns: int = 2 * MINUTE_NS
    silence_ns: int = 15 * MINUTE_NS
    late_ns: int = DAY_NS
    recent_ns: int = HOUR_NS
    most: int = 50


@dataclass(frozen=True, slots=True)
class Due:
    """One evaluation to be made: a detection at an instant, over these clusters (`TOGETHER`: over all as one)."""

    at_ns: int
    detection: Detection
    clusters: tuple[str, ...]

    @property
    def data_ns(self) -> int:
        """Data that end before this are looked at."""
        return self.at_ns - self.detection.lag_ns


def watermarks(newest: Mapping[str, int], now_ns: int, pace: Pace) -> dict[str, int]:
    """By cluster, up to where everything has arrived. A clock that is ahead moves nothing past the present.

    >>> watermarks({"prod": 100 * MINUTE_NS}, 200 * MINUTE_NS, Pace())["prod"] // MINUTE_NS
    98
    """
    return {cluster: min(end_ns, now_ns) - pace.lateness_ns for cluster, end_ns in newest.items()}


def silent(newest: Mapping[str, int], now_ns: int, pace: Pace) -> set[str]:
    """The clusters whose newest data are older than what lateness and silence allow together."""
    return {cluster for cluster, end_ns in newest.items() if end_ns < now_ns - pace.lateness_ns - pace.silence_ns}


def due(
    detections: Iterable[Detection],
    newest: Mapping[str, int],
    first: Mapping[str, int],
    reached: Mapping[tuple[str, str], Reach],
    now_ns: int,
    pace: Pace,
) -> tuple[list[Due], bool]:
    """The next evaluations in the order of their instants, at most `pace.most`, and whether more are due.

    An instant is due once all data that end before it minus the detection's lag have arrived. What was never judged
    begins with the cluster's first sample, at most `pace.late_ns` before its watermark.
    """
    marks = watermarks(newest, now_ns, pace)
    asleep = silent(newest, now_ns, pace)
    steps: dict[tuple[int, str], list[str]] = {}
    by_id = {one.id: one for one in detections}
    is_more = False
    for detection in by_id.values():
        for cluster, (begin_ns, mark_ns) in _rows(detection, marks, first, asleep).items():
            reach = reached.get((detection.id, cluster))
            after_ns = max(begin_ns, mark_ns - pace.late_ns) if reach is None else reach.judged_ns
            until_ns = min(mark_ns + detection.lag_ns, now_ns)
            waiting = _waiting(detection, after_ns, until_ns, mark_ns - pace.recent_ns)
            is_more |= len(waiting) > pace.most
            for at_ns in waiting[: pace.most]:
                steps.setdefault((at_ns, detection.id), []).append(cluster)
    order = sorted(steps)
    found = [Due(at_ns, by_id[id], tuple(sorted(steps[at_ns, id]))) for at_ns, id in order[: pace.most]]
    return found, is_more or len(order) > pace.most


def _waiting(detection: Detection, after_ns: int, until_ns: int, recent_ns: int) -> list[int]:
    """The instants in (after, until]: what is recent as often as the detection looks, what is older as history is."""
    old_ns = min(max(after_ns, recent_ns), until_ns)
    return [
        *instants(after_ns + 1, old_ns, detection.history_ns),
        *instants(max(after_ns, old_ns) + 1, until_ns, detection.every_ns),
    ]


def _rows(
    detection: Detection, marks: Mapping[str, int], first: Mapping[str, int], asleep: set[str]
) -> dict[str, tuple[int, int]]:
    """What is due by itself: the first sample and the watermark of each cluster, or of all together."""
    known = [cluster for cluster in marks if cluster in first]
    if "cluster" in detection.by:
        return {cluster: (first[cluster], marks[cluster]) for cluster in known}
    awake = [cluster for cluster in known if cluster not in asleep]
    if not awake:
        return {}
    return {TOGETHER: (min(first[cluster] for cluster in known), min(marks[cluster] for cluster in awake))}


def due_again(
    detections: Iterable[Detection], late: Iterable[LateHour], reached: Mapping[tuple[str, str], Reach]
) -> list[Due]:
    """The evaluations that judge late hours once more, in the order of their instants.

    Of the instants at which a detection looked at the hour, those that are a quarter of its window apart: a detection
    that runs every minute does not run a hundred times for one sample.
    """
    steps: dict[tuple[int, str], set[str]] = {}
    by_id = {one.id: one for one in detections}
    hours = sorted(set(late))
    for detection in by_id.values():
        step_ns = -(-detection.window_ns // 4 // detection.every_ns) * detection.every_ns or detection.every_ns
        for one in hours:
            cluster = one.cluster if "cluster" in detection.by else TOGETHER
            reach = reached.get((detection.id, cluster))
            if reach is None:
                continue
            from_ns = one.hour * HOUR_NS + detection.lag_ns
            until_ns = min(from_ns + HOUR_NS + detection.window_ns - 1, reach.judged_ns)
            for at_ns in instants(from_ns + 1, until_ns, step_ns):
                steps.setdefault((at_ns, detection.id), set()).add(cluster)
    return [Due(at_ns, by_id[id], tuple(sorted(steps[at_ns, id]))) for at_ns, id in sorted(steps)]


def too_old(late: Sequence[LateHour], newest: Mapping[str, int], pace: Pace) -> list[LateHour]:
    """The late hours that lie too far back to be judged once more."""
    return [one for one in late if (one.hour + 1) * HOUR_NS < newest.get(one.cluster, 0) - pace.late_ns]
