"""Count what detections told: paired hits, false findings per 1000 entity-days, recall at a budget, delays, bytes lost.

In: what was told of the uninjected twin and of each injected store, as plain rows, and the labels. Out: figures. Knows
no store and no detector, so any detection is judged by the same few lines; the rules are those of docs/laboratory.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ebbtide.lab.cluster_inject import Event, Injection
from ebbtide.lab.simulate_dice import keys_of, roll, uniform_int
from ebbtide.series import DAY_NS, HOUR_NS, Entity, Float64, Int64

#: Rows of one entity up to this far apart are one finding.
MERGE_NS = 6 * HOUR_NS
#: An event may still be told this long after its end.
GRACE_NS = HOUR_NS
BUDGETS: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0, 1.0)
_ROUNDS = 1000


@dataclass(frozen=True, slots=True)
class Told:
    """One row a detection gave at one tick: `entity` as it names it, above the line over [from_ns, to_ns).

    `at_ns` is the tick, `score` how far above the line, in the detection's own unit: more is more surprising. `fleet`
    is the uid of the finding about many entities that told it, "" where it was told by itself.
    """

    detection: str
    entity: Entity
    from_ns: int
    to_ns: int
    at_ns: int
    score: float
    fleet: str = ""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How long how many were watched: entity-days over [from_ns, to_ns) on which the source was heard."""

    from_ns: int
    to_ns: int
    entities: int
    entity_days: float


def names(told: Entity, event: Event) -> bool:
    """Whether a detection's entity is who sends in the event: the fields it fills in agree."""
    return all(not mine or mine == theirs for mine, theirs in zip(_fields(told), _fields(event.sender), strict=True))


def _fields(entity: Entity) -> tuple[str, str, str, str]:
    return entity.cluster, entity.namespace, entity.workload, entity.process


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows of one entity, or told by one finding about a fleet, that belong together, all detections alike."""

    entity: Entity
    from_ns: int
    to_ns: int
    at_ns: int


def findings(rows: Iterable[Told], merge_ns: int = MERGE_NS) -> list[Finding]:
    """Rows joined per entity, or fleet, over gaps of up to `merge_ns`, by start; each told when its first row was.

    One about a fleet counts for the first entity it told.
    """
    by_matter: dict[Entity | str, list[Told]] = {}
    for row in rows:
        by_matter.setdefault(row.fleet or row.entity, []).append(row)
    found: list[Finding] = []
    for of_matter in by_matter.values():
        current: Finding | None = None
        of_matter.sort(key=lambda one: (one.from_ns, one.at_ns, one.entity))
        entity = of_matter[0].entity
        for row in of_matter:
            if current is not None and row.from_ns <= current.to_ns + merge_ns:
                at_ns = min(current.at_ns, row.at_ns)
                current = Finding(entity, current.from_ns, max(current.to_ns, row.to_ns), at_ns)
                found[-1] = current
            else:
                current = Finding(entity, row.from_ns, row.to_ns, row.at_ns)
                found.append(current)
    return sorted(found, key=lambda one: (one.from_ns, one.entity))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event. `delay_s` and `lost` (bytes, and as a share) are None when it was not told.

    `is_paired`: told, and the uninjected twin tells nothing of this entity there.
    """

    event: Event
    is_raw: bool
    is_paired: bool
    delay_s: float | None
    lost: float | None
    lost_share: float | None


def judge_event(injection: Injection, told: Sequence[Told], twin: Sequence[Told]) -> Outcome:
    """One event against rows of its own store and of the twin."""
    event = injection.event
    hits = [row for row in told if _overlaps(row, event)]
    is_paired = bool(hits) and not any(_overlaps(row, event) for row in twin)
    if not hits:
        return Outcome(event, False, False, None, None, None)
    at_ns = min(row.at_ns for row in hits)
    lost = injection.sent_before(at_ns)
    delay_s = max(at_ns - event.start_ns, 0) / 1e9
    return Outcome(event, True, is_paired, delay_s, lost, lost / event.sent if event.sent else None)


def _overlaps(row: Told, event: Event) -> bool:
    return row.from_ns < event.end_ns + GRACE_NS and row.to_ns > event.start_ns and names(row.entity, event)


