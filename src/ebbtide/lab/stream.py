"""Run the outbound detector over months, forward in time, and over single entities again with an attack added.

In: traffic. Out: raw channel scores per hour and the state each day opened with, so that an injected event is scored
from its first day on without running the months before it again. Nothing looks ahead: a day is scored with the state
of the days before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.records import RecordModels
from ebbtide.baseline.records_fit import fit_all
from ebbtide.baseline.trailing import block_last, block_max
from ebbtide.baseline.trailing_inbound import inbound_volume
from ebbtide.baseline.trailing_statistics import (
    HOURS,
    Float32,
    Statistic,
    trailing_statistics,
)
from ebbtide.detect.outbound import Channels, day_records, score_day
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_state import (
    DayValues,
    OutboundState,
    close_day,
    day_maxima,
    day_values,
    open_day,
    run_cusum,
)
from ebbtide.lab.traffic import Traffic
from ebbtide.series import Float64

#: Entities whose 5-minute statistics are in memory at once.
CHUNK = 64


@dataclass(frozen=True, slots=True, eq=False)
class Peaks:
    """A fleet's statistics of trailing sums by the hour.

    `hourly` (entities, PEAKS, hours) and `inbound` (entities, hours) are the maxima within each hour, `ratio`
    (entities, hours) the 1 h ratio at its end.
    """

    hourly: Float32
    inbound: Float32
    ratio: Float32

    def day(self, day: int) -> Peaks:
        """One day's hours."""
        hours = slice(day * HOURS, (day + 1) * HOURS)
        return Peaks(self.hourly[..., hours], self.inbound[:, hours], self.ratio[:, hours])


def hourly_peaks(
    sent: Float64, received: Float64, step_s: int, options: OutboundOptions, *, sliding: bool = True
) -> Peaks:
    """Hourly statistics of (rows, steps) traffic; with `sliding` off only the windows at the hours' ends count."""
    per_hour = 3600 // step_s
    pick = block_max if sliding else block_last
    parts = []
    for first in range(0, len(sent), CHUNK):
        rows = slice(first, first + CHUNK)
        found = trailing_statistics(sent[rows], received[rows], step_s, options.floor_per_hour)
        inbound = inbound_volume(found.sent[:, 0], found.received[:, 0], options.floor_per_hour)
        ratio = block_last(found.peaks[:, Statistic.RATIO_1H], per_hour)
        parts.append(Peaks(pick(found.peaks, per_hour), pick(inbound, per_hour), ratio))
    return Peaks(*(np.concatenate([getattr(part, name) for part in parts]) for name in Peaks.__slots__))


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """A fleet's closed days: the state each day opened with (days + 1 of them), and the maxima as seen and as kept.

    `values` are each day's by the hour, `seen` (entities, STATISTICS, days) their daily maxima before bounding.
    """

    states: tuple[OutboundState, ...]
    values: tuple[DayValues, ...]
    seen: Float32

    @property
    def kept(self) -> Float32:
        """Daily maxima as the baseline keeps them, (entities, STATISTICS, days)."""
        days = len(self.states) - 1
        return np.stack([state.maxima[..., -1] for state in self.states[1 : days + 1]], axis=-1)


def close_days(peaks: Peaks, options: OutboundOptions) -> History:
    """All days of a fleet, closed one after the other."""
    days = peaks.ratio.shape[1] // HOURS
    state = OutboundState.empty(len(peaks.ratio), options)
    states, values = [state], []
    for day in range(days):
        today, state = _next_day(state, peaks.day(day), options)
        values.append(today)
        states.append(state)
    seen = np.stack([day_maxima(today.statistics) for today in values], axis=-1)
    return History(tuple(states), tuple(values), seen)


def _next_day(state: OutboundState, peaks: Peaks, options: OutboundOptions) -> tuple[DayValues, OutboundState]:
    reference = open_day(state, options)
    cusum = run_cusum(state, reference, peaks.ratio, options)
    values = day_values(peaks.hourly, peaks.inbound, np.arange(HOURS), cusum, reference)
    return values, close_day(state, values, peaks.ratio, cusum, options)


def learn_models(history: History, days: range) -> RecordModels:
    """Record models of all statistics from some days of a fleet."""
    return fit_all(history.kept, history.seen, days)


def score_history(history: History, models: RecordModels, days: range, options: OutboundOptions) -> Channels:
    """Raw scores of all hours; hours outside `days` are 0."""
    shape = (history.seen.shape[0], history.seen.shape[2] * HOURS)
    ratio, volume = np.zeros(shape), np.zeros(shape)
    for day in days:
        hours = slice(day * HOURS, (day + 1) * HOURS)
        records = day_records(history.states[day], models, options)
        raw = score_day(history.values[day], records, options)
        ratio[:, hours], volume[:, hours] = raw.channels.ratio, raw.channels.volume
    return Channels(ratio, volume)


def gather_states(history: History, entities: NDArray[np.int64], days: NDArray[np.int64]) -> OutboundState:
    """The state of each (entity, day) row as that day opened."""
    rows = [history.states[day].take(entities[days == day]) for day in np.unique(days)]
    order = np.argsort(np.concatenate([np.flatnonzero(days == day) for day in np.unique(days)]))
    fields = (np.concatenate([getattr(row, name) for row in rows])[order] for name in OutboundState.__slots__)
    return OutboundState(*fields)


def rescore(
    traffic: Traffic,
    sent: Float64,
    received: Float64,
    state: OutboundState,
    models: RecordModels,
    options: OutboundOptions,
    *,
    sliding: bool = True,
) -> Channels:
    """Raw scores of rows of traffic that begin one day before the state's next day.

    `sent` and `received` are (rows, steps), the first day of them only fills the trailing windows. The state takes in
    each day before the next is scored, injected bytes included.
    """
    peaks = hourly_peaks(sent, received, traffic.step_s, options, sliding=sliding)
    ratio, volume = [], []
    for day in range(1, peaks.ratio.shape[1] // HOURS):
        records = day_records(state, models, options)
        values, state = _next_day(state, peaks.day(day), options)
        raw = score_day(values, records, options)
        ratio.append(raw.channels.ratio)
        volume.append(raw.channels.volume)
    return Channels(np.concatenate(ratio, axis=1), np.concatenate(volume, axis=1))
