"""From scores to a budget: which threshold gives how many findings, and what a score is worth on one scale.

In: scores of many entities over the last weeks, one per hour. Out: thresholds per budget, and a curve that turns any
score into "findings this surprising per 1000 entity-days". Budgets are findings per 1000 entity-days after merging;
without merging a long surprise would use up the budget of a month.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Float64

#: Budgets of the curve, findings per 1000 entity-days: 400 to 0.3 in 40 geometric steps.
CURVE_BUDGETS: tuple[float, ...] = tuple(float(step) for step in np.geomspace(400.0, 0.3, 40))
#: Steps at the rare end whose slope continues the curve.
TAIL_STEPS = 10


@dataclass(frozen=True, slots=True, eq=False)
class FindingCounts:
    """How many findings each threshold gives: count(theta) = starts above theta - starts already covered.

    Every score that exceeds all scores of its entity within the merge gap before it starts a finding for the
    thresholds in between; `score` and `covered` (starts,) hold these two ends, each sorted ascending.
    """

    score: Float64
    covered: Float64

    def at(self, thresholds: Float64) -> NDArray[np.int64]:
        """Findings at each threshold, firing where score > threshold."""
        above = len(self.score) - np.searchsorted(self.score, thresholds, side="right")
        return above - (len(self.covered) - np.searchsorted(self.covered, thresholds, side="right"))


def count_findings(scores: Float64, merge_steps: int) -> FindingCounts:
    """Findings of (entities, steps) scores as a function of the threshold; firing steps within `merge_steps` merge.

    NaN and -inf never fire.

    >>> counts = count_findings(np.array([[5.0, 1.0, 7.0, 0.0, 0.0, 6.0]]), merge_steps=2)
    >>> counts.at(np.array([4.0, 6.5])).tolist()
    [2, 1]
    """
    clean = np.where(np.isnan(scores), -np.inf, scores)
    before = np.full_like(clean, -np.inf)
    for back in range(1, merge_steps + 1):
        np.maximum(before[:, back:], clean[:, :-back], out=before[:, back:])
    starts = clean > before
    return FindingCounts(np.sort(clean[starts]), np.sort(before[starts]))


def threshold_for(counts: FindingCounts, findings: float) -> float:
    """The smallest threshold from which on upwards no threshold gives more than `findings` findings.

    Where no threshold gives more it is the lowest score that starts a finding; without any score it is -inf.

    >>> threshold_for(count_findings(np.array([[5.0, 1.0, 7.0, 0.0, 0.0, 6.0]]), 2), 1.0)
    6.0
    """
    steps = np.unique(np.concatenate([counts.score, counts.covered[np.isfinite(counts.covered)]]))
    if not len(steps):
        return -np.inf
    over = np.flatnonzero(counts.at(steps) > findings)
    return float(steps[over[-1] + 1] if len(over) else steps[0])


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Scores (steps,) ascending, and the log of the budget each of them leaves, (steps,)."""

    scores: Float64
    log_budget: Float64

    def surprise(self, scores: Float64) -> Float64:
        """-ln(findings per 1000 entity-days that are this surprising or more), the shape of `scores`.

        Linear between the steps, continued above with the slope of the last ten, flat below the first.
        """
        inside: Float64 = np.interp(scores, self.scores, self.log_budget)
        over = np.maximum(scores - self.scores[-1], 0.0)
        log_budget: Float64 = inside + over * self._tail_slope()
        return -log_budget

    def _tail_slope(self) -> float:
        x, y = self.scores[-TAIL_STEPS:], self.log_budget[-TAIL_STEPS:]
        spread = float(((x - x.mean()) ** 2).sum())
        slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 1e-12 else -1.0
        return min(slope, -1e-3)  # more surprise never counts for less


def curve(scores: Float64, entity_days: float, merge_steps: int) -> Curve:
    """The curve of (entities, steps) scores over `entity_days` entity-days.

    Thresholds that no score reaches are left out; without any score the curve says one nat for one nat.
    """
    counts = count_findings(scores, merge_steps)
    thresholds = np.array([threshold_for(counts, budget * entity_days / 1000.0) for budget in CURVE_BUDGETS])
    finite = np.isfinite(thresholds)
    if finite.sum() < 2:
        return Curve(np.array([0.0, 1.0]), np.array([np.log(400.0), np.log(400.0) - 1.0]))
    return Curve(np.maximum.accumulate(thresholds[finite]), np.log(np.array(CURVE_BUDGETS))[finite])
