"""A fleet's own record models are taken only where they foretell entities they were not learned from better."""

import numpy as np

from ebbtide.baseline.records import RecordModels, forecast, summarise
from ebbtide.baseline.records_fit import Rows, fit_all, rows
from ebbtide.baseline.records_refit import log_likelihood, refit

RANDOM = np.random.default_rng
DAYS = range(20, 40)


def independent(seed: int, entities: int = 200) -> np.ndarray:
    """Daily maxima of one statistic: each day a fresh draw."""
    return RANDOM(seed).normal(size=(entities, 1, 40)).astype(np.float32)


def climbing(seed: int, entities: int = 200) -> np.ndarray:
    """Daily maxima that break the record nearly every day."""
    return (independent(seed, entities) * 0.1 + np.arange(40)).astype(np.float32)


def fitted(maxima: np.ndarray) -> RecordModels:
    return fit_all(maxima, maxima, DAYS)


def test_a_model_of_other_traffic_is_replaced_and_foretells_the_days_to_come():
    maxima = climbing(1)
    own = refit(maxima, maxima, DAYS, fitted(independent(2)))

    chance = forecast(summarise(climbing(3)[..., :39]), own).chance
    assert chance.min() > 0.9


def test_a_model_that_knows_more_of_the_same_traffic_is_kept():
    known = fitted(independent(4, entities=4000))
    few = independent(5, entities=30)
    own = refit(few, few, DAYS, known)

    for name in RecordModels.__slots__:
        np.testing.assert_array_equal(getattr(own, name), getattr(known, name))


def test_without_any_day_the_known_models_stay():
    empty = np.full((6, 1, 40), np.nan, np.float32)
    known = fitted(independent(6))

    np.testing.assert_array_equal(refit(empty, empty, DAYS, known).rate, known.rate)


def test_the_likelihood_by_hand():
    """Constant regressors: pi = 1/4, mean excess 2; one quiet day, one record by 3."""
    model = RecordModels(
        np.zeros(5), np.ones(5), np.array([np.log(1 / 3), 0, 0, 0, 0, 0]), np.array([np.log(2), 0, 0, 0, 0, 0])
    )
    z = np.zeros((2, 6))
    z[:, 0] = 1.0

    found = log_likelihood(model, Rows(z, np.array([-1.0, 3.0])))
    assert np.isclose(found, np.log(0.75) + np.log(0.25) - np.log(2) - 3 / 2)


def test_a_fit_foretells_its_own_rows_better_than_any_other():
    maxima = independent(7)
    sample = rows(maxima[:, 0], maxima[:, 0], DAYS, (7, 14, 30, 90))
    own, other = fitted(maxima).single(0, 1), fitted(climbing(8)).single(0, 1)

    assert log_likelihood(own, sample) > log_likelihood(other, sample)
