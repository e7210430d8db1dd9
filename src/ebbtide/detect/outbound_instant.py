"""One instant of the outbound detector: trailing sums against what the day opened with.

In: sums and references of pairs of entity and metric. Out: S of each and what it is made of. The same function judges a
live tick, a replay, and a stored finding's evidence again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_inbound import inbound_volume
from ebbtide.baseline.trailing_statistics import Float32, statistics_of_sums
from ebbtide.detect.outbound import Channels, DayRecords, RawScores, score_day
from ebbtide.detect.outbound_clues import Clues, SentMix, clues
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import OutboundScale, Scored, apply_scale
from ebbtide.detect.outbound_scale_form import DayScale
from ebbtide.detect.outbound_state import DayReference, DayValues, day_values
from ebbtide.series import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Instant:
    """What pairs show at one instant: `values`, `raw` scores; one place on the axis of instants."""

    values: DayValues
    raw: RawScores


def show(
    sent: Float64,
    received: Float64,
    floor: Float64,
    hour: int,
    cusum: Float32,
    reference: DayReference,
    records: DayRecords,
    options: OutboundOptions,
) -> Instant:
    """Statistics and raw scores of pairs.

    `sent` and `received` (pairs, windows) are trailing sums, NaN where too little is known; `floor` and `cusum` are
    (pairs,); `hour` is the UTC hour of day.
    """
    peaks = statistics_of_sums(sent[..., None], received[..., None], floor).peaks
    inbound = inbound_volume(sent[:, :1], received[:, :1], floor[:, None])
    values = day_values(peaks, inbound, np.array([hour]), cusum[:, None], reference)
    return Instant(values, score_day(values, records, options))


def measure(
    raw: Channels,
    others: Channels,
    hour: int,
    has_received: NDArray[np.bool_],
    scale: OutboundScale,
    options: OutboundOptions,
) -> Scored:
    """S of raw scores (pairs, 1), given how many other pairs passed each channel's line lately."""
    return apply_scale(scale, raw, others, np.array([hour]), has_received, options)


@dataclass(frozen=True, slots=True, eq=False)
class Quieted:
    """Scores with what clues took off: `scored` (its parts are those without), `clues` and their `nats` (pairs, 1), and
    `shift` (pairs, 1), what was added.
    """

    scored: Scored
    clues: Clues
    nats: Float64
    shift: Float64


def quiet(
    scored: Scored,
    own: Float64,
    floor: Float64,
    mix: SentMix,
    line: Float64,
    scale: DayScale,
    options: OutboundOptions,
) -> Quieted:
    """Scores with the clues of the hour taken off, one place on the axis of instants.

    `own` (pairs, 1) bytes of each pair's metric, `floor` (pairs,) its floor, `mix` and `line` (pairs, 1) of its
    entity, NaN line: it has no usual mix, and its score stays what it is.
    """
    held = clues(own, mix, line, options.clues)
    nats = held.nats(options.clues)
    is_shifted = np.isfinite(line) & (own >= options.clues.shift_from * floor[:, None])
    shift = np.where(is_shifted, scale.shift(options.clues), 0.0)
    return Quieted(replace(scored, score=scored.score - nats + shift), held, nats, shift)
