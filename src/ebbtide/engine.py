"""The path in order: keep a batch, derive what changed, judge a window. No threads, no clock, no sockets.

`detect`, `backtest` and the service call the same functions with another `now_ns`; that is what makes live and replay
agree. Work is cut into shards of whole baselines, so memory is bounded and no result depends on the cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ebbtide import joined, joined_findings, novelty, novelty_findings, outbound, outbound_findings
from ebbtide.detect.detection import Detection, Detectors, Key, WindowDetector, project
from ebbtide.detect.detector import Anomalies, Baseline
from ebbtide.detect.joined_detector import Joined, JoinedSettings
from ebbtide.detect.novelty_detector import Novelty, NoveltySettings
from ebbtide.detect.outbound_detector import Outbound, OutboundSettings
from ebbtide.finding.assemble import Context, findings
from ebbtide.finding.finding import Finding
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, SECOND_NS, Entity, Int64, Window
from ebbtide.store.contacts import Span, destinations_of
from ebbtide.store.reading import Grouping
from ebbtide.store.view import View

#: Entities judged at once. 5,000 entities, 5 metrics and 360 buckets are 110 MB of window.
SHARD = 5_000


@dataclass(slots=True)
class Evaluation:
    """What one detection said at one instant, and proof of what it looked at.

    Counts are of (entity, metric) pairs that sent something in the window: `scored`, `unscored` by reason. `entities`
    is how many rows the window had; `missing` how many senders lack a column the detection needs.
    """

    detection: str
    now_ns: int
    entities: int = 0
    scored: int = 0
    unscored: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    snapped: bool = False
    findings: list[Finding] = field(default_factory=list)


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """Whole baselines with every window row that is compared with them."""

    window: Grouping
    baseline: Grouping
    #: For each window row its baseline's number.
    baseline_of: Int64
    bucket_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One shard with what went into the detector and what came out."""

    shard: Shard
    window: Window
    baseline: Baseline
    anomalies: Anomalies


def evaluate(
    store: View,
    detection: Detection,
    now_ns: int,
    *,
    detectors: Detectors = DETECTORS,
    shard_entities: int = SHARD,
    clusters: Container[str] | None = None,
) -> Evaluation:
    """Everything `detection` has to say at `now_ns`, from what the store holds and nothing later.

    With `clusters` only their senders are judged; a baseline that pools clusters still reads all of them. The caller
    has rolled the store up. An empty store is legal: zero entities is an answer.
    """
    result = Evaluation(detection.id, now_ns)
    detector = detectors[detection.detector]
    if isinstance(detector, Outbound | Novelty | Joined):
        _LEARNED[detector.name](store, detection, now_ns, result, clusters)
        return result
    for judged in judge(store, detection, now_ns, result, detector, shard_entities, clusters):
        if judged.anomalies.fired.any():
            context = _context(store, judged)
            result.findings += findings(
                detection, judged.window, judged.baseline, judged.anomalies, now_ns=now_ns, context=context
            )
    result.findings.sort(key=lambda finding: (finding.opened_ns, finding.entity))
    return result


def judge(
    store: View,
    detection: Detection,
    now_ns: int,
    result: Evaluation,
    detector: WindowDetector,
    shard_entities: int = SHARD,
    clusters: Container[str] | None = None,
) -> Iterator[Judged]:
    """Run the detector over every shard; `result` gains the counts."""
    options = detection.options_for(detector)
    to_ns = now_ns - detection.lag_ns
    metrics = detection.selects(store.identity.metrics)
    for shard in _shards(store, detection, to_ns, result, shard_entities, clusters):
        window = store.reading.window(shard.window, metrics, to_ns - detection.window_ns, to_ns, shard.bucket_ns)
        baseline = _baseline(store, detection, metrics, shard, to_ns)
        anomalies = detector.score(window, baseline, options)
        result.entities += len(shard.window)
        result.scored += int(anomalies.scored.sum())
        result.unscored.update({why: int(mask.sum()) for why, mask in anomalies.unscored.items() if mask.any()})
        result.snapped |= baseline.snapped
        yield Judged(shard, window, baseline, anomalies)


def _evaluate_outbound(
    store: View, detection: Detection, now_ns: int, result: Evaluation, clusters: Container[str] | None
) -> None:
    """The outbound detector's findings; `result` gains the counts of pairs of entity and metric.

    What is fleet-wide (its scale, how many others are unusual) takes all clusters as they are known by now.
    """
    to_ns = now_ns - detection.lag_ns
    metrics = detection.selects(store.identity.metrics)
    judged = outbound.judge(store, to_ns, OutboundSettings.model_validate(detection.options), metrics)
    _count_outbound(store, judged, result, clusters)
    result.findings = _of_clusters(outbound_findings.findings(store, detection, judged, to_ns), clusters)


