"""A decision every 5 minutes: how soon an attack is found, and what has left by then.

In: a fleet learned by `bench`. Out: raw scores per step of the clean stream and of events, delays and lost bytes. As in
production the scale and the thresholds come from one number per entity and hour, the hour's maximum, while the
decision is made at every step and counts as context what others did in the two hours before it, never after.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing import block_last, block_max
from ebbtide.baseline.trailing_inbound import inbound_volume
from ebbtide.baseline.trailing_statistics import HOURS, Float32, Statistic, trailing_statistics
from ebbtide.detect.outbound import Channels, day_records, score_day
from ebbtide.detect.outbound_scale import OutboundScale, apply_scale, count_others, learn_scale, learn_thresholds
from ebbtide.detect.outbound_state import DayValues, OutboundState, close_day, day_values, open_day, run_cusum
from ebbtide.lab.bench import LEARN, SCORE, OutboundBench
from ebbtide.lab.evaluate import BUDGETS, EventScores
from ebbtide.lab.inject import Events, with_events
from ebbtide.lab.stream import CHUNK, gather_states
from ebbtide.series import Float64

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class StepPeaks:
    """Statistics of trailing sums at every step: `peaks` (rows, PEAKS, steps), `inbound` (rows, steps).

    `ratio` (rows, hours) is the 1 h ratio at the hours' ends.
    """

    peaks: Float32
    inbound: Float32
    ratio: Float32

    def after(self, steps: int) -> StepPeaks:
        """Without the first steps, a whole number of hours."""
        hours = steps // (self.peaks.shape[2] // self.ratio.shape[1])
        return StepPeaks(self.peaks[..., steps:], self.inbound[:, steps:], self.ratio[:, hours:])


def step_peaks(sent: Float64, received: Float64, step_s: int, floor_per_hour: float) -> StepPeaks:
    """Statistics of (rows, steps) traffic at every step."""
    parts = []
    for first in range(0, len(sent), CHUNK):
        rows = slice(first, first + CHUNK)
        found = trailing_statistics(sent[rows], received[rows], step_s, floor_per_hour)
        inbound = inbound_volume(found.sent[:, 0], found.received[:, 0], floor_per_hour)
        parts.append(StepPeaks(found.peaks, inbound, block_last(found.peaks[:, Statistic.RATIO_1H], 3600 // step_s)))
    return StepPeaks(*(np.concatenate([getattr(part, name) for part in parts]) for name in StepPeaks.__slots__))


def _day_values(bench: OutboundBench, state: OutboundState, today: StepPeaks) -> tuple[DayValues, OutboundState]:
    """A day's statistics at every step, and the state with the day closed."""
    options, per_hour = bench.options, bench.traffic.steps_per_hour
    reference = open_day(state, options)
    cusum = run_cusum(state, reference, today.ratio, options)
    # Within an hour the sum is that of the hour before; it moves with the hour's last step.
    known = np.repeat(np.concatenate([state.cusum[:, None], cusum], axis=1), per_hour, axis=1)
    known = known[:, 1 : 1 + HOURS * per_hour]
    steps = np.repeat(np.arange(HOURS), per_hour)
    values = day_values(today.peaks, today.inbound, steps, known, reference)
    # Days are closed on hourly statistics, as everywhere: the state does not depend on how often one decides.
    peaks, inbound = block_max(today.peaks, per_hour), block_max(today.inbound, per_hour)
    hourly = day_values(peaks, inbound, np.arange(HOURS), cusum, reference)
    return values, close_day(state, hourly, today.ratio, cusum, options)


