"""The shipped scale is whole, monotone, and near the budget it names."""

import numpy as np

from ebbtide.detect.outbound import Channels
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import apply_scale, count_others
from ebbtide.detect.outbound_shipped import shipped_scale, shipped_threshold


def test_thresholds_fall_with_the_budget():
    lines = [shipped_threshold(budget) for budget in (0.3, 1, 2, 3, 5, 10, 50, 100, 300)]
    assert lines == sorted(lines, reverse=True)
    assert shipped_threshold(3) == -1.23


def test_a_fleet_without_scores_can_be_judged_at_once():
    scale = shipped_scale(3)
    raw = Channels(np.array([[0.0, 20.0], [1.0, 1.0], [0.0, 0.0]]), np.zeros((3, 2)))
    others = count_others(scale, raw, 2)
    scored = apply_scale(scale, raw, others, np.array([0, 1]), np.ones(3, bool), OutboundOptions())
    assert scored.score[0, 1] > shipped_threshold(1.0)
    assert (scored.score[1:] < shipped_threshold(100.0)).all()
