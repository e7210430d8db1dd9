"""What the novelty detector takes for granted before a fleet has taught it better, with the reason for each figure.

The figures are judgements, checked against simulated clusters alone (docs/quality.md, Novelty); a fleet's own rates
take their place as its entity-days add up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Channel(IntEnum):
    """What can be new. The order is that of the columns of `Novel.parts`."""

    OUTSIDE = 0  # destinations outside the cluster that this entity never sent to
    INSIDE = 1  # workloads of the cluster that this entity never sent to
    PROCESS = 2  # a process never seen in a known workload
    SILENCE = 3  # an entity that had sent nothing for days
    UDP = 4  # the first UDP of an entity
    FAN_OUT = 5  # more destinations or new sockets in an hour than on any day before, or a beacon's even beat


@dataclass(frozen=True, slots=True)
class NoveltyOptions:
    """Constants; tuples have one value per channel, in the order of `Channel`.

    `shares`        of the budget; they add up to 1, so that the union of all channels keeps to it.
    `usual`         events per entity-day of an unknown fleet. Outside 0.3, every third day; inside 0.01, a new
                    dependency three or four times a year. A new process every 50 days, a first UDP every 200. Of 1000
                    entities one wakes a day.
    `usual_days`    how many entity-days that is worth against the fleet's own: soon outvoted.
    `shape`         of the Gamma distribution of rates over entities: 0.3, most never meet anything new, a few daily.
    `floors`        bytes; an event below is as common as any event, above it is rarer by (floor / bytes) ^ `tail`.
    `tail`          1: files and answers have tail indices of 1.0 to 1.3, so this calls large ones too common, not too
                    rare. Fan-out has 2: twice the record is four times as rare.
    `one_more`      the chance that an hour with one new destination has another one.
    `seldom_doubt`  how many contacts of a cluster it takes to believe in half how seldom a place is met there: a new
                    contact inside is as much rarer as fewer contacts go to places so little known.
    `answered`      a contact that sends less than this share of what it receives answers, or acknowledges: the other
                    side came, and what it met is told there.
    `stranger`      the share of new processes, of those that wake, and of steady new contacts that send (mostly) to a
                    place new to the whole fleet: a job that runs once a quarter goes where it went, or where others go.
    `young_days`    of an entity's life after which it meets half as many new destinations as in the beginning.
    `known_days`    a workload must be known so long before a process of it can be new; `silent_days` as named, and a
                    day below `least_spoken` bytes is silent: a keep-alive must not hide a waking.
    `least_waking`  bytes of an hour; below, nothing has woken: 1 KB after a month is a health check.
    `probation`     how many times as common as else a new place or process is in the first hours after a rollout, if
                    others of the same process know it, all of the workload meet it at once, or another workload runs
                    that process. A workload is rolled out 4 times a month, so its first 6 hours are one day in 30: if a
                    third of all changed dependencies come with them, they are ten times as common there as elsewhere.
                    The others must have sent so, and there, for `familiar_days`: an attack must not prepare the ground
                    for its next step.
    `steady_hours`  in a row in which the same amount goes to one new place outside, the most of an hour at most
                    `steady_spread` times the least: a beacon. New is what was first met within `steady_days`.
    `steady_share`  of new places outside that are sent to so evenly for the first of these hours, 1 in 50; for how much
                    longer falls as 1 / hours.
    `least_destinations`, `least_sockets`  in an hour: records below count as this.
    `own_entity_days`, `reference_budget`  from so many entity-days on the fleet's own past may raise a channel's line,
                    by what it told beyond this many findings per 1000 entity-days.
    """

    shares: tuple[float, ...] = (0.3, 0.2, 0.25, 0.1, 0.05, 0.1)
    usual: tuple[float, ...] = (0.3, 0.01, 0.02, 0.001, 0.005, 1.0)
    usual_days: float = 100.0
    shape: float = 0.3
    floors: tuple[float, ...] = (1e5, 1e5, 1e5, 1e5, 1e5, 1.0)
    tail: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0, 2.0)
    one_more: float = 0.5
    seldom_doubt: float = 20.0
    answered: float = 0.1
    stranger: float = 0.1
    young_days: float = 3.0
    known_days: int = 2
    silent_days: int = 7
    least_spoken: float = 1e5
    least_waking: float = 5e5
    probation: float = 10.0
    familiar_days: int = 7
    steady_hours: tuple[int, int] = (8, 24)
    steady_spread: float = 1.25
    steady_days: int = 2
    steady_share: float = 0.02
    least_destinations: float = 20.0
    least_sockets: float = 300.0
    own_entity_days: float = 2000.0
    reference_budget: float = 10.0
