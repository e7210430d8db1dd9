"""What received traffic explains of sent traffic: growth of the inbound over its usual hour.

In: trailing sums of both directions. Out: the log of what is received beyond acknowledgements, and by how much that
passes what is usual at this hour. A service that answers five times as many requests sends five times as much; without
this each rush of requests looks like a rush out.
"""

from __future__ import annotations

import numpy as np

from ebbtide.baseline.trailing_statistics import Float32
from ebbtide.series import Float64

#: Received bytes per sent byte that are mere acknowledgements of it: an upload must not explain itself.
ACKNOWLEDGED = 0.05
#: Added before the logarithm, as a share of the floor of the sent side.
FLOOR_SHARE = 0.3


def inbound_volume(sent: Float64, received: Float64, floor: float | Float64) -> Float32:
    """Log of the received sum beyond acknowledgements of the sent sum; shapes agree, NaN where either is missing.

    `floor` is the sent side's floor of the same window, in the same unit; it broadcasts.

    >>> inbound_volume(np.array([0.0, 100e6]), np.array([7e6, 5e6]), 10e6).round(2)
    array([16.12, 14.91], dtype=float32)
    """
    beyond = np.maximum(received - ACKNOWLEDGED * sent, 0.0)
    log_volume: Float32 = np.log(beyond + FLOOR_SHARE * floor).astype(np.float32)
    return log_volume


def usual_inbound(hourly: Float32, minimum: int = 3) -> Float32:
    """The median day's largest inbound volume at the same hour of day, one before or one after.

    `hourly` is (entities, days, 24), NaN where missing; the result (entities, 24), NaN below `minimum` known days. The
    day is a circle. The median, not the largest: growth that lasts is explained for a week, while the records of what
    is sent take it in.

    >>> history = np.zeros((1, 3, 24), np.float32); history[0, :, 4] = [1, 2, 9]
    >>> usual_inbound(history)[0, [3, 5, 7]]
    array([2., 2., 0.], dtype=float32)
    """
    filled = np.where(np.isnan(hourly), -np.inf, hourly)
    around = np.maximum(np.maximum(np.roll(filled, 1, axis=-1), filled), np.roll(filled, -1, axis=-1))
    known = (~np.isneginf(around)).sum(axis=1)
    ordered = np.sort(around, axis=1)  # unknown days first
    days = around.shape[1]
    picked = []
    for place in ((known - 1) // 2, known // 2):
        at = np.clip(days - known + place, 0, days - 1)
        picked.append(np.take_along_axis(ordered, at[:, None], axis=1)[:, 0])
    enough = known >= minimum
    middle: Float32 = np.where(enough, (picked[0] + picked[1]) / 2, np.nan).astype(np.float32)
    return middle


def growth(volume: Float32, usual: Float32) -> Float32:
    """By how many nats the inbound passes what is usual, never negative; 0 where either is unknown.

    >>> growth(np.array([3.0, 1.0, np.nan], np.float32), np.array([2.0, 2.0, 2.0], np.float32))
    array([1., 0., 0.], dtype=float32)
    """
    over = volume - usual
    return np.where(np.isnan(over), 0.0, np.maximum(over, 0.0)).astype(np.float32)