def _score_days(bench: OutboundBench, state: OutboundState, peaks: StepPeaks) -> Channels:
    """Raw scores of some days from the state the first of them opens with."""
    per_day = bench.traffic.steps_per_day
    ratio, volume = [], []
    for day in range(peaks.ratio.shape[1] // HOURS):
        steps = slice(day * per_day, (day + 1) * per_day)
        ratio_of_day = peaks.ratio[:, day * HOURS : (day + 1) * HOURS]
        today = StepPeaks(peaks.peaks[..., steps], peaks.inbound[:, steps], ratio_of_day)
        records = day_records(state, bench.models, bench.options)
        values, state = _day_values(bench, state, today)
        raw = score_day(values, records, bench.options).channels
        ratio.append(raw.ratio.astype(np.float32))
        volume.append(raw.volume.astype(np.float32))
    return Channels(np.concatenate(ratio, axis=1).astype(float), np.concatenate(volume, axis=1).astype(float))


@dataclass(frozen=True, slots=True, eq=False)
class SlidingBench:
    """The clean stream at every step of the scored days, and what events are scored with.

    `score` S and `others` are (entities, steps) from `first_step` on; `thresholds` one per budget.
    """

    bench: OutboundBench
    scale: OutboundScale
    thresholds: tuple[float, ...]
    first_step: int
    others: Channels
    score: Float64


def run_sliding(bench: OutboundBench, learn: range = LEARN, score: range = SCORE) -> SlidingBench:
    """Score every step of the days `score`, which follow the days `learn` that scale and thresholds come from."""
    traffic, options = bench.traffic, bench.options
    per_day = traffic.steps_per_day
    window = slice((learn.start - 1) * per_day, score.stop * per_day)
    peaks = step_peaks(traffic.sent[:, window], traffic.received[:, window], traffic.step_s, options.floor_per_hour)
    raw = _score_days(bench, bench.history.states[learn.start], peaks.after(per_day))
    first = len(learn) * per_day
    scale, thresholds = _learn(bench, raw.at(slice(0, first)))
    memory = options.context_hours * traffic.steps_per_hour
    others = count_others(scale, raw, memory).at(slice(first, None))
    hours = _hours_of_steps(raw.ratio.shape[1] - first, traffic.steps_per_hour)
    scored = apply_scale(scale, raw.at(slice(first, None)), others, hours, bench.has_received, options)
    return SlidingBench(bench, scale, thresholds, score.start * per_day, others, scored.score)


def _learn(bench: OutboundBench, raw: Channels) -> tuple[OutboundScale, tuple[float, ...]]:
    options, per_hour = bench.options, bench.traffic.steps_per_hour
    hourly = Channels(block_max(raw.ratio, per_hour), block_max(raw.volume, per_hour))
    hours = np.arange(hourly.ratio.shape[1]) % HOURS
    scale = learn_scale(hourly, hours, options)
    others = count_others(scale, hourly, options.context_hours)
    score = apply_scale(scale, hourly, others, hours, bench.has_received, options).score
    return scale, learn_thresholds(score, BUDGETS, options)


def _hours_of_steps(steps: int, per_hour: int) -> NDArray[np.int64]:
    return np.arange(steps) // per_hour % HOURS


def sliding_events(sliding: SlidingBench, events: Events) -> EventScores:
    """S at every step of injected events, from the day of the first added byte on."""
    bench, traffic = sliding.bench, sliding.bench.traffic
    per_day, injected = traffic.steps_per_day, with_events(traffic, events, 1)
    state = gather_states(bench.history, events.entity, injected.first_day + 1)
    peaks = step_peaks(injected.sent, injected.received, traffic.step_s, bench.options.floor_per_hour)
    raw = _score_days(bench, state, peaks.after(per_day))
    first = (injected.first_day + 1) * per_day - sliding.first_step
    place = np.minimum(first[:, None] + np.arange(raw.ratio.shape[1]), sliding.score.shape[1] - 1)
    rows = events.entity[:, None]
    others = Channels(sliding.others.ratio[rows, place], sliding.others.volume[rows, place])
    hours = _hours_of_steps(raw.ratio.shape[1], traffic.steps_per_hour)
    alive = bench.has_received[events.entity]
    score = apply_scale(sliding.scale, raw, others, hours, alive, bench.options).score
    stop = events.end + traffic.steps_per_hour - sliding.first_step
    start = events.start - sliding.first_step
    return EventScores(events.scenario.name, events.entity, events.rho, score, first, start, stop)


@dataclass(frozen=True, slots=True, eq=False)
class Delays:
    """Of the events found: minutes from the first added byte to the end of the deciding step, and what left by then.

    All (found,): `minutes`, `lost` in the metric's unit, `share` of the event's own total.
    """

    minutes: Float64
    lost: Float64
    share: Float64


def delays(sliding: SlidingBench, events: Events, scored: EventScores, found: Bools, threshold: float) -> Delays:
    """Time to detect and bytes lost of the events marked in `found` (events,)."""
    place = scored.first[:, None] + np.arange(scored.scores.shape[1])
    judged = (place >= scored.start[:, None]) & (place < scored.stop[:, None]) & (scored.scores > threshold)
    steps = place[np.arange(len(place)), judged.argmax(axis=1)] - scored.start + 1
    sent = np.cumsum(events.added[:, events.lead :], axis=1)
    lost = sent[np.arange(len(sent)), np.clip(steps, 1, sent.shape[1]) - 1]  # rows not found are dropped below
    minutes = steps * sliding.bench.traffic.step_s / 60.0
    return Delays(minutes[found], lost[found], lost[found] / np.maximum(sent[found, -1], 1.0))
