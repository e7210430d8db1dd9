"""What the outbound detector keeps of each entity's closed days, and how a day is closed.

In: a day's statistics. Out: the state with that day in it. Days and hours are UTC blocks. About 7 KB per entity and
metric; a tick reads this and the current windows, never history. Rows are independent: any subset or order of entities
gives the same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.cusum import Usual, accumulate, drip, usual_ratio
from ebbtide.baseline.records import bound, summarise
from ebbtide.baseline.trailing import block_max
from ebbtide.baseline.trailing_inbound import growth, usual_inbound
from ebbtide.baseline.trailing_statistics import HOURS, PEAKS, STATISTICS, Float32, Statistic, usual_hour
from ebbtide.detect.outbound_options import OutboundOptions

BOUND_WINDOW_DAYS = 30
#: A day with fewer known hours of a statistic has no maximum.
LEAST_HOURS = HOURS // 2


@dataclass(frozen=True, slots=True, eq=False)
class OutboundState:
    """State of closed days, entity first, oldest day first, NaN where missing.

    `maxima` (entities, STATISTICS, days) float32: bounded daily maxima. `hourly_volume` and `hourly_inbound`
    (entities, days, 24) float32: hourly maxima of the 1 h volume and of the inbound. `hourly_ratio`
    (entities, days, 24) float16: the 1 h ratio at each hour's end. `cusum` (entities,) float32: the drip's sum at the
    end of the last closed day.
    """

    maxima: Float32
    hourly_volume: Float32
    hourly_inbound: Float32
    hourly_ratio: NDArray[np.float16]
    cusum: Float32

    @classmethod
    def empty(cls, entities: int, options: OutboundOptions) -> Self:
        """Nothing known yet."""
        return cls(
            np.full((entities, STATISTICS, max(options.history_days)), np.nan, np.float32),
            np.full((entities, options.usual_days, HOURS), np.nan, np.float32),
            np.full((entities, options.usual_days, HOURS), np.nan, np.float32),
            np.full((entities, options.ratio_days, HOURS), np.nan, np.float16),
            np.zeros(entities, np.float32),
        )

    def take(self, entities: NDArray[np.int64]) -> OutboundState:
        """The rows of some entities, in that order; rows may repeat."""
        return OutboundState(*(getattr(self, name)[entities] for name in OutboundState.__slots__))

    @property
    def bytes_per_entity(self) -> int:
        """What one entity's state weighs in memory."""
        arrays = (getattr(self, name) for name in OutboundState.__slots__)
        return sum(int(array.nbytes) for array in arrays) // max(1, len(self.cusum))


@dataclass(frozen=True, slots=True, eq=False)
class DayReference:
    """What a day is compared with hour by hour: `usual_volume`, `usual_inbound` (entities, 24), the `usual` ratio."""

    usual_volume: Float32
    usual_inbound: Float32
    usual: Usual


def open_day(state: OutboundState, options: OutboundOptions) -> DayReference:
    """References for the day after the last closed one."""
    recent = state.hourly_ratio[:, -options.ratio_days :]
    history = recent.reshape(len(recent), recent.shape[1] * HOURS).astype(np.float32)
    days = slice(-options.usual_days, None)
    return DayReference(
        usual_hour(state.hourly_volume[:, days], options.usual_minimum),
        usual_inbound(state.hourly_inbound[:, days], options.usual_minimum),
        usual_ratio(history, options.ratio_minimum),
    )


@dataclass(frozen=True, slots=True, eq=False)
class DayValues:
    """What is scored and kept of a day's instants.

    `statistics` (entities, STATISTICS, instants), `inbound` (entities, instants) the inbound's log volume, and
    `explained` (entities, instants) by how many nats it passes its usual hour. Statistics and inbound are NaN where
    missing, `explained` is then 0.
    """

    statistics: Float32
    inbound: Float32
    explained: Float32


def run_cusum(state: OutboundState, reference: DayReference, ratio: Float32, options: OutboundOptions) -> Float32:
    """The drip's sum after each of the day's hours so far: `ratio` (entities, hours) at the hours' ends."""
    return accumulate(state.cusum, ratio, reference.usual, options.drip_drift, options.drip_clip)


def day_values(
    peaks: Float32, inbound: Float32, hours: NDArray[np.int64], cusum: Float32, reference: DayReference
) -> DayValues:
    """All seven statistics of a day's instants, and what the inbound explains.

    `peaks` (entities, PEAKS, instants) and `inbound` (entities, instants) are trailing statistics or their maxima
    within the hour, `hours` (instants,) the UTC hour of day each belongs to, `cusum` (entities, instants) the drip's
    sum as known at each.
    """
    statistics = np.empty((peaks.shape[0], STATISTICS, peaks.shape[2]), np.float32)
    statistics[:, :PEAKS] = peaks
    statistics[:, Statistic.USUAL_HOUR] = peaks[:, Statistic.VOLUME_1H] - reference.usual_volume[:, hours]
    statistics[:, Statistic.DRIP] = drip(cusum, reference.usual)
    return DayValues(statistics, inbound, growth(inbound, reference.usual_inbound[:, hours]))


def close_day(
    state: OutboundState, hourly: DayValues, ratio: Float32, cusum: Float32, options: OutboundOptions
) -> OutboundState:
    """The state with one more day.

    `hourly` are the day's values as hourly maxima (24 instants), `ratio` and `cusum` (entities, 24) the ratio at each
    hour's end and the drip's sum after it. The day's maxima are bounded by what came before.
    """
    recent = summarise(state.maxima[..., -BOUND_WINDOW_DAYS:])
    held = bound(day_maxima(hourly.statistics), recent, options.bound_scales, options.bound_days)
    volume = hourly.statistics[:, None, Statistic.VOLUME_1H]
    return OutboundState(
        np.concatenate([state.maxima[..., 1:], held[..., None]], axis=-1),
        np.concatenate([state.hourly_volume[:, 1:], volume], axis=1),
        np.concatenate([state.hourly_inbound[:, 1:], hourly.inbound[:, None]], axis=1),
        np.concatenate([state.hourly_ratio[:, 1:], ratio[:, None].astype(np.float16)], axis=1),
        cusum[:, -1],
    )


def day_maxima(hourly: Float32) -> Float32:
    """The day's maximum of each statistic, NaN with fewer than half of the hours known: (..., 24) -> (...)."""
    known = (~np.isnan(hourly)).sum(axis=-1)
    return np.where(known >= LEAST_HOURS, block_max(hourly, HOURS)[..., 0], np.nan).astype(np.float32)
