"""Judge a detector: paired recall at budgets of false findings, by the rules of docs/quality.md.

In: scores per hour of the clean stream and of injected events, and thresholds. Out: recall and realised findings. An
event counts only if something fires between its start and an hour after its end, and nothing fires there in the
uninjected twin: a rule that fires all the time must look bad.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.calibration import count_findings, threshold_for
from ebbtide.series import Float64

BUDGETS: tuple[float, ...] = (100.0, 30.0, 10.0, 3.0, 1.0)
#: Gaps up to so many hours between firing hours of an entity are one finding.
MERGE_HOURS = 6
RHO_EDGES: tuple[float, ...] = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class EventScores:
    """Scores of one batch of events on a common grid of decisions.

    `scores` (events, decisions), of which `first` (events,) is each row's first decision on the clean stream's grid;
    the judged decisions are [start, stop) on that grid, (events,) each.
    """

    name: str
    entity: NDArray[np.int64]
    rho: Float64
    scores: Float64
    first: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What became of a batch: `paired` and `raw` hits (events,) at one set of thresholds."""

    name: str
    entity: NDArray[np.int64]
    rho: Float64
    paired: NDArray[np.bool_]
    raw: NDArray[np.bool_]


def fixed_thresholds(
    calibration: Float64, budgets: tuple[float, ...] = BUDGETS, merge: int = MERGE_HOURS
) -> list[float]:
    """One threshold per budget from clean scores (entities, hours): each gave at most its budget there."""
    counts = count_findings(calibration, merge)
    entity_days = calibration.size / 24.0
    return [threshold_for(counts, budget * entity_days / 1000.0) for budget in budgets]


def realised(firing: NDArray[np.bool_], entity_days: float, merge: int = MERGE_HOURS) -> float:
    """Findings per 1000 entity-days of firing decisions (entities, decisions), gaps up to `merge` decisions merged.

    >>> realised(np.array([[True, False, True, False, False, True]]), entity_days=1000.0, merge=2)
    2.0
    """
    counts = count_findings(np.where(firing, 1.0, 0.0), merge)
    return float(counts.at(np.array([0.5]))[0]) / entity_days * 1000.0


def judge(firing: NDArray[np.bool_], threshold: Float64, batch: EventScores) -> Verdicts:
    """Hits of one batch: `firing` (entities, decisions) is the clean stream, `threshold` (decisions,) its line."""
    place = batch.first[:, None] + np.arange(batch.scores.shape[1])
    judged = (place >= batch.start[:, None]) & (place < batch.stop[:, None])
    place = np.minimum(place, firing.shape[1] - 1)
    raw = (judged & (batch.scores > threshold[place])).any(axis=1)
    twin = (judged & firing[batch.entity[:, None], place]).any(axis=1)
    return Verdicts(batch.name, batch.entity, batch.rho, raw & ~twin, raw)


@dataclass(frozen=True, slots=True)
class Recall:
    """Mean of the scenarios' paired recalls, the scenarios' own, recall and number of events by relative size."""

    mean: float
    raw: float
    by_scenario: dict[str, float]
    by_rho: tuple[tuple[int, float], ...]


def summarise_verdicts(verdicts: list[Verdicts], in_mean: frozenset[str]) -> Recall:
    """Recall by scenario, by relative size, and the mean of the scenarios named in `in_mean`."""
    by_scenario, raw = {}, {}
    for name in dict.fromkeys(one.name for one in verdicts):
        batches = [one for one in verdicts if one.name == name]
        by_scenario[name] = float(np.concatenate([one.paired for one in batches]).mean())
        raw[name] = float(np.concatenate([one.raw for one in batches]).mean())
    chosen = [one for one in verdicts if one.name in in_mean]
    return Recall(
        float(np.mean([value for name, value in by_scenario.items() if name in in_mean])),
        float(np.mean([value for name, value in raw.items() if name in in_mean])),
        by_scenario,
        _by_rho(chosen),
    )


def _by_rho(verdicts: list[Verdicts]) -> tuple[tuple[int, float], ...]:
    rho = np.concatenate([one.rho for one in verdicts])
    paired = np.concatenate([one.paired for one in verdicts])
    rows = []
    for low, high in pairwise(RHO_EDGES):
        inside = (rho >= low) & ((rho < high) | np.isinf(high))
        rows.append((int(inside.sum()), float(paired[inside].mean()) if inside.any() else np.nan))
    return tuple(rows)


def bootstrap_recall(verdicts: list[Verdicts], entities: int, seed: int, rounds: int = 1000) -> tuple[float, float]:
    """95 % interval of the mean paired recall, entities drawn with replacement.

    Every entity has as many events of each scenario, so the mean over events is the mean over scenarios.
    """
    per_entity = np.zeros(entities)
    events = np.zeros(entities)
    for one in verdicts:
        np.add.at(per_entity, one.entity, one.paired.astype(float))
        np.add.at(events, one.entity, 1.0)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, entities, (rounds, entities))
    recalls = per_entity[drawn].sum(axis=1) / events[drawn].sum(axis=1)
    low, high = np.percentile(recalls, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_realised(
    firing: NDArray[np.bool_], entity_days: float, seed: int, merge: int = MERGE_HOURS, rounds: int = 1000
) -> tuple[float, float]:
    """95 % interval of the realised findings per 1000 entity-days, entities drawn with replacement."""
    per_entity = np.array([realised(row[None], entity_days / len(firing), merge) for row in firing])
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(firing), (rounds, len(firing)))
    low, high = np.percentile(per_entity[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
