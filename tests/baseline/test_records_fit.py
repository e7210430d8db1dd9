"""The fits find the coefficients that made the data."""

import numpy as np

from ebbtide.baseline.records import REGRESSORS, forecast, summarise
from ebbtide.baseline.records_fit import YOUNG_CUTS, exponential, fit, fit_all, logistic, rows

RANDOM = np.random.default_rng


def design(count, seed):
    z = RANDOM(seed).normal(size=(count, REGRESSORS))
    z[:, 0] = 1.0
    return z


def test_logistic_finds_its_coefficients():
    z, truth = design(40_000, 1), np.array([-1.0, 0.5, -0.3, 0.0, 0.2, 0.1])
    outcome = RANDOM(2).random(len(z)) < 1 / (1 + np.exp(-z @ truth))
    np.testing.assert_allclose(logistic(z, outcome), truth, atol=0.06)


def test_exponential_finds_its_coefficients():
    z, truth = design(40_000, 3), np.array([-1.4, 0.0, 0.1, 0.6, -0.1, 0.2])
    excess = RANDOM(4).exponential(np.exp(z @ truth))
    np.testing.assert_allclose(exponential(z, excess), truth, atol=0.05)


def test_newton_ends_where_the_slope_is_zero():
    z, outcome = design(500, 5), RANDOM(6).random(500) < 0.1
    weights = logistic(z, outcome)
    chance = 1 / (1 + np.exp(-z @ weights))
    slope = z.T @ (outcome - chance) - np.array([0, 3, 3, 3, 3, 3]) * weights
    np.testing.assert_allclose(slope, 0.0, atol=1e-6)


def test_no_records_at_all_still_gives_a_model():
    falling = -np.arange(40, dtype=np.float32) + np.zeros((5, 40), np.float32)
    model = fit(rows(falling, falling, range(10, 40), (7, 14)))
    assert np.isfinite(model.rate).all() and not model.excess.any()


def test_each_day_meets_only_the_days_before_it():
    maxima = RANDOM(7).normal(size=(5, 40)).astype(np.float32)
    changed = maxima.copy()
    changed[:, 30:] += 100.0
    before = rows(maxima, maxima, range(10, 30), YOUNG_CUTS)
    after = rows(changed, changed, range(10, 30), YOUNG_CUTS)
    np.testing.assert_array_equal(before.regressors, after.regressors)
    np.testing.assert_array_equal(before.over, after.over)


def test_the_learned_rate_is_the_rate():
    """Independent days: the next one of n + 1 is the largest with chance 1 / (n + 1)."""
    maxima = RANDOM(8).normal(size=(400, 1, 60)).astype(np.float32)
    models = fit_all(maxima, maxima, range(31, 60))
    chance = forecast(summarise(maxima[..., 20:50]), models).chance
    assert abs(chance.mean() - 1 / 31) < 0.008
