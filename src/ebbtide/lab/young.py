"""Young entities: every entity's history cut to its last few days, models and thresholds as they are.

In: a fleet learned by `bench`. Out: clean scores and scores of events as if nobody had more than so many days. What is
kept of closed days stays whole; only what a day is compared with is cut.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.detect.outbound import Channels, day_records, score_day
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_state import OutboundState, close_day, day_values, open_day, run_cusum
from ebbtide.lab.bench import EventRaw, OutboundBench
from ebbtide.lab.inject import Events, with_events
from ebbtide.lab.stream import Peaks, gather_states, hourly_peaks


def cut_options(options: OutboundOptions, days: int) -> OutboundOptions:
    """Options that look no more than `days` days back."""
    return replace(
        options,
        history_days=tuple(min(window, days) for window in options.history_days),
        usual_days=min(options.usual_days, days),
        ratio_days=min(options.ratio_days, days),
    )


def young_scores(bench: OutboundBench, days: range, history_days: int) -> Channels:
    """Raw scores of the clean stream on `days` (entities, hours of these days)."""
    cut = cut_options(bench.options, history_days)
    parts = [_score(bench, bench.history.states[day], bench.peaks.day(day), cut)[0] for day in days]
    return _joined(parts)


def young_events(bench: OutboundBench, events: Events, history_days: int) -> EventRaw:
    """Raw scores of injected events; days closed during an event count as history."""
    cut = cut_options(bench.options, history_days)
    injected = with_events(bench.traffic, events, 1)
    first_day, per_hour = injected.first_day + 1, bench.traffic.steps_per_hour
    state = gather_states(bench.history, events.entity, first_day)
    peaks = hourly_peaks(injected.sent, injected.received, bench.traffic.step_s, bench.options)
    parts = []
    for day in range(1, peaks.ratio.shape[1] // HOURS):
        scores, state = _score(bench, state, peaks.day(day), cut)
        parts.append(scores)
    stop = (events.end + per_hour - 1) // per_hour + 1
    return EventRaw(events, _joined(parts), first_day * HOURS, events.start // per_hour, stop)


def _joined(parts: list[Channels]) -> Channels:
    return Channels(
        np.concatenate([part.ratio for part in parts], axis=1), np.concatenate([part.volume for part in parts], axis=1)
    )


def _score(
    bench: OutboundBench, state: OutboundState, today: Peaks, cut: OutboundOptions
) -> tuple[Channels, OutboundState]:
    """One day's scores against the cut history, and the whole state with that day closed."""
    reference = open_day(state, cut)
    hours = np.arange(HOURS)
    drips = run_cusum(state, reference, today.ratio, cut)
    values = day_values(today.hourly, today.inbound, hours, drips, reference)
    scores = score_day(values, day_records(state, bench.models, cut), cut).channels
    reference = open_day(state, bench.options)
    cusum = run_cusum(state, reference, today.ratio, bench.options)
    whole = day_values(today.hourly, today.inbound, hours, cusum, reference)
    return scores, close_day(state, whole, today.ratio, cusum, bench.options)