def _count_outbound(store: View, judged: outbound.Judged, result: Evaluation, clusters: Container[str] | None) -> None:
    ours = _among(store, judged.entities, clusters)
    is_ours = np.isin(judged.opened.pairs.entity, judged.entities[ours])
    silent = np.isnan(judged.sent[:, 0]) & is_ours
    known = is_ours & ~silent & ~np.isneginf(judged.scored.score[:, 0])
    sent = known & (judged.sent[:, 0] > 0)
    valid = judged.opened.records.windows[0].summary.days.max(axis=1, initial=0) > 0
    result.entities = int(ours.sum())
    result.scored = int((known & valid).sum())
    new = int(_among(store, judged.new, clusters).sum())
    unscored = {"no_baseline": new + int((sent & ~valid).sum()), "no_coverage": int(silent.sum())}
    result.unscored.update({why: count for why, count in unscored.items() if count})


def _evaluate_novelty(
    store: View, detection: Detection, now_ns: int, result: Evaluation, clusters: Container[str] | None
) -> None:
    """The novelty detector's findings; it judges entities, whatever their metrics, so `result` counts entities."""
    to_ns = now_ns - detection.lag_ns
    judged = novelty.judge(store, to_ns, NoveltySettings.model_validate(detection.options))
    ours = _among(store, judged.entities, clusters)
    young = int((judged.is_young & ours).sum())
    result.entities = int(ours.sum())
    result.scored = result.entities - young
    if young:
        result.unscored["no_baseline"] += young
    result.findings = _of_clusters(novelty_findings.findings(store, detection, judged, to_ns), clusters)


def _evaluate_joined(
    store: View, detection: Detection, now_ns: int, result: Evaluation, clusters: Container[str] | None
) -> None:
    """One finding for what both parts say of an entity; `result` counts as the outbound detector does.

    Its entities are those that either part looked at.
    """
    to_ns = now_ns - detection.lag_ns
    metrics = detection.selects(store.identity.metrics)
    judged = joined.judge(store, to_ns, JoinedSettings.model_validate(detection.options), metrics)
    _count_outbound(store, judged.outbound, result, clusters)
    looked_at = np.union1d(judged.outbound.entities, judged.novelty.entities)
    result.entities = int(_among(store, looked_at, clusters).sum())
    result.findings = _of_clusters(joined_findings.findings(store, detection, judged, to_ns), clusters)


def _among(store: View, numbers: Int64, clusters: Container[str] | None) -> NDArray[np.bool_]:
    """Which of these entities belong to the clusters that are asked for."""
    names = store.identity.entities
    return np.array([clusters is None or names[one].cluster in clusters for one in numbers.tolist()], np.bool_)


def _of_clusters(found: list[Finding], clusters: Container[str] | None) -> list[Finding]:
    return [one for one in found if clusters is None or one.entity.cluster in clusters]


#: Detectors that are judged with what the store has learned, by name.
_LEARNED: Mapping[str, Callable[[View, Detection, int, Evaluation, Container[str] | None], None]] = {
    Outbound.name: _evaluate_outbound,
    Novelty.name: _evaluate_novelty,
    Joined.name: _evaluate_joined,
}


def _baseline(store: View, detection: Detection, metrics: tuple[str, ...], shard: Shard, to_ns: int) -> Baseline:
    spec = detection.baseline
    from_ns, until_ns = to_ns - spec.length_ns, to_ns - spec.gap_ns
    moments = store.reading.moments(
        shard.baseline, metrics, from_ns, until_ns, of=spec.of, is_masked=spec.masks == "apply"
    )
    if spec.of == "buckets":
        moments = moments.scaled(shard.bucket_ns / SECOND_NS)
    floor_ns = from_ns // HOUR_NS * HOUR_NS
    return Baseline(moments.take(shard.baseline_of), floor_ns, until_ns, snapped=floor_ns != from_ns)


