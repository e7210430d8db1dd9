"""From what was told to the figures of a report: per detection and for all of them together, as records and as JSON.

The union counts what an operator would get: findings of any detection joined per entity. Thresholds per budget are set
on the time before the judged span and held there, so the realised budget stands beside the one that was asked for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ebbtide.detect.detection import project
from ebbtide.lab.cluster_judge import (
    BUDGETS,
    Delays,
    Interval,
    Outcome,
    Shares,
    Told,
    crowding,
    delays,
    false_findings,
    findings,
    judge_event,
    recall,
    threshold_at,
)
from ebbtide.lab.cluster_study import Changed, Measured

UNION = "all together"
RHO_EDGES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, math.inf)


@dataclass(frozen=True, slots=True)
class AtBudget:
    """One line: asked for, the lowest score that keeps to it before the judged span, realised, paired recall."""

    budget: float
    threshold: float
    realised: Interval
    paired: Interval


@dataclass(frozen=True, slots=True)
class ScenarioFigures:
    """How many events of a scenario were planted, told raw and paired. A benign twin should be 0 of n."""

    id: str
    name: str
    is_benign: bool
    events: int
    paired: int
    raw: int
    delays: Delays


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """Paired recall of the volume scenarios whose rho lies in [low, high)."""

    low: float
    high: float
    events: int
    paired: int


@dataclass(frozen=True, slots=True)
class NegativeFigures:
    """Findings per 1000 entity-days with a benign change and without, and how many the unmodified twin lacks."""

    name: str
    is_strict: bool
    changed: float
    unchanged: float
    new: int


@dataclass(frozen=True, slots=True)
class DetectionFigures:
    """Everything about one detection, or about all of them."""

    detection: str
    scored: int
    false: Interval
    paired: Interval
    raw: Interval
    delays: Delays
    shares: Shares
    budgets: tuple[AtBudget, ...]
    scenarios: tuple[ScenarioFigures, ...]
    sizes: tuple[SizeFigures, ...]
    negatives: tuple[NegativeFigures, ...]


def figures(measured: Measured, seed: int = 1) -> tuple[DetectionFigures, ...]:
    """The figures of each detection, then of all together where there are several."""
    rows = [_Rows(measured, frozenset({one}), one, seed) for one in measured.detections]
    if len(rows) > 1:
        rows.append(_Rows(measured, frozenset(measured.detections), UNION, seed))
    return tuple(one.figures() for one in rows)


class _Rows:
    """The rows of some detections."""

    def __init__(self, measured: Measured, detections: frozenset[str], name: str, seed: int) -> None:
        self._measured, self._detections, self._name, self._seed = measured, detections, name, seed
        mine = self._of(measured.twin)
        from_ns = measured.span.from_ns
        self._before = [row for row in mine if row.at_ns <= from_ns]
        self._twin = [row for row in mine if row.at_ns > from_ns]

    def _of(self, told: Iterable[Told], least: float = -math.inf) -> list[Told]:
        mine = [row for row in told if row.detection in self._detections and row.score >= least]
        if len(self._detections) == 1:
            return mine
        return [dataclasses.replace(row, entity=project(row.entity, self._measured.keys)) for row in mine]

    def _outcomes(self, least: float = -math.inf) -> list[Outcome]:
        twin = self._of(self._twin, least)
        return [judge_event(one.injection, self._of(one.told, least), twin) for one in self._measured.planted]

    def figures(self) -> DetectionFigures:
        measured, outcomes = self._measured, self._outcomes()
        # Scores of different detections have no common unit, so only one alone can be held to a budget.
        budgets = () if len(self._detections) > 1 else tuple(self._at(budget) for budget in BUDGETS)
        return DetectionFigures(
            self._name,
            sum(many for name, many in measured.scored.items() if name in self._detections),
            false_findings(self._twin, measured.exposure, self._seed),
            recall(outcomes, self._seed),
            recall(outcomes, self._seed, is_paired=False),
            delays(outcomes),
            crowding(self._twin, measured.exposure),
            budgets,
            _by_scenario(outcomes),
            _by_size(outcomes),
            tuple(self._negative(one) for one in measured.changed),
        )

    def _at(self, budget: float) -> AtBudget:
        measured = self._measured
        threshold = threshold_at(self._before, budget, measured.calibration)
        realised = false_findings(self._of(self._twin, threshold), measured.exposure, self._seed)
        return AtBudget(budget, threshold, realised, recall(self._outcomes(threshold), self._seed))

    def _negative(self, changed: Changed) -> NegativeFigures:
        told, exposure = self._of(changed.told), self._measured.exposure
        new = [
            one
            for one in findings(told)
            if not any(
                row.entity == one.entity and row.from_ns < one.to_ns and row.to_ns > one.from_ns for row in self._twin
            )
        ]
        negative = changed.negative
        per = false_findings(told, exposure, self._seed).value
        return NegativeFigures(
            negative.name, negative.is_strict, per, false_findings(self._twin, exposure, self._seed).value, len(new)
        )


def _by_scenario(outcomes: Sequence[Outcome]) -> tuple[ScenarioFigures, ...]:
    by_name: dict[tuple[int, str], list[Outcome]] = {}
    for one in outcomes:
        by_name.setdefault((int(one.event.scenario[1:]), one.event.name), []).append(one)
    return tuple(
        ScenarioFigures(
            group[0].event.scenario,
            name,
            group[0].event.is_benign,
            len(group),
            sum(one.is_paired for one in group),
            sum(one.is_raw for one in group),
            delays(group),
        )
        for (_, name), group in sorted(by_name.items())
    )


def _by_size(outcomes: Sequence[Outcome]) -> tuple[SizeFigures, ...]:
    sized = [one for one in outcomes if one.event.rho is not None and not one.event.is_benign]
    rows = []
    for low, high in pairwise(RHO_EDGES):
        inside = [one for one in sized if one.event.rho is not None and low <= one.event.rho < high]
        rows.append(SizeFigures(low, high, len(inside), sum(one.is_paired for one in inside)))
    return tuple(rows)


def to_json(value: object) -> object:
    """Records as JSON objects; numbers JSON does not have as null.

    >>> to_json(Interval(1.0, math.nan, math.inf))
    {'value': 1.0, 'low': None, 'high': None}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        return {str(key): to_json(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
