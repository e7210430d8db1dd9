"""The bands of the two strategies on series simple enough to work out."""

import numpy as np
import pytest

from ebbtide.lab.peers_bands import adaptive_bands, robust_bands


def level(days=10):
    return np.full((1, days * 288), 10.0)


def test_a_constant_series_stays_inside_its_margin():
    for score in (adaptive_bands(level()), robust_bands(level())):
        assert score[0, 30:].max() == pytest.approx(np.log(1 / 1.5))


def test_a_single_sample_does_not_hold_for_five_minutes():
    values = level()
    values[0, -3] = 1e6
    assert adaptive_bands(values)[0, -1] == pytest.approx(np.log(1 / 1.5), abs=0.2) or adaptive_bands(values)[0, -1] < 0


def test_a_step_leaves_the_robust_band_within_the_hour():
    values = level()
    values[0, -12:] = 100.0
    assert robust_bands(values)[0, -1] > np.log(5)


def test_the_day_before_widens_the_band():
    values = level()
    values[0, -12:] = 30.0
    alone = robust_bands(values)[0, -1]
    values[0, -12 - 288 : -288] = 30.0
    assert robust_bands(values)[0, -1] < alone


def test_silence_has_no_score():
    assert np.isneginf(robust_bands(np.zeros((1, 576)))).all()
