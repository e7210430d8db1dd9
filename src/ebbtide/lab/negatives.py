"""Benign changes: what a detector says when nothing is wrong but something is new.

In: a fleet learned by `bench`. Out: findings per 1000 entity-days with the change applied to every entity alone, the
rest of the fleet being as it was, so that surprising together does not help.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ebbtide.lab.bench import SCORE, OutboundBench, ScaledDays, score_as
from ebbtide.lab.evaluate import realised
from ebbtide.lab.stream import close_days, hourly_peaks, score_history
from ebbtide.lab.traffic import Traffic
from ebbtide.series import Float64

MB = 1e6
CHANGE_DAY = 70


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """Sent and received (entities, steps), as changed."""

    sent: Float64
    received: Float64


@dataclass(frozen=True, slots=True)
class Change:
    """A benign change: its name, the days counted, and what it does to the traffic."""

    name: str
    days: range
    apply: Callable[[Traffic], Sides]


def _scaled(first: int, last: int, sent: float, received: float) -> Callable[[Traffic], Sides]:
    """Sent and received times a factor on the days [first, last)."""

    def apply(traffic: Traffic) -> Sides:
        days = np.arange(traffic.sent.shape[1]) // traffic.steps_per_day
        inside = (days >= first) & (days < last)
        return Sides(traffic.sent * np.where(inside, sent, 1.0), traffic.received * np.where(inside, received, 1.0))

    return apply


def _growing(sent: float, received: float) -> Callable[[Traffic], Sides]:
    """A daily growth of sent and received from day 60 on."""

    def apply(traffic: Traffic) -> Sides:
        days = np.maximum(np.arange(traffic.sent.shape[1]) / traffic.steps_per_day - SCORE.start, 0.0)
        return Sides(traffic.sent * (1 + sent) ** days, traffic.received * (1 + received) ** days)

    return apply


def _later(hours: int) -> Callable[[Traffic], Sides]:
    """Everything happens some hours later from CHANGE_DAY on; the hours in between repeat nothing and are quiet."""

    def apply(traffic: Traffic) -> Sides:
        first, shift = CHANGE_DAY * traffic.steps_per_day, hours * traffic.steps_per_hour
        return Sides(*(_moved(side, first, shift) for side in (traffic.sent, traffic.received)))

    return apply


def _moved(side: Float64, first: int, shift: int) -> Float64:
    moved = side.copy()
    moved[:, first + shift :] = side[:, first:-shift]
    moved[:, first : first + shift] = side[:, first - shift : first]
    return moved


def _silenced(hours: int) -> Callable[[Traffic], Sides]:
    """No data for some hours from noon of CHANGE_DAY on."""

    def apply(traffic: Traffic) -> Sides:
        first = CHANGE_DAY * traffic.steps_per_day + 6 * traffic.steps_per_hour
        sent, received = traffic.sent.copy(), traffic.received.copy()
        for side in (sent, received):
            side[:, first : first + hours * traffic.steps_per_hour] = np.nan
        return Sides(sent, received)

    return apply


def _nightly_job(size: float) -> Callable[[Traffic], Sides]:
    """A new job sends `size` in half an hour from 02:00 UTC on, every night from CHANGE_DAY on, and receives 3 %."""

    def apply(traffic: Traffic) -> Sides:
        sent, received = traffic.sent.copy(), traffic.received.copy()
        steps = traffic.steps_per_hour // 2
        for day in range(CHANGE_DAY, traffic.days):
            first = day * traffic.steps_per_day + 2 * traffic.steps_per_hour
            sent[:, first : first + steps] += size / steps
            received[:, first : first + steps] += 0.03 * size / steps
        return Sides(sent, received)

    return apply


#: Days 70 to 75, as far as a lasting change is news.
SOON = range(CHANGE_DAY, CHANGE_DAY + 5)
CHANGES: tuple[Change, ...] = (
    Change("unchanged", SCORE, _scaled(0, 0, 1, 1)),
    Change("unchanged, days 70-75", SOON, _scaled(0, 0, 1, 1)),
    Change("growth 3 % a day, both directions", SCORE, _growing(0.03, 0.03)),
    Change("growth 3 % a day, sent only", SCORE, _growing(0.03, 0.0)),
    Change("x5 for 3 days, both directions (70-75)", SOON, _scaled(70, 73, 5, 5)),
    Change("scale-out x4 from day 70, both (70-75)", SOON, _scaled(70, 91, 4, 4)),
    Change("sent doubles from day 70 (70-75)", SOON, _scaled(70, 91, 2, 1)),
    Change("all jobs 2 h later from day 70 (70-75)", SOON, _later(2)),
    Change("12 h without data on day 70 (70-75)", SOON, _silenced(12)),
    Change("new nightly job 300 MB from day 70 (70-91)", range(CHANGE_DAY, 91), _nightly_job(300 * MB)),
)


def findings_of(bench: OutboundBench, scaled: ScaledDays, change: Change) -> tuple[float, ...]:
    """Findings per 1000 entity-days on the change's days, one per threshold of `scaled`."""
    sides, options = change.apply(bench.traffic), bench.options
    peaks = hourly_peaks(sides.sent, sides.received, bench.traffic.step_s, options)
    raw = score_history(close_days(peaks, options), bench.models, scaled.days, options)
    days = scaled.days
    score = score_as(bench, scaled, raw.at(slice(days.start * 24, days.stop * 24)))
    counted = score[:, (change.days.start - days.start) * 24 : (change.days.stop - days.start) * 24]
    entity_days = len(counted) * len(change.days)
    return tuple(realised(counted > threshold, float(entity_days)) for threshold in scaled.thresholds)
