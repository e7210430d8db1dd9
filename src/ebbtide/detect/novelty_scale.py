"""What a fleet's own past says about new things: how often they come, and whether the line must lie higher.

In: the first contacts and first processes of closed days. Out: a `NoveltyScale`. Each past event is scored with what
was known before it, as it would have been; a channel that told more of them than the reference budget allows loses the
difference. It never gains: a quiet past is no reason to tell more.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.detect.novelty import CHANNELS, Met, NoveltyScale, destination_surprise, rank_of
from ebbtide.detect.novelty_options import Channel, NoveltyOptions
from ebbtide.series import Float64, Int64

HOURS = 24


@dataclass(frozen=True, slots=True, eq=False)
class FirstContacts:
    """Past new destinations after each entity's first day, columns (rows,): `row` of the entity, `hour` since the end
    of its first day, bytes of that hour, whether inside, how `seldom` others meet that place (`Met.seldom`, as it is by
    now). `days` (n,) are the entities' days after the first."""

    row: Int64
    hour: Int64
    sent: Float64
    is_inside: NDArray[np.bool_]
    seldom: Float64
    days: Float64

    def events(self, *, is_inside: bool) -> Float64:
        """Per entity the hours with a new destination of this kind, (n,)."""
        at = self.is_inside == is_inside
        hours = np.unique(np.stack([self.row[at], self.hour[at]]), axis=1)
        return np.bincount(hours[0], minlength=len(self.days)).astype(np.float64)


def learn_scale(
    past: FirstContacts, processes: float, workload_days: float, wakings: float, options: NoveltyOptions
) -> NoveltyScale:
    """The scale of a fleet with this past; shipped figures count as much as `usual_days` entity-days."""
    days = float(past.days.sum())
    usual = np.array(options.usual)
    counted = {
        Channel.OUTSIDE: (float(past.events(is_inside=False).sum()), days),
        Channel.INSIDE: (float(past.events(is_inside=True).sum()), days),
        Channel.PROCESS: (processes, workload_days),
        Channel.SILENCE: (wakings, days),
    }
    for channel, (events, exposure) in counted.items():
        usual[channel] = (events + usual[channel] * options.usual_days) / (exposure + options.usual_days)
    shift = np.zeros(CHANNELS)
    if days >= options.own_entity_days:
        for channel in (Channel.OUTSIDE, Channel.INSIDE):
            shift[channel] = _excess(past, channel, float(usual[channel]), days, options)
    return NoveltyScale(usual, shift)


def past_scores(past: FirstContacts, channel: Channel, usual: float, options: NoveltyOptions) -> Float64:
    """The surprise of each past hour with new destinations of a kind, as it was when it came; (hours,)."""
    at = np.flatnonzero(past.is_inside == (channel is Channel.INSIDE))
    if not len(at):
        return np.empty(0)
    hours, hour_of = np.unique(np.stack([past.row[at], past.hour[at]]), axis=1, return_inverse=True)
    hour_of = hour_of.reshape(-1)
    none = np.zeros(len(at), np.bool_)
    met = Met(hour_of, none, past.sent[at], rank_of(hour_of, none, past.sent[at]), past.seldom[at], none)
    before = np.arange(hours.shape[1]) - np.searchsorted(hours[0], hours[0], side="left")
    score = destination_surprise(
        before[hour_of].astype(np.float64),
        hours[1][hour_of] / HOURS,
        met.sent,
        met.rank,
        met.seldom,
        channel,
        usual,
        options,
    )
    best = np.full(hours.shape[1], -np.inf)
    np.maximum.at(best, hour_of, score)
    return best


def _excess(past: FirstContacts, channel: Channel, usual: float, days: float, options: NoveltyOptions) -> float:
    """By how much the line that keeps the past within the reference budget lies above the nominal one."""
    most = int(options.reference_budget * days / 1000.0)
    scores = np.sort(past_scores(past, channel, usual, options))[::-1]
    if len(scores) <= most:
        return 0.0
    return float(max(0.0, scores[most] + np.log(options.reference_budget)))
