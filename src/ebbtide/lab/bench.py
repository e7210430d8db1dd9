"""The outbound detector in the harness: learned on days 30-60, scored on days 60-91, thresholds fixed or reset daily.

In: traffic and events. Out: scores on the common scale for the clean stream and for every event. What is learned, the
record models, the context, the curves and the thresholds, comes from days before those it judges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.records import RecordModels
from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.detect.outbound import Channels
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import OutboundScale, apply_scale, count_others, learn_scale, learn_thresholds
from ebbtide.detect.outbound_shipped import shipped_scale, shipped_threshold
from ebbtide.lab.evaluate import BUDGETS, EventScores
from ebbtide.lab.inject import RETURN_SHARE, Events, with_events
from ebbtide.lab.stream import (
    History,
    Peaks,
    close_days,
    gather_states,
    hourly_peaks,
    learn_models,
    rescore,
    score_history,
)
from ebbtide.lab.traffic import Traffic
from ebbtide.series import Float64

LEARN = range(30, 60)
SCORE = range(60, 91)
CALIBRATION_DAYS = 30


@dataclass(frozen=True, slots=True, eq=False)
class OutboundBench:
    """A fleet learned and scored once: history, models, raw scores of every hour."""

    traffic: Traffic
    options: OutboundOptions
    peaks: Peaks
    history: History
    models: RecordModels
    raw: Channels
    has_received: NDArray[np.bool_]
    sliding: bool = True

    @classmethod
    def run(
        cls,
        traffic: Traffic,
        options: OutboundOptions,
        learn: range = LEARN,
        *,
        sliding: bool = True,
        models: RecordModels | None = None,
    ) -> OutboundBench:
        """Close all days, score every day from the first of `learn` on, with record models learned there or given."""
        peaks = hourly_peaks(traffic.sent, traffic.received, traffic.step_s, options, sliding=sliding)
        history = close_days(peaks, options)
        models = learn_models(history, learn) if models is None else models
        raw = score_history(history, models, range(learn.start, traffic.days), options)
        has_received = np.asarray(np.isfinite(traffic.received).any(axis=1), bool)
        return cls(traffic, options, peaks, history, models, raw, has_received, sliding)

    def raw_of(self, events: Events, return_share: float = RETURN_SHARE) -> EventRaw:
        """Raw scores of injected events, from the day of their first added byte on."""
        injected = with_events(self.traffic, events, 1, return_share)
        first_day = injected.first_day + 1
        state = gather_states(self.history, events.entity, first_day)
        scores = rescore(
            self.traffic, injected.sent, injected.received, state, self.models, self.options, sliding=self.sliding
        )
        per_hour = self.traffic.steps_per_hour
        return EventRaw(
            events,
            scores,
            first_day * HOURS,
            events.start // per_hour,
            (events.end + per_hour - 1) // per_hour + 1,
        )


@dataclass(frozen=True, slots=True, eq=False)
class EventRaw:
    """Raw scores (events, hours) of a batch; `first`, `start`, `stop` are hours of the clean stream, (events,)."""

    events: Events
    raw: Channels
    first: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def scored(self, scores: Float64) -> EventScores:
        """This batch with scores on the common scale."""
        events = self.events
        return EventScores(events.scenario.name, events.entity, events.rho, scores, self.first, self.start, self.stop)


@dataclass(frozen=True, slots=True, eq=False)
class ScaledDays:
    """Some days' scale: clean scores S of these days, the thresholds per budget, and what events are scored with."""

    days: range
    scale: OutboundScale
    score: Float64
    thresholds: tuple[float, ...]
    others: Channels


def scale_days(bench: OutboundBench, learn: range, days: range, budgets: tuple[float, ...] = BUDGETS) -> ScaledDays:
    """Learn scale and thresholds on the days `learn`, apply them to `days`."""
    options, alive = bench.options, bench.has_received
    before = bench.raw.at(slice(learn.start * HOURS, learn.stop * HOURS))
    hours = np.arange(before.ratio.shape[1]) % HOURS
    scale = learn_scale(before, hours, options)
    memory = options.context_hours
    learned = apply_scale(scale, before, count_others(scale, before, memory), hours, alive, options).score
    thresholds = learn_thresholds(learned, budgets, options)
    return scale_with(bench, scale, thresholds, days)


