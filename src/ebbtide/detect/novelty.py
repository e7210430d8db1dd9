"""How surprising it is that something new sends: destinations, a process, one that was silent, UDP, a fan-out.

In: per entity what it met in the last hour and how often it meets such things. Out: per channel the surprise

    -ln(1000 * rate * tail),   rate = (shape + events) / (shape / usual + days),   tail = (floor / bytes) ^ index <= 1

which is -ln(findings this surprising per 1000 entity-days): `rate` is the posterior mean of a Poisson rate with a Gamma
prior around the fleet's usual one, `tail` the share of such events that are as large, inside the cluster also the share
of contacts that go to places so little known. So an entity that meets new
destinations all day is nearly silent, and no entity is ever certain. Pure and row by row: the order does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ebbtide.detect.novelty_options import Channel, NoveltyOptions
from ebbtide.series import Float64, Int64

CHANNELS = len(Channel)
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What is known of each entity (n,), at the end of the hour that is judged.

    `sent` and `udp_sent` are bytes of that hour, `destinations` and `sockets` how many. `days` is how many heard days
    it was known before today, the first one not counted; `outside` and `inside` the hours of these days with a new
    destination. `wakings` are its former returns from silence, `silent_days` the heard days without bytes worth mention
    until now, `most_sent` its largest closed day. `is_new`: never sent before; `workload_days` and `processes`: heard
    days of its workload, and new processes on them. `is_stranger`: most of it goes to a place no entity had sent to
    before today. `had_udp`: sent UDP before. `most_destinations`
    and `most_sockets` are records of closed days, by the hour. `steady_hours` in a row the same amount went to one new
    place outside, which nobody else had met if `is_steady_stranger`. `in_probation`: the image of its workload changed
    within the last hours; `is_familiar`: other workloads have a process of its name. Both are False where nobody
    looked.
    """

    sent: Float64
    udp_sent: Float64
    destinations: Float64
    sockets: Float64
    days: Float64
    outside: Float64
    inside: Float64
    wakings: Float64
    silent_days: Float64
    most_sent: Float64
    is_new: Flags
    workload_days: Float64
    processes: Float64
    is_stranger: Flags
    had_udp: Flags
    most_destinations: Float64
    most_sockets: Float64
    steady_hours: Float64
    is_steady_stranger: Flags
    in_probation: Flags
    is_familiar: Flags

    def __len__(self) -> int:
        return len(self.sent)

    def take(self, rows: Int64) -> Facts:
        """Some of the entities."""
        return Facts(*(getattr(self, one.name)[rows] for one in fields(self)))


@dataclass(frozen=True, slots=True, eq=False)
class Met:
    """New destinations of the hour, columns (rows,): the entity's row in the facts, whether inside, bytes, and how many
    new ones of the same kind and entity were sent more (`rank`, 0 for the largest). `seldom` is the share of contacts
    inside that go to places no better known, 1 outside. `is_familiar`: other entities of the same process know it, or
    all of the workload meet it in this hour; False where nobody looked."""

    row: Int64
    is_inside: Flags
    sent: Float64
    rank: Int64
    seldom: Float64
    is_familiar: Flags


@dataclass(frozen=True, slots=True, eq=False)
class NoveltyScale:
    """The fleet's usual events per entity-day, and what is taken off each channel's surprise; (channels,)."""

    usual: Float64
    shift: Float64

    @classmethod
    def shipped(cls, options: NoveltyOptions) -> NoveltyScale:
        """What an unknown fleet is judged with."""
        return cls(np.array(options.usual), np.zeros(CHANNELS))


@dataclass(frozen=True, slots=True, eq=False)
class Novel:
    """`score` S (n,), the largest of the `parts` (n, channels); -inf where nothing is new.

    `deciding` (n, 2) is the row of `Met` that decided outside and inside, -1 for none.
    """

    score: Float64
    parts: Float64
    deciding: Int64


def rank_of(row: Int64, is_inside: Flags, sent: Float64) -> Int64:
    """For each new destination how many of its entity and kind were sent more; equal ones in their order.

    >>> rank_of(np.array([0, 0, 1]), np.array([False, False, False]), np.array([5.0, 7.0, 1.0])).tolist()
    [1, 0, 0]
    """
    group = row * 2 + is_inside
    order = np.lexsort((-sent, group))
    first = np.searchsorted(group[order], group[order], side="left")
    rank = np.empty(len(row), np.int64)
    rank[order] = np.arange(len(row)) - first
    return rank


def rate_of(events: Float64, days: Float64, usual: float, options: NoveltyOptions) -> Float64:
    """Events a day to expect of an entity with so many in so many days, in a fleet with this usual rate."""
    rate: Float64 = (options.shape + events) / (options.shape / usual + days)
    return rate


def tail_of(value: Float64, channel: Channel, options: NoveltyOptions) -> Float64:
    """The share of events at least as large, 1 below the floor."""
    size = np.maximum(value / options.floors[channel], 1.0)
    tail: Float64 = size ** -options.tail[channel]
    return tail


