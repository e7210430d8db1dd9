"""What the default detections told against the budget they were given, from the findings that are stored.

Without this a budget is a promise nobody checks: lines are set from the past, and traffic changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ebbtide.detect.detection import Detection
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.search import Spent
from ebbtide.store.view import View

#: How far back is counted.
SPAN_DAYS = 30
_RARE = 0.05


@dataclass(frozen=True, slots=True)
class Achieved:
    """One detection's findings of the last `days` days (30, or as long as its sources are known).

    `findings` are those that opened, `held_back` of them by the daily cap, `hidden` by filters or plans. `a_day` and
    `per_1000` entity-days count all that were not held back, true ones included, so they are an upper bound of false
    ones. `budget` and `budget_a_day` are what is accepted, None where the detection has no budget; the lower counts.
    """

    detection: str
    days: float
    entities: int
    findings: int
    held_back: int
    hidden: int
    a_day: float
    per_1000: float
    budget: float | None = None
    budget_a_day: float | None = None

    @property
    def effective(self) -> float | None:
        """The budget per 1000 entity-days that counts for a fleet of this size; None without one.

        >>> Achieved("joined", 30.0, 5000, 0, 0, 0, 0.0, 0.0, 10.0, 10.0).effective
        2.0
        """
        if self.budget is None:
            return None
        a_day = float("inf") if self.budget_a_day is None else self.budget_a_day
        return min(self.budget, a_day * 1000.0 / max(self.entities, 1))

    @property
    def is_over(self) -> bool:
        """Whether so many were told that chance alone, at the rate the budget accepts, does so in 1 of 20 months.

        >>> Achieved("joined", 30.0, 3, 1, 0, 0, 0.03, 11.1, 10.0, 10.0).is_over  # 0.9 are expected
        False
        >>> Achieved("joined", 30.0, 3, 4, 0, 0, 0.13, 44.4, 10.0, 10.0).is_over
        True
        """
        if self.effective is None:
            return False
        return _as_many(self.findings - self.held_back, self.effective * self.entities * self.days / 1000.0) < _RARE


def _as_many(count: int, expected: float) -> float:
    """The chance of `count` or more of a Poisson distribution."""
    if expected <= 0:
        return 1.0 if count == 0 else 0.0
    less = (math.exp(k * math.log(expected) - expected - math.lgamma(k + 1)) for k in range(count))
    return 1.0 - math.fsum(less)


def achieved(view: View, detections: Iterable[Detection], until_ns: int) -> list[Achieved]:
    """A record for each detection, as of `until_ns`."""
    day = until_ns // DAY_NS + 1
    spent = {one.detection: one for one in view.search.spent((day - SPAN_DAYS) * DAY_NS, day * DAY_NS)}
    days = _days(view, until_ns)
    entities = len(view.identity.entities)
    return [_of(one, spent.get(one.id, Spent(one.id)), days, entities) for one in detections]


def _days(view: View, until_ns: int) -> float:
    hour_ns = until_ns // HOUR_NS * HOUR_NS
    heard = view.profile.heard(hour_ns - SPAN_DAYS * DAY_NS, hour_ns)
    first_ns = min((one.first_ns for one in heard), default=until_ns)
    return min(float(SPAN_DAYS), max(1.0, (until_ns - first_ns) / DAY_NS)) if heard else 0.0


def _of(detection: Detection, spent: Spent, days: float, entities: int) -> Achieved:
    told = spent.findings - spent.held_back
    exposure = entities * days / 1000.0
    return Achieved(
        detection.id,
        days,
        entities,
        spent.findings,
        spent.held_back,
        spent.hidden,
        told / days if days else 0.0,
        told / exposure if exposure else 0.0,
        _number(detection.options.get("budget")),
        _number(detection.options.get("findings_per_day")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
