"""Cutting windows out of traffic."""

import numpy as np

from ebbtide.lab.traffic import Traffic


def test_outside_the_grid_nothing_is_known():
    grid = np.arange(2 * 96, dtype=float).reshape(2, 96)
    traffic = Traffic(("a", "b"), grid, grid + 0.5, 0, 900)
    sent, received = traffic.cut(np.array([1, 0]), np.array([95, -1]), 2)
    np.testing.assert_array_equal(sent, [[191.0, np.nan], [np.nan, 0.0]])
    np.testing.assert_array_equal(received, [[191.5, np.nan], [np.nan, 0.5]])
    assert (traffic.days, traffic.steps_per_hour) == (1, 4)
    assert traffic.take(np.array([1])).names == ("b",)
