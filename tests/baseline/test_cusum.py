"""The drip's sum against a loop, hour by hour."""

import numpy as np

from ebbtide.baseline.cusum import Usual, accumulate, drip, usual_ratio


def test_sum_agrees_with_a_loop():
    random = np.random.default_rng(1)
    ratio = random.normal(0.3, 2.0, (3, 200)).astype(np.float32)
    ratio[random.random(ratio.shape) < 0.1] = np.nan
    usual = Usual(np.array([0.0, 0.5, np.nan], np.float32), np.array([1.0, 0.7, np.nan], np.float32))
    ours = accumulate(np.zeros(3, np.float32), ratio, usual)
    for entity in range(2):
        total = 0.0
        for hour in range(200):
            if not np.isnan(ratio[entity, hour]):
                z = (ratio[entity, hour] - usual.median[entity]) / usual.spread[entity]
                total = max(0.0, total + min(4.0, max(-4.0, z)) - 0.5)
            np.testing.assert_allclose(ours[entity, hour], total, rtol=1e-4, atol=1e-4)
    assert not ours[2].any()


def test_in_pieces_is_the_same_as_at_once():
    ratio = np.random.default_rng(2).normal(0.4, 1.0, (2, 48)).astype(np.float32)
    usual = Usual(np.zeros(2, np.float32), np.ones(2, np.float32))
    first = accumulate(np.zeros(2, np.float32), ratio[:, :20], usual)
    second = accumulate(first[:, -1], ratio[:, 20:], usual)
    whole = accumulate(np.zeros(2, np.float32), ratio, usual)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)


def test_usual_ratio_agrees_with_numpy_and_needs_enough_values():
    values = np.random.default_rng(3).normal(size=(3, 101)).astype(np.float32)
    values[0, :30] = np.nan
    values[2, 10:] = np.nan
    usual = usual_ratio(values, minimum=48)
    for entity in range(2):
        middle = np.nanmedian(values[entity])
        np.testing.assert_allclose(usual.median[entity], middle, rtol=1e-6)
        spread = 1.4826 * np.nanmedian(np.abs(values[entity] - middle)) + 0.1
        np.testing.assert_allclose(usual.spread[entity], spread, rtol=1e-5)
    assert np.isnan(usual.median[2]) and np.isnan(usual.spread[2])


def test_a_slow_drip_rises_while_its_ratio_sets_no_record():
    usual = Usual(np.zeros(1, np.float32), np.ones(1, np.float32))
    sums = drip(accumulate(np.zeros(1, np.float32), np.full((1, 48), 1.0, np.float32), usual), usual)
    assert sums[0, -1] > np.log(3 + 23)