def threshold_at(rows: Sequence[Told], budget: float, exposure: Exposure) -> float:
    """The lowest score that keeps the findings of rows at or above it within `budget` per 1000 entity-days.

    `exposure` is that of the rows. Infinite if no row fits; -infinite if all do.
    """
    most = budget * exposure.entity_days / 1000
    levels = sorted({row.score for row in rows}, reverse=True)
    threshold = np.inf
    for level in levels:
        if len(findings(row for row in rows if row.score >= level)) > most:
            return float(threshold)
        threshold = level
    return -np.inf


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval, entities drawn with replacement; NaN where there is nothing to count."""

    value: float
    low: float
    high: float


def false_findings(rows: Iterable[Told], exposure: Exposure, seed: int) -> Interval:
    """Findings per 1000 entity-days of the uninjected twin: an upper bound of the false ones."""
    counts = Counter(one.entity for one in findings(rows))
    per_entity = np.zeros(max(exposure.entities, len(counts), 1))
    per_entity[: len(counts)] = list(counts.values())
    days = exposure.entity_days / 1000
    if days <= 0:
        return Interval(np.nan, np.nan, np.nan)
    means = _resampled(per_entity, np.ones(len(per_entity)), seed) * len(per_entity)
    return Interval(float(per_entity.sum()) / days, *(_percentiles(means) / days).tolist())


def recall(outcomes: Sequence[Outcome], seed: int, *, is_paired: bool = True) -> Interval:
    """The share of attacks that were told; benign twins do not count."""
    counted = [one for one in outcomes if not one.event.is_benign]
    entities = {entity: at for at, entity in enumerate(dict.fromkeys(one.event.entity for one in counted))}
    hits, events = np.zeros(len(entities)), np.zeros(len(entities))
    for one in counted:
        at = entities[one.event.entity]
        hits[at] += one.is_paired if is_paired else one.is_raw
        events[at] += 1
    if not counted:
        return Interval(np.nan, np.nan, np.nan)
    return Interval(float(hits.sum() / events.sum()), *_percentiles(_resampled(hits, events, seed)).tolist())


def _resampled(numerator: Float64, denominator: Float64, seed: int) -> Float64:
    """Ratios of sums over resampled rows, (_ROUNDS,)."""
    many = len(numerator)
    places: Int64 = np.arange(_ROUNDS * many).reshape(_ROUNDS, many)
    drawn = uniform_int(roll(keys_of(seed, 40, count=1), places), 0, many)
    ratios: Float64 = numerator[drawn].sum(axis=1) / denominator[drawn].sum(axis=1)
    return ratios


def _percentiles(values: Float64) -> Float64:
    return np.asarray(np.percentile(values, [2.5, 97.5]), np.float64)


@dataclass(frozen=True, slots=True)
class Shares:
    """How findings crowd: in the noisiest tenth of the entities, and in hours in which five or more fire."""

    noisiest_tenth: float
    crowded_hours: float


def crowding(rows: Iterable[Told], exposure: Exposure) -> Shares:
    """Shares of the twin's findings, NaN without findings."""
    found = findings(rows)
    if not found:
        return Shares(np.nan, np.nan)
    by_entity = Counter(one.entity for one in found)
    tenth = max(1, exposure.entities // 10)
    hours = Counter(hour for _, hour in {(one.entity, one.from_ns // HOUR_NS) for one in found})
    crowded = sum(hours[one.from_ns // HOUR_NS] >= 5 for one in found)
    return Shares(sum(many for _, many in by_entity.most_common(tenth)) / len(found), crowded / len(found))


@dataclass(frozen=True, slots=True)
class Delays:
    """Of the paired hits: seconds to the first row, bytes and share of them lost by then; None without hits."""

    hits: int
    median_s: float | None
    p90_s: float | None
    median_lost: float | None
    median_lost_share: float | None


def delays(outcomes: Iterable[Outcome]) -> Delays:
    """How late, and what was gone by then."""
    hits = [one for one in outcomes if one.is_paired and not one.event.is_benign]
    if not hits:
        return Delays(0, None, None, None, None)
    seconds = [one.delay_s for one in hits if one.delay_s is not None]
    lost = [one.lost for one in hits if one.lost is not None]
    share = [one.lost_share for one in hits if one.lost_share is not None]
    return Delays(
        len(hits),
        float(np.percentile(seconds, 50)),
        float(np.percentile(seconds, 90)),
        float(np.median(lost)),
        float(np.median(share)) if share else None,
    )


def days_of(exposure: Exposure) -> float:
    """Days from the first instant to the last."""
    return (exposure.to_ns - exposure.from_ns) / DAY_NS
