"""A plan and a time in, what flowed on every edge in every interval out: any hour alone, in any order, the same bytes.

Demand is a product: the edge's mean, the shape of the week, a factor of its group for the day, the hour and five
minutes (so that what an API sends goes with what it receives), its own lognormal noise, and now and then a burst with a
Pareto tail. Whether an edge is active at all is a throw of its own, so most edges are sparse. All numbers come from
`simulate_dice`, all arithmetic is multiplication and rounding down: bytes are whole and alike everywhere.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.lab.simulate_dice import UInt64, lognormal, pareto, piece, reroll, roll
from ebbtide.lab.simulate_plan import PER_DAY, PER_HOUR, PER_MINUTE, EdgeColumns, Effect, Plan, Shape
from ebbtide.series import Float64, Int64

Bool = NDArray[np.bool_]
#: Where the dice of days, hours, five minutes and runs lie, far from those of intervals.
_DAYS, _HOURS, _FIVES, _RUNS = 1 << 40, 1 << 41, 1 << 42, 1 << 43
#: Bytes of a packet, evenly from 600 to 1400.
_PACKET, _PACKET_SPREAD = 600, 800
_WEEK_H = 168
#: Edges of which an hour is made at once; more are made in shorter pieces.
_EDGES_AN_HOUR = 4000


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """What flowed, one row per edge and interval in which something did, (rows,) int64, by interval, then edge.

    `up` and `down` are bytes from client to server and back, with their packets; `sockets` new connections. All zero:
    the one report after an edge fell silent. `epoch` counts the rollouts of either end before, `replicas` is how many
    times its usual pods share an edge's traffic.
    """

    edge: Int64
    interval: Int64
    up: Int64
    down: Int64
    up_packets: Int64
    down_packets: Int64
    sockets: Int64
    epoch: Int64
    replicas: Int64

    def __len__(self) -> int:
        return len(self.edge)

    def take(self, rows: NDArray[np.int64] | Bool) -> Flows:
        """Some of the rows."""
        return Flows(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


class Simulation:
    """Makes the traffic of a plan. Holds the plan's columns, nothing that depends on what was made before."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.columns = EdgeColumns.of(plan)
        self.epochs = Epochs(plan)
        self._first_alike = _first_alike(plan)
        self._effects = np.array([(one.first, one.last) for one in plan.effects], np.int64).reshape(-1, 2)
        self._effect_edges = [np.array(one.edges, np.int64) for one in plan.effects]

    def pieces(self, between: tuple[int, int] | None = None) -> list[tuple[int, int]]:
        """Intervals [first, last) one after the other, to make at once: hours, or less for a large cluster.

        Of the whole simulation, or `between` two intervals. A piece is whole minutes.
        """
        first, last = between if between is not None else (self.plan.parameters.first, self.plan.parameters.last)
        step = min(PER_HOUR, PER_HOUR * _EDGES_AN_HOUR // max(len(self.plan.edges), 1))
        step = max(step // PER_MINUTE, 1) * PER_MINUTE
        return [(at, min(at + step, last)) for at in range(first, last, step)]

    def flows_by_piece(self, between: tuple[int, int] | None = None) -> Iterator[Flows]:
        """Everything that flowed, piece by piece."""
        for first, last in self.pieces(between):
            yield self.flows(first, last)

    def flows(self, first: int, last: int, edges: Int64 | None = None) -> Flows:
        """What flowed in intervals [first, last), on all edges or some. Memory goes with their number."""
        first = max(first, self.plan.parameters.first)
        whole = self.columns.whole
        alive = (whole["born"] < last) & (whole["gone"] >= first)
        chosen = np.flatnonzero(alive) if edges is None else edges[alive[edges]]
        intervals = np.arange(first - 1, last)
        if not len(chosen) or first >= last:
            return Flows(*(np.empty(0, np.int64) for _ in Flows.__dataclass_fields__))
        return merged(_Grid(self, chosen, intervals).flows(), self._first_alike)

    def overlapping(self, first: int, last: int) -> Iterator[tuple[Effect, Int64]]:
        """The effects at work in [first, last), and their edges."""
        for number in np.flatnonzero((self._effects[:, 0] < last) & (self._effects[:, 1] > first)).tolist():
            yield self.plan.effects[number], self._effect_edges[number]


def _first_alike(plan: Plan) -> Int64:
    """For each edge the first with the same ends and protocol: the source tells them as one."""
    first: dict[tuple[int, int, bool], int] = {}
    alike = [first.setdefault((edge.client, edge.server, edge.is_udp), at) for at, edge in enumerate(plan.edges)]
    return np.array(alike, np.int64)


def merged(flows: Flows, alike: Int64) -> Flows:
    """Flows with edges renamed by `alike` (edges,); rows of one edge, epoch and interval added up, by interval."""
    edge = alike[flows.edge]
    order = np.lexsort((flows.epoch, edge, flows.interval))
    ids = np.stack([flows.interval[order], edge[order], flows.epoch[order]])
    starts = np.flatnonzero(np.append(True, (np.diff(ids) != 0).any(axis=0)))[: len(order)]
    names = ("up", "down", "up_packets", "down_packets", "sockets")
    up, down, up_packets, down_packets, sockets = (
        np.add.reduceat(getattr(flows, name)[order], starts) if len(order) else flows.up for name in names
    )
    interval, edge, epoch = ids[:, starts]
    replicas = flows.replicas[order][starts]
    return Flows(edge, interval, up, down, up_packets, down_packets, sockets, epoch, replicas)


class Epochs:
    """How often either end of an edge was rolled out before an interval."""

    _WIDE = 1 << 32

    def __init__(self, plan: Plan) -> None:
        by_party: dict[int, list[int]] = {}
        for party, interval in plan.rollouts:
            by_party.setdefault(party, []).append(interval)
        self.of_party = {party: sorted(set(times)) for party, times in by_party.items()}
        self._sorted = np.sort(
            np.array(
                [at * self._WIDE + time for at in range(len(plan.edges)) for time in self.times(plan, at)], np.int64
            )
        )
        self._starts = np.searchsorted(self._sorted, np.arange(len(plan.edges)) * self._WIDE)

    def times(self, plan: Plan, edge: int) -> list[int]:
        """When the labels of an edge changed."""
        one = plan.edges[edge]
        return sorted({time for end in (one.client, one.server) for time in self.of_party.get(end, ())})

    def at(self, edges: Int64, intervals: Int64) -> Int64:
        """The epoch of each (edge, interval), (rows,)."""
        place = np.searchsorted(self._sorted, edges * self._WIDE + intervals, side="right")
        return np.asarray(place - self._starts[edges], np.int64)


class _Grid:
    """Edges x intervals, the interval before the first included: its silence decides about a last zero."""

    def __init__(self, simulation: Simulation, edges: Int64, intervals: Int64) -> None:
        self._simulation, self._edges, self._intervals = simulation, edges, intervals
        columns = simulation.columns
        self._key = columns.key[edges][:, None]
        self._group = columns.group_key[edges][:, None]
        self._real = {name: values[edges][:, None] for name, values in columns.number.items()}
        self._whole = {name: values[edges][:, None] for name, values in columns.whole.items()}
        self._bits = roll(self._key, intervals)
        self._factors = self._effect_factors()

    def flows(self) -> Flows:
        active = self._active()
        up, down = self._bytes()
        bits = reroll(self._bits)
        size = _PACKET + (piece(bits, 0) * _PACKET_SPREAD >> 16)
        up, down = np.where(active, up, 0), np.where(active, down, 0)
        return self._rows(active, up, down, size, self._sockets(bits))

    def _rows(self, active: Bool, up: Int64, down: Int64, size: Int64, sockets: Int64) -> Flows:
        edges, intervals = self._edges, self._intervals
        heard = ~self._in_gap()
        shown = (active | np.roll(active & heard, 1, axis=1))[:, 1:] & heard[1:]
        column, row = np.nonzero(shown.T)
        at = row, column + 1
        up, down, size, alive = up[at], down[at], size[at], active[at]
        down_packets = np.where(alive, np.maximum(down // size, 1), 0)
        up_packets = np.where(alive, np.maximum(up // size, (down_packets + 1) // 2), 0)
        sockets = np.where(alive, sockets[at], 0)
        # The zero after the last active interval belongs to the labels of that interval.
        epoch = self._simulation.epochs.at(edges[row], intervals[column + 1] - ~alive)
        replicas = self._factors.replicas[at]
        return Flows(edges[row], intervals[column + 1], up, down, up_packets, down_packets, sockets, epoch, replicas)

    def _in_gap(self) -> Bool:
        inside = np.zeros(len(self._intervals), bool)
        for first, last in self._simulation.plan.gaps:
            inside |= (self._intervals >= first) & (self._intervals < last)
        return inside

    # -- whether

    def _active(self) -> Bool:
        whole, intervals = self._whole, self._intervals
        active: Bool = piece(self._bits, 0) < self._real["activity"] * np.minimum(1.5 * self._shape(), 1.0) * 65536
        scheduled = np.flatnonzero(whole["every"][:, 0] > 0)
        if len(scheduled):
            active[scheduled] = self._running(scheduled)
        active &= (intervals >= whole["born"]) & (intervals < whole["gone"]) & ~self._factors.silent
        active &= intervals >= self._simulation.plan.parameters.first
        return active

    def _running(self, rows: Int64) -> Bool:
        run, since = self._runs(rows)
        late = self._jitter(rows, run)
        running: Bool = (run >= 0) & (since >= late) & (since < late + self._whole["length"][rows])
        return running

    def _runs(self, rows: Int64) -> tuple[Int64, Int64]:
        """The number of the run, and intervals since it was due, (rows, intervals)."""
        since = self._intervals - self._whole["first"][rows] - self._factors.shift_h[rows] * PER_HOUR
        every = self._whole["every"][rows]
        run = np.floor_divide(since, every)
        return run, since - run * every

    def _jitter(self, rows: Int64, run: Int64) -> Int64:
        thrown = piece(roll(self._key[rows], run + _RUNS), 0)
        return thrown * (self._whole["jitter"][rows] + 1) >> 16

    # -- how much

    def _bytes(self) -> tuple[Int64, Int64]:
        demand = self._shape() * self._group_demand()
        own = lognormal(self._whole["spread"], piece(self._bits, 1))
        is_burst = piece(self._bits, 2) < self._real["burst"] * 65536
        level = demand * own * np.where(is_burst, pareto(piece(self._bits, 3)), 1.0)
        scheduled = np.flatnonzero(self._whole["every"][:, 0] > 0)
        if len(scheduled):
            level[scheduled] = own[scheduled] * self._run_level(scheduled)
        wobble = lognormal(np.zeros_like(self._whole["spread"]), piece(reroll(self._bits), 1))
        up = np.floor(self._real["up"] * level * self._factors.up).astype(np.int64)
        down = np.floor(self._real["down"] * level * self._factors.down * wobble).astype(np.int64)
        return np.maximum(up, 40), np.maximum(down, 40)

    def _run_level(self, rows: Int64) -> Float64:
        run, _ = self._runs(rows)
        level = lognormal(np.zeros_like(run), piece(roll(self._key[rows], run + _RUNS), 1))
        days = self._intervals // PER_DAY
        weekday = (days + 3) % 7  # day 0, 1 January 1970, was a Thursday; 6 is Sunday
        level = level * np.where(weekday == 6, self._real["weekend_factor"][rows], 1.0)
        return level * np.where(_is_month_end(days), self._real["month_end_factor"][rows], 1.0)

    def _shape(self) -> Float64:
        """Demand of the week, (edges, intervals), mean about 1."""
        hours = self._intervals // PER_HOUR
        within = (self._intervals % PER_HOUR) / PER_HOUR
        hour = (hours + 72) - self._factors.shift_h
        table, kind = _shapes(), self._whole["shape"]
        here, there = table[kind, hour % _WEEK_H], table[kind, (hour + 1) % _WEEK_H]
        demand: Float64 = here + (there - here) * within
        return demand

    def _group_demand(self) -> Float64:
        """The group's own day, hour and five minutes, as one factor."""
        demand = np.ones((1, len(self._intervals)))
        for length, place, spread in ((PER_DAY, _DAYS, 0), (PER_HOUR, _HOURS, 0), (10, _FIVES, 1)):
            number = self._intervals // length
            distinct, column = np.unique(number, return_inverse=True)
            thrown = lognormal(np.array(spread), piece(roll(self._group, distinct + place), 0))
            demand = demand * thrown[:, column]
        return demand

    def _sockets(self, bits: UInt64) -> Int64:
        mean = self._real["sockets"] * self._shape() * self._factors.sockets
        return np.floor(mean + piece(bits, 2) / 65536.0).astype(np.int64)

    # -- events

    def _effect_factors(self) -> _Factors:
        shape = (len(self._edges), len(self._intervals))
        up, down, sockets = (np.ones(shape) for _ in range(3))
        shift_h, replicas = np.zeros(shape, np.int64), np.ones(shape, np.int64)
        factors = _Factors(up, down, sockets, np.zeros(shape, bool), shift_h, replicas)
        intervals = self._intervals
        row_of = np.full(len(self._simulation.plan.edges), -1)
        row_of[self._edges] = np.arange(len(self._edges))
        for effect, edges in self._simulation.overlapping(int(intervals[0]), int(intervals[-1]) + 1):
            rows = row_of[edges]
            rows = rows[rows >= 0]
            columns = np.flatnonzero((intervals >= effect.first) & (intervals < effect.last))
            at = np.ix_(rows, columns)
            grown = np.ones(len(columns))
            if effect.growth:
                days = (intervals[columns] - effect.first) // PER_DAY
                steps = np.full(int(days.max(initial=0)) + 1, 1.0 + effect.growth)
                steps[0] = 1.0
                grown = np.multiply.accumulate(steps)[days]
            factors.up[at] *= effect.up * grown
            factors.down[at] *= effect.down * grown
            factors.sockets[at] *= effect.sockets
            factors.silent[at] |= effect.is_silent
            factors.shift_h[at] += effect.shift_h
            factors.replicas[at] *= effect.replicas
        return factors


@dataclass(frozen=True, slots=True, eq=False)
class _Factors:
    """What events do, (edges, intervals) each."""

    up: Float64
    down: Float64
    sockets: Float64
    silent: Bool
    shift_h: Int64
    replicas: Int64


def _is_month_end(days: Int64) -> Bool:
    """Whether days since 1970 are the last of their month."""
    months = days.astype("datetime64[D]").astype("datetime64[M]")
    following = (days + 1).astype("datetime64[D]").astype("datetime64[M]")
    is_last: Bool = months != following
    return is_last


@functools.cache
def _shapes() -> Float64:
    """Factors by hour of the week from Monday 00:00 UTC, (shapes, 168), rounded, mean about 1."""
    table = np.ones((len(Shape), _WEEK_H))
    for hour in range(_WEEK_H):
        day, clock = hour // 24, hour % 24
        weekend = day >= 5
        # People at home: least at 04:00, most at 16:00; at work: a table-land from 08:00 to 17:00, Monday-Friday.
        users = 1.0 - 0.75 * math.cos(2 * math.pi * (clock - 4) / 24) * (1.0 if not weekend else 0.8)
        office = 0.15 if weekend else (2.3 if 8 <= clock < 17 else 1.0 if clock in (7, 17, 18) else 0.3)
        table[Shape.USERS, hour] = round(users * 1024) / 1024
        table[Shape.OFFICE, hour] = round(office * 1024) / 1024
    return table
