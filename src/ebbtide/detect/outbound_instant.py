"""One instant of the outbound detector: trailing sums against what the day opened with.

In: sums and references of pairs of entity and metric. Out: S of each and what it is made of. The same function judges a
live tick, a replay, and a stored finding's evidence again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_inbound import inbound_volume
from ebbtide.baseline.trailing_statistics import Float32, statistics_of_sums
from ebbtide.detect.outbound import Channels, DayRecords, RawScores, score_day
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import OutboundScale, Scored, apply_scale
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
