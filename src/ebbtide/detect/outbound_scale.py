"""One scale for both channels: context taken off, budgets shared, a threshold for the budget.

In: raw channel scores, first of the last weeks to learn from, then of now. Out: the score S and where it fires. S is
-ln(findings this surprising per 1000 entity-days), the unit of the threshold, of risk and of the message. Learned once
a day from the last 30 days: what drifts is the traffic, and only a daily reset follows it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.calibration import Curve, count_findings, curve, threshold_for
from ebbtide.baseline.calibration_context import Context, discount, learn_context, others_passing
from ebbtide.detect.outbound import Channels
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.series import Float64

#: The line a channel must pass to count as surprising together with others, findings per 1000 entity-days.
PASSING_BUDGET = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class ChannelScale:
    """One channel's context and its curve from score to budget."""

    context: Context
    curve: Curve


@dataclass(frozen=True, slots=True, eq=False)
class OutboundScale:
    """Both channels' scales."""

    ratio: ChannelScale
    volume: ChannelScale


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """`score` S (entities, instants), each channel's `parts` of it, and what the context took off, `discounts`.

    A channel's part is its surprise on the common scale, its share of the budget counted; S is the larger one.
    Discounts are in nats of the raw channel score.
    """

    score: Float64
    parts: Channels
    discounts: Channels


def learn_scale(
    raw: Channels, hours: NDArray[np.int64], options: OutboundOptions, entity_days: float | None = None
) -> OutboundScale:
    """Scales of both channels from raw hourly scores (entities, hours); `hours` (hours,) are hours of day.

    `entity_days` where entities without any surprise are left out of the scores; None: as many as there are scores.
    """
    days = raw.ratio.size / 24.0 if entity_days is None else entity_days
    return OutboundScale(_learn(raw.ratio, hours, options, days), _learn(raw.volume, hours, options, days))


def _learn(scores: Float64, hours: NDArray[np.int64], options: OutboundOptions, entity_days: float) -> ChannelScale:
    counts = count_findings(scores, options.merge_hours)
    passing = threshold_for(counts, PASSING_BUDGET * entity_days / 1000.0)
    context = learn_context(scores, hours, passing, options.context_hours, options.merge_hours)
    others = others_passing(scores > passing, options.context_hours)
    adjusted = scores - discount(context, others, hours)
    return ChannelScale(context, curve(adjusted, entity_days, options.merge_hours))


def count_others(scale: OutboundScale, raw: Channels, memory_steps: int) -> Channels:
    """How many other entities passed each channel's line in the last steps, for a whole fleet's raw scores."""
    return Channels(
        others_passing(raw.ratio > scale.ratio.context.passing, memory_steps),
        others_passing(raw.volume > scale.volume.context.passing, memory_steps),
    )


def apply_scale(
    scale: OutboundScale,
    raw: Channels,
    others: Channels,
    hours: NDArray[np.int64],
    has_received: NDArray[np.bool_],
    options: OutboundOptions,
) -> Scored:
    """S of raw channel scores, given how many other entities passed each channel's line in the last two hours.

    `hours` (instants,) are hours of day, `has_received` (entities,). An entity without received data has no ratio
    channel, and its volume channel the whole budget.
    """
    with_ratio = has_received[:, None]
    off = Channels(
        discount(scale.ratio.context, others.ratio, hours), discount(scale.volume.context, others.volume, hours)
    )
    ratio = scale.ratio.curve.surprise(raw.ratio - off.ratio) + np.log(options.ratio_share)
    volume_share = np.where(with_ratio, np.log(1.0 - options.ratio_share), 0.0)
    volume = scale.volume.curve.surprise(raw.volume - off.volume) + volume_share
    parts = Channels(np.where(with_ratio, ratio, -np.inf), volume)
    return Scored(np.maximum(parts.ratio, parts.volume), parts, off)


def learn_thresholds(
    scores: Float64, budgets: Iterable[float], options: OutboundOptions, entity_days: float | None = None
) -> tuple[float, ...]:
    """For each budget the smallest threshold on S that gave at most so many findings per 1000 entity-days.

    `scores` (entities, hours); `entity_days` as in `learn_scale`.
    """
    days = scores.size / 24.0 if entity_days is None else entity_days
    counts = count_findings(scores, options.merge_hours)
    return tuple(threshold_for(counts, budget * days / 1000.0) for budget in budgets)
