"""The scale that ships: curves, context and thresholds for fleets that have no 30 days of scores yet.

Learned on 252 virtual machines over 30 days (GWA-T-12 Bitbrains, trace "Rnd"), bytes with a floor of 10 MB/h. After 30
days a fleet has its own, reset once a day (`outbound_scale.learn_scale`, `learn_thresholds`).
"""

from __future__ import annotations

import numpy as np

from ebbtide.baseline.calibration import Curve
from ebbtide.baseline.calibration_context import Context
from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.detect.outbound_scale import ChannelScale, OutboundScale

_BUDGETS = (400.0, 191.2, 91.4, 43.7, 20.9, 10.0, 4.8, 2.3, 1.1, 0.5)
_RATIO = (1.95, 2.96, 4.05, 4.93, 6.04, 7.17, 8.7, 10.53, 12.19, 15.93)
_VOLUME = (2.11, 3.03, 4.12, 5.04, 5.98, 7.05, 8.78, 10.72, 13.19, 16.27)
_RATIO_PASSING, _VOLUME_PASSING = 5.30, 5.24
#: Share of the entities that pass their line in any two hours.
_OTHERS_SHARE = 0.005
#: Thresholds on S at these budgets, findings per 1000 entity-days, ascending.
_THRESHOLDS = ((1.0, -0.24), (3.0, -1.23), (10.0, -2.4), (30.0, -3.49), (100.0, -4.72))


def shipped_scale(entities: int) -> OutboundScale:
    """Both channels' scales for a fleet of so many entities; no hour of the day is special."""
    others = _OTHERS_SHARE * entities
    return OutboundScale(
        ChannelScale(Context(_RATIO_PASSING, others, np.ones(HOURS)), _curve(_RATIO)),
        ChannelScale(Context(_VOLUME_PASSING, others, np.ones(HOURS)), _curve(_VOLUME)),
    )


def _curve(scores: tuple[float, ...]) -> Curve:
    return Curve(np.array(scores), np.log(_BUDGETS))


def shipped_threshold(budget: float) -> float:
    """The threshold on S for a budget, linear in its logarithm between the measured ones and continued beyond.

    >>> shipped_threshold(10.0), round(shipped_threshold(0.5), 2)
    (-2.4, 0.38)
    """
    logs = np.log([at for at, _ in _THRESHOLDS])
    lines = np.array([line for _, line in _THRESHOLDS])
    where = int(np.clip(np.searchsorted(logs, np.log(budget)) - 1, 0, len(logs) - 2))
    slope = (lines[where + 1] - lines[where]) / (logs[where + 1] - logs[where])
    return round(float(lines[where] + slope * (np.log(budget) - logs[where])), 9)