def score_novelty(facts: Facts, met: Met, scale: NoveltyScale, options: NoveltyOptions) -> Novel:
    """S of every entity. Legal: no entities, nothing new."""
    parts = np.full((len(facts), CHANNELS), -np.inf)
    deciding = np.full((len(facts), 2), -1, np.int64)
    for channel in (Channel.OUTSIDE, Channel.INSIDE):
        rows = np.flatnonzero(met.is_inside == (channel is Channel.INSIDE))
        value = _destinations(facts, met, rows, channel, scale, options)
        order = np.lexsort((-rows, value))  # the last write of an entity is its largest, the first row among equals
        parts[met.row[rows[order]], channel] = value[order]
        deciding[met.row[rows[order]], channel] = rows[order]
    parts[:, Channel.PROCESS] = _process(facts, scale, options)
    parts[:, Channel.SILENCE] = _silence(facts, scale, options)
    parts[:, Channel.UDP] = _udp(facts, scale, options)
    parts[:, Channel.FAN_OUT] = np.maximum(_fan_out(facts, options), beacon_surprise(facts, scale, options))
    parts += np.log(np.array(options.shares)) - scale.shift
    return Novel(parts.max(axis=1, initial=-np.inf), parts, deciding)


def destination_surprise(
    events: Float64,
    days: Float64,
    sent: Float64,
    rank: Int64,
    seldom: Float64,
    channel: Channel,
    usual: float,
    options: NoveltyOptions,
) -> Float64:
    """Surprise of `rank` + 1 new destinations in an hour, each sent `sent` or more and as `seldom` met as this."""
    young = 1.0 + options.young_days / np.maximum(days, 1.0)
    rate = rate_of(events, days, usual, options) * young
    surprise: Float64 = -np.log(1000.0 * rate * seldom * tail_of(sent, channel, options)) - rank * np.log(
        options.one_more
    )
    return surprise


def _destinations(
    facts: Facts, met: Met, rows: Int64, channel: Channel, scale: NoveltyScale, options: NoveltyOptions
) -> Float64:
    """Surprise of each of these rows of `met`; -inf on an entity's first day, when everything is new."""
    at = met.row[rows]
    events = (facts.outside if channel is Channel.OUTSIDE else facts.inside)[at]
    days = facts.days[at]
    found = destination_surprise(
        events, days, met.sent[rows], met.rank[rows], met.seldom[rows], channel, scale.usual[channel], options
    )
    found = found - _expected(facts.in_probation[at] & met.is_familiar[rows], options)
    return np.where(days > 0, found, -np.inf)


def _expected(is_expected: Flags, options: NoveltyOptions) -> Float64:
    """What is taken off, as a rollout brings such things: so many times as common as else."""
    return np.where(is_expected, np.log(options.probation), 0.0)


def _surprise(events: Float64, days: Float64, tail: Float64, usual: float, options: NoveltyOptions) -> Float64:
    found: Float64 = -np.log(1000.0 * rate_of(events, days, usual, options) * tail)
    return found


def _process(facts: Facts, scale: NoveltyScale, options: NoveltyOptions) -> Float64:
    tail = tail_of(facts.sent, Channel.PROCESS, options) * np.where(facts.is_stranger, options.stranger, 1.0)
    found = _surprise(facts.processes, facts.workload_days, tail, scale.usual[Channel.PROCESS], options)
    found = found - _expected(facts.in_probation & facts.is_familiar, options)
    return np.where(facts.is_new & (facts.workload_days >= options.known_days), found, -np.inf)


def _silence(facts: Facts, scale: NoveltyScale, options: NoveltyOptions) -> Float64:
    # One that comes back now and then is measured by what it sends when it does: a job that runs once a month.
    own = np.where(facts.wakings > 0, facts.most_sent, 0.0)
    size = facts.sent / np.maximum(own / options.floors[Channel.SILENCE], 1.0)
    tail = tail_of(size, Channel.SILENCE, options) * np.where(facts.is_stranger, options.stranger, 1.0)
    found = _surprise(facts.wakings, facts.days, tail, scale.usual[Channel.SILENCE], options)
    speaks = (facts.silent_days >= options.silent_days) & (facts.sent > options.least_waking)
    return np.where(~facts.is_new & speaks, found, -np.inf)


def _udp(facts: Facts, scale: NoveltyScale, options: NoveltyOptions) -> Float64:
    tail = tail_of(facts.udp_sent, Channel.UDP, options)
    found = _surprise(np.zeros(len(facts)), facts.days, tail, scale.usual[Channel.UDP], options)
    is_first = ~facts.is_new & ~facts.had_udp & (facts.days >= options.silent_days)
    return np.where(is_first & (facts.udp_sent > options.floors[Channel.UDP]), found, -np.inf)


def fan_out_of(facts: Facts, options: NoveltyOptions) -> Float64:
    """By how much the hour's destinations or new sockets exceed the record, the larger factor."""
    destinations = facts.destinations / np.maximum(facts.most_destinations, options.least_destinations)
    sockets = facts.sockets / np.maximum(facts.most_sockets, options.least_sockets)
    factor: Float64 = np.maximum(destinations, sockets)
    return factor


def beacon_surprise(facts: Facts, scale: NoveltyScale, options: NoveltyOptions) -> Float64:
    """Surprise of sending evenly to a new place outside: how often this entity meets such, and how few stay even."""
    first = float(options.steady_hours[0])
    share = options.steady_share * np.minimum(first / np.maximum(facts.steady_hours, first), 1.0)
    tail = share * np.where(facts.is_steady_stranger, options.stranger, 1.0)
    found = _surprise(facts.outside, facts.days, tail, scale.usual[Channel.OUTSIDE], options)
    return np.where((facts.steady_hours >= first) & (facts.days > 0), found, -np.inf)


def _fan_out(facts: Facts, options: NoveltyOptions) -> Float64:
    """A record of D days is broken on one day in D + 1, and by a factor f on a share f ^ -2 of these."""
    factor = fan_out_of(facts, options)
    found: Float64 = -np.log(1000.0 / (facts.days + 1.0) * tail_of(factor, Channel.FAN_OUT, options))
    return np.where((factor > 1.0) & (facts.days > 0), found, -np.inf)
