"""What the rest of the fleet, and the hour of day, say about a score.

In: which entities passed a line, hour by hour. Out: a discount in nats. When many entities surprise together the cause
is rarely an attack on each of them; a quiet fleet at a quiet hour raises a score a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.series import Float64

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What is usual for a channel: the line `passing` (s0), mean number of `others` passing it (lambda), `rhythm`.

    `rhythm` (24,) is each hour's share of firing starts relative to an even day, drawn half-way to 1.
    """

    passing: float
    others: float
    rhythm: Float64


def others_passing(passed: Bools, memory_steps: int) -> Float64:
    """How many *other* entities passed the line in the last `memory_steps` steps, the current one included.

    `passed` and the result are (entities, steps).

    >>> others_passing(np.array([[True, False, False], [False, False, True]]), 2)
    array([[0., 0., 1.],
           [1., 1., 0.]])
    """
    recent = passed.copy()
    for back in range(1, memory_steps):
        recent[:, back:] |= passed[:, : passed.shape[1] - back]
    others: Float64 = recent.sum(axis=0, dtype=np.float64)[None, :] - recent
    return others


def learn_context(scores: Float64, hours: NDArray[np.int64], passing: float, memory_steps: int, merge: int) -> Context:
    """Context of one channel from its scores (entities, steps); `hours` (steps,) are their hours of day."""
    passed = scores > passing
    starts = _starts(passed, merge)
    per_hour = np.bincount(hours, weights=starts.sum(axis=0), minlength=HOURS).astype(np.float64)
    others = float(others_passing(passed, memory_steps).mean()) if passed.size else 0.0
    return Context(passing, others, _rhythm(per_hour))


def _starts(passed: Bools, merge_steps: int) -> Bools:
    starts = passed.copy()
    for back in range(1, merge_steps + 1):
        starts[:, back:] &= ~passed[:, : passed.shape[1] - back]
    return starts


def _rhythm(starts_per_hour: Float64) -> Float64:
    total = starts_per_hour.sum()
    if total == 0:
        return np.ones(HOURS)
    share = starts_per_hour / total * HOURS
    smooth: Float64 = 0.25 * np.roll(share, 1) + 0.5 * share + 0.25 * np.roll(share, -1)
    drawn: Float64 = 0.5 * (smooth + 1.0)
    return drawn


def discount(context: Context, others: Float64, hours: NDArray[np.int64]) -> Float64:
    """What to take from a channel's score: ln((N + 1) / (lambda + 1)) + ln rho_h, in nats; may be negative.

    `others` is (entities, steps), `hours` broadcasts against it.

    >>> discount(Context(5.0, 1.0, np.ones(24)), np.array([[3.0]]), np.array([0])).round(3)
    array([[0.693]])
    """
    off: Float64 = np.log((others + 1.0) / (context.others + 1.0)) + np.log(context.rhythm[hours])
    return off
