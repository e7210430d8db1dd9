"""The seven statistics of outbound traffic: sent against received, plain volume, usual hour, slow drip.

In: sent and received per step. Out: five statistics of trailing sums (`peaks`), and with the state of closed days the
other two. All are logarithms, so one more unit is a factor e more traffic; all can only grow when bytes are added.
Values are float32: half the state, and what is kept compares equal to what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing import last_sum, trailing_sums
from ebbtide.series import Float64

Float32 = NDArray[np.float32]

HOURS = 24


class Statistic(IntEnum):
    """What is looked at; the number is the place on the statistic axis."""

    RATIO_1H = 0  # sent against received over an hour
    RATIO_6H = 1
    VOLUME_1H = 2  # plain volume
    VOLUME_6H = 3
    VOLUME_24H = 4
    USUAL_HOUR = 5  # an hour's volume against the same hour of the last days
    DRIP = 6  # cumulative sum of the hourly ratio's excess


STATISTICS = len(Statistic)
#: Statistics of trailing sums alone; the other two need the state of closed days.
PEAKS = 5
WINDOW_HOURS = (1, 6, 24)


@dataclass(frozen=True, slots=True, eq=False)
class TrailingStatistics:
    """Five statistics at every step, and the sums behind them.

    `peaks` (entities, PEAKS, steps) float32 in the order of `Statistic`; `sent` and `received`
    (entities, windows, steps) are the trailing sums of 1, 6 and 24 h in the metric's unit. NaN where missing.
    """

    peaks: Float32
    sent: Float64
    received: Float64


def trailing_statistics(sent: Float64, received: Float64, step_s: int, floor_per_hour: float) -> TrailingStatistics:
    """Ratio (1 h, 6 h) and volume (1 h, 6 h, 24 h) of trailing sums at every step.

    `sent` and `received` are (entities, steps) in the metric's unit per step of `step_s` seconds, NaN where unknown.
    `floor_per_hour` (10 MB for bytes) times the window's hours is added before the logarithm: below it traffic does
    not count. Received data may be unknown throughout: then the ratios are NaN and the volumes stand.
    Raises ValueError when the shapes differ or an hour is no whole number of steps.

    >>> quiet = np.zeros((1, 12)); burst = quiet.copy(); burst[0, -1] = 10e6
    >>> trailing_statistics(burst, quiet, 300, 10e6).peaks[0, Statistic.RATIO_1H, -1].round(3)
    np.float32(0.693)
    """
    widths = _widths(sent, received, step_s)
    sums_sent = np.stack([trailing_sums(sent, width) for width in widths], axis=1)
    sums_received = np.stack([trailing_sums(received, width) for width in widths], axis=1)
    return statistics_of_sums(sums_sent, sums_received, floor_per_hour)


def current_statistics(sent: Float64, received: Float64, step_s: int, floor_per_hour: float) -> TrailingStatistics:
    """The statistics at the last step alone, one step in the result: what a live decision needs.

    As `trailing_statistics`; the last 24 h of (entities, steps) are looked at.
    """
    widths = _widths(sent, received, step_s)
    sums_sent = np.stack([last_sum(sent, width) for width in widths], axis=1)
    sums_received = np.stack([last_sum(received, width) for width in widths], axis=1)
    return statistics_of_sums(sums_sent[..., None], sums_received[..., None], floor_per_hour)


def _widths(sent: Float64, received: Float64, step_s: int) -> list[int]:
    if sent.shape != received.shape or 3600 % step_s:
        raise ValueError(f"sent {sent.shape} and received {received.shape} must agree, {step_s} s must divide an hour")
    return [hours * 3600 // step_s for hours in WINDOW_HOURS]


def statistics_of_sums(
    sums_sent: Float64, sums_received: Float64, floor_per_hour: float | Float64
) -> TrailingStatistics:
    """The statistics of trailing sums (entities, windows, steps); one floor, or one for each entity."""
    floors = np.reshape(floor_per_hour, (-1, 1, 1)) * np.array(WINDOW_HOURS, float)[:, None]
    volume, incoming = np.log(sums_sent + floors), np.log(sums_received + floors)
    ratio = volume[:, :2] - incoming[:, :2]
    peaks = np.concatenate([ratio, volume], axis=1).astype(np.float32)
    return TrailingStatistics(peaks, sums_sent, sums_received)


def usual_hour(hourly_volume: Float32, minimum: int = 3) -> Float32:
    """The largest hourly volume at the same hour of day, one before or one after, over the kept days.

    `hourly_volume` is (entities, days, 24): hourly maxima of the 1 h volume on closed days, NaN where missing. The day
    is a circle: the hour before 0 is 23. The result is (entities, 24), NaN where fewer than `minimum` days know any of
    the three hours.

    >>> history = np.full((1, 2, 24), 1.0, np.float32); history[0, 1, 23] = 5
    >>> usual_hour(history, minimum=2)[0, [0, 1, 22]]
    array([5., 1., 5.], dtype=float32)
    """
    filled = np.where(np.isnan(hourly_volume), -np.inf, hourly_volume)
    around = np.maximum(np.maximum(np.roll(filled, 1, axis=-1), filled), np.roll(filled, -1, axis=-1))
    known = (~np.isneginf(around)).sum(axis=1)
    return np.where(known >= minimum, around.max(axis=1), np.nan).astype(np.float32)