def _shards(
    store: View,
    detection: Detection,
    to_ns: int,
    result: Evaluation,
    shard_entities: int,
    clusters: Container[str] | None,
) -> Iterator[Shard]:
    """Cut the senders of the window, and everything that shares a baseline with them, into shards."""
    entities = store.identity.entities
    senders = store.reading.senders(to_ns - detection.window_ns, to_ns).tolist()
    senders = [number for number in senders if clusters is None or entities[number].cluster in clusters]
    known = [number for number in senders if _has(entities[number], detection.requires)]
    result.missing += len(senders) - len(known)
    intervals = store.reading.intervals_s(to_ns)
    rows: dict[tuple[int, Entity], dict[Entity, list[int]]] = {}
    for number in known:
        entity = entities[number]
        bucket_ns = detection.bucket_of(intervals.get(entity.cluster, 0) * SECOND_NS)
        key = (bucket_ns, project(entity, detection.baseline.by))
        rows.setdefault(key, {}).setdefault(project(entity, detection.by), []).append(number)
    pools = _pools(entities, detection, {key for _, key in rows})
    for bucket_ns in sorted({bucket for bucket, _ in rows}):
        keys = [key for bucket, key in rows if bucket == bucket_ns]
        for chunk in _chunks(keys, [len(pools[key]) for key in keys], shard_entities):
            yield _shard([(key, pools[key], rows[bucket_ns, key]) for key in chunk], bucket_ns)


def _pools(entities: list[Entity], detection: Detection, keys: set[Entity]) -> dict[Entity, list[int]]:
    """For each baseline its entities, whether or not they sent anything in the window."""
    needed = tuple(key for key in detection.requires if key in detection.baseline.by)
    pools: dict[Entity, list[int]] = {key: [] for key in keys}
    for number, entity in enumerate(entities):
        pool = pools.get(project(entity, detection.baseline.by))
        if pool is not None and _has(entity, needed):
            pool.append(number)
    return pools


def _has(entity: Entity, keys: tuple[Key, ...]) -> bool:
    return all(getattr(entity, key) for key in keys)


def _chunks(keys: list[Entity], sizes: list[int], most: int) -> Iterator[list[Entity]]:
    """Keys in order, cut so that each chunk has about `most` entities, but at least one key."""
    chunk: list[Entity] = []
    filled = 0
    for key, size in zip(keys, sizes, strict=True):
        if chunk and filled + size > most:
            yield chunk
            chunk, filled = [], 0
        chunk.append(key)
        filled += size
    if chunk:
        yield chunk


def _shard(members: list[tuple[Entity, list[int], dict[Entity, list[int]]]], bucket_ns: int) -> Shard:
    baseline = _grouping([(key, pool) for key, pool, _ in members])
    rows = [(label, numbers) for _, _, labels in members for label, numbers in labels.items()]
    baseline_of = np.repeat(np.arange(len(members)), [len(labels) for _, _, labels in members])
    return Shard(_grouping(rows), baseline, baseline_of, bucket_ns)


def _grouping(rows: list[tuple[Entity, list[int]]]) -> Grouping:
    numbers = np.array([number for _, numbers in rows for number in numbers], np.int32)
    group = np.repeat(np.arange(len(rows)), [len(numbers) for _, numbers in rows])
    order = np.argsort(numbers, kind="stable")
    return Grouping(numbers[order], group[order], tuple(label for label, _ in rows))


def _context(store: View, judged: Judged) -> Context:
    """Where the entities that fired sent it, and what an hour of theirs usually is."""
    anomalies, window, group = judged.anomalies, judged.window, judged.shard.window.group
    fired = np.flatnonzero(anomalies.fired)
    members = np.isin(group, fired)
    numbers, rows = judged.shard.window.numbers[members], group[members]
    label_of = {number: window.entities[row] for number, row in zip(numbers.tolist(), rows.tolist(), strict=True)}
    spans = {}
    for row in fired.tolist():
        hits = anomalies.bucket_ns[anomalies.entity == row]
        spans[row] = int(hits.min()), int(hits.max()) + window.bucket_ns
    contacts = store.contacts.of(
        [Span(number, *spans[row]) for number, row in zip(numbers.tolist(), rows.tolist(), strict=True)], ".bytes"
    )
    usual: dict[Entity, dict[str, float]] = {}
    hours = store.reading.usual_hours(numbers, judged.baseline.from_ns, judged.baseline.to_ns)
    for (number, metric), sent in hours.items():
        of_label = usual.setdefault(label_of[number], {})
        of_label[metric] = of_label.get(metric, 0.0) + sent
    units = store.contacts.units()
    return Context(destinations_of(contacts, label_of), usual, unit=units.pop() if len(units) == 1 else "")
