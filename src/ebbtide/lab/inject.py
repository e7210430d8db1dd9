"""Draw when attacks happen, and put them into traffic: one event per entity, scenario and draw, repeatable from a seed.

In: traffic and a scenario. Out: events with their parameters, their size relative to the entity's own traffic, and the
windows of traffic with the added bytes. An event's start is drawn evenly over the times of the scored days at which the
source was alive: what no sample shows, no detector can see.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing import trailing_sums
from ebbtide.lab.inject_scenario import HISTORY_DAYS, Scenario, added_bytes
from ebbtide.lab.traffic import HOUR_S, Traffic
from ebbtide.series import Float64

#: Received bytes per injected byte sent.
RETURN_SHARE = 0.03
#: Starts drawn per event, of which the first with a living source is taken.
CANDIDATES = 20


@dataclass(frozen=True, slots=True, eq=False)
class Events:
    """One scenario injected once into each of some entities.

    `entity`, `start` (judged from this step) and `end` (the first step after) are (events,); `added` (events, steps)
    are the bytes per step from `start - lead`, lead being the masking burst's steps. `rho` (events,) is added bytes
    over the largest same-length window of the 30 days before; infinite where that was silent.
    """

    scenario: Scenario
    draw: int
    entity: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    lead: int
    added: Float64
    rho: Float64

    @property
    def begin(self) -> NDArray[np.int64]:
        """The first injected step, (events,)."""
        return self.start - self.lead


@dataclass(frozen=True, slots=True, eq=False)
class EventTraffic:
    """Traffic of events with the bytes added, whole days from `first_day` (events,) on: (events, steps) each."""

    first_day: NDArray[np.int64]
    sent: Float64
    received: Float64


def draw_events(traffic: Traffic, scenario: Scenario, days: range, draw: int, seed: int) -> Events:
    """One event per entity, started at a step drawn evenly so that it ends, an hour of grace included, within `days`.

    Half of the samples of its first hour (of all of it, if shorter) are known; an entity for which no such start is
    drawn in CANDIDATES attempts keeps the last.
    """
    step_s, per_day = traffic.step_s, traffic.steps_per_day
    length, lead = scenario.duration_s // step_s, scenario.lead_s // step_s
    first, last = days.start * per_day + lead, days.stop * per_day - length - HOUR_S // step_s
    random = np.random.default_rng([seed, draw, zlib.crc32(scenario.name.encode())])
    entity = np.arange(len(traffic.names))
    drawn = random.integers(first, last, (len(entity), CANDIDATES))
    start = _first_alive(traffic, drawn, min(length, HOUR_S // step_s))
    before = HISTORY_DAYS * per_day
    history, _ = traffic.cut(entity, start - before, before)
    added = added_bytes(scenario, history, step_s)
    rho = relative_size(added[:, lead:], history)
    return Events(scenario, draw, entity, start, start + length, lead, added, rho)


def _first_alive(traffic: Traffic, drawn: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
    known = np.isfinite(traffic.sent) & np.isfinite(traffic.received)
    alive = known[np.arange(len(drawn))[:, None, None], drawn[..., None] + np.arange(steps)].mean(axis=-1) >= 0.5
    alive[:, -1] = True
    chosen: NDArray[np.int64] = drawn[np.arange(len(drawn)), alive.argmax(axis=1)]
    return chosen


def relative_size(added: Float64, history: Float64) -> Float64:
    """Added bytes over the largest sum of as many steps in the history, (rows,).

    >>> relative_size(np.array([[3.0, 3.0]]), np.array([[1.0, 1.0, 2.0, 0.0]]))
    array([2.])
    """
    sums = trailing_sums(history, added.shape[1])
    largest = np.where(np.isnan(sums), 0.0, sums).max(axis=1)
    total = added.sum(axis=1)
    return np.where(largest > 0, total / np.where(largest > 0, largest, 1.0), np.inf)


def with_events(traffic: Traffic, events: Events, lead_days: int, return_share: float = RETURN_SHARE) -> EventTraffic:
    """The events' entities' traffic with the bytes added, from `lead_days` whole days before the first added byte.

    It ends with the day of the event's hour of grace; all rows have the same number of days. What is received grows by
    `return_share` of what is added. Steps without data stay without.
    """
    per_day = traffic.steps_per_day
    first_day = events.begin // per_day - lead_days
    last_day = (events.end + HOUR_S // traffic.step_s - 1) // per_day
    steps = int((last_day - first_day).max() + 1) * per_day
    sent, received = traffic.cut(events.entity, first_day * per_day, steps)
    rows = np.arange(len(events.entity))[:, None]
    at = (events.begin - first_day * per_day)[:, None] + np.arange(events.added.shape[1])
    sent[rows, at] += events.added
    received[rows, at] += return_share * events.added
    return EventTraffic(first_day, sent, received)