def scale_with(bench: OutboundBench, scale: OutboundScale, thresholds: tuple[float, ...], days: range) -> ScaledDays:
    """Some days under a scale and thresholds learned elsewhere."""
    options, memory = bench.options, bench.options.context_hours
    # The first hours of the days look back into the day before.
    now = bench.raw.at(slice(days.start * HOURS - memory, days.stop * HOURS))
    others, now = count_others(scale, now, memory).at(slice(memory, None)), now.at(slice(memory, None))
    hours = np.arange(now.ratio.shape[1]) % HOURS
    score = apply_scale(scale, now, others, hours, bench.has_received, options).score
    return ScaledDays(days, scale, score, thresholds, others)


def scale_as_shipped(bench: OutboundBench, days: range, budgets: tuple[float, ...] = BUDGETS) -> ScaledDays:
    """Some days under the scale and the thresholds that ship: nothing is learned from the fleet."""
    return scale_with(bench, shipped_scale(len(bench.traffic.names)), tuple(map(shipped_threshold, budgets)), days)


def fixed(bench: OutboundBench, budgets: tuple[float, ...] = BUDGETS) -> tuple[ScaledDays, ...]:
    """One scale for all scored days, learned on days 30-60."""
    return (scale_days(bench, LEARN, SCORE, budgets),)


def score_as(bench: OutboundBench, scaled: ScaledDays, raw: Channels) -> Float64:
    """S on some days of other raw scores of the same entities (entities, hours of the days), the fleet as it was."""
    hours = np.arange(raw.ratio.shape[1]) % HOURS
    return apply_scale(scaled.scale, raw, scaled.others, hours, bench.has_received, bench.options).score


def daily(bench: OutboundBench, budgets: tuple[float, ...] = BUDGETS) -> tuple[ScaledDays, ...]:
    """A scale for each scored day, learned on the 30 days before it."""
    return tuple(scale_days(bench, range(day - CALIBRATION_DAYS, day), range(day, day + 1), budgets) for day in SCORE)


@dataclass(frozen=True, slots=True, eq=False)
class CleanScores:
    """S of every hour of the stream (entities, hours), -inf where not scored; thresholds (budgets, hours)."""

    score: Float64
    thresholds: Float64


def clean_scores(bench: OutboundBench, scaled: tuple[ScaledDays, ...]) -> CleanScores:
    """The clean stream's scores under some scales, on the grid of all hours."""
    shape = bench.raw.ratio.shape
    score = np.full(shape, -np.inf)
    thresholds = np.full((len(scaled[0].thresholds), shape[1]), np.inf)
    for one in scaled:
        hours = slice(one.days.start * HOURS, one.days.stop * HOURS)
        score[:, hours] = one.score
        thresholds[:, hours] = np.array(one.thresholds)[:, None]
    return CleanScores(score, thresholds)


def event_scores(bench: OutboundBench, raw: EventRaw, scaled: tuple[ScaledDays, ...]) -> EventScores:
    """S of a batch of events; the other entities' surprises are those of the clean stream."""
    scores = np.full(raw.raw.ratio.shape, -np.inf)
    place: NDArray[np.int64] = raw.first[:, None] + np.arange(raw.raw.ratio.shape[1])
    entity = np.repeat(raw.events.entity[:, None], place.shape[1], axis=1)
    for one in scaled:
        inside = (place >= one.days.start * HOURS) & (place < one.days.stop * HOURS)
        if inside.any():
            at = place[inside] - one.days.start * HOURS
            scores[inside] = _score_cells(bench, raw, one, inside, entity[inside], at)
    return raw.scored(scores)


def _score_cells(
    bench: OutboundBench,
    raw: EventRaw,
    scaled: ScaledDays,
    inside: NDArray[np.bool_],
    entity: NDArray[np.int64],
    at: NDArray[np.int64],
) -> Float64:
    """S of single cells, given as rows of one instant each."""
    raw_cells = Channels(raw.raw.ratio[inside][:, None], raw.raw.volume[inside][:, None])
    others = Channels(scaled.others.ratio[entity, at][:, None], scaled.others.volume[entity, at][:, None])
    hours, alive = (at % HOURS)[:, None], bench.has_received[entity]
    score = apply_scale(scaled.scale, raw_cells, others, hours, alive, bench.options).score
    flat: Float64 = score[:, 0]
    return flat
