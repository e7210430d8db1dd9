"""The shipped coefficients are complete and behave."""

import numpy as np

from ebbtide.baseline.records import MATURE, YOUNG, forecast, summarise
from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.baseline.trailing_statistics import STATISTICS


def test_every_statistic_has_a_young_and_a_mature_model():
    models = shipped_models()
    assert models.mean.shape == models.deviation.shape == (STATISTICS, 2, 5)
    assert models.rate.shape == models.excess.shape == (STATISTICS, 2, 6)
    assert (models.deviation > 0).all()
    assert not models.rate[:, YOUNG, 5].any()  # age is constant over a week


def test_records_are_rarer_with_a_longer_history():
    models = shipped_models()
    random = np.random.default_rng(1)
    long = random.normal(size=(50, STATISTICS, 90)).astype(np.float32)
    rare = forecast(summarise(long), models).chance.mean()
    common = forecast(summarise(long[..., :15]), models).chance.mean()
    assert rare < common
    assert models.rate[0, MATURE, 0] == -3.06
