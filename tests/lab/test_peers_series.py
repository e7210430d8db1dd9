"""Robust z by hand, and a weekly rhythm that only the hour of week knows."""

import numpy as np
import pytest

from ebbtide.lab.peers_series import decomposition, hour_of_week, log_mad

MB = 1e6


def test_mad_by_hand():
    values = np.full((1, 3 * 288), 12 * MB / 12)
    values[0, -12:] = 51 * MB / 12
    assert log_mad(values)[0, -1] == pytest.approx(np.log(52 / 13) / 0.1, rel=1e-3)


def test_a_weekly_job_is_usual_at_its_hour():
    values = np.full((1, 35 * 288), 1 * MB)
    for week in range(5):
        first = (week * 7 + 3) * 288 + 60
        values[0, first : first + 12] = 100 * MB
    scores = hour_of_week(values)
    job = (4 * 7 + 3) * 24 + 5
    assert scores[0, job] < 3.5
    assert log_mad(values)[0, job] > 20


def test_decomposition_knows_the_day_and_ignores_small_hours():
    hours = np.tile(np.where(np.arange(24) == 3, 600.0, 20.0), 20) * MB
    random = np.random.default_rng(1)
    values = np.repeat(hours / 12, 12)[None] * random.uniform(0.8, 1.2, (1, 20 * 288))
    quiet = decomposition(values)
    assert quiet[0, 19 * 24 + 3] < 5
    values[0, 19 * 288 + 120 : 19 * 288 + 132] += 500 * MB / 12
    assert decomposition(values)[0, 19 * 24 + 10] > 5
    assert np.isneginf(decomposition(values / 1000.0)).all()
