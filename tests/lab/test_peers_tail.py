"""The tail's chance is the chance."""

import numpy as np

from ebbtide.lab.peers_tail import _log_tail, drifting_tail


def test_rare_samples_are_as_rare_as_the_score_says():
    values = np.random.default_rng(1).exponential(1e6, (20, 20 * 288))
    scores = drifting_tail(values)[:, 12 * 24 :]
    share = (scores > -np.log(1e-3)).mean()  # 12 samples an hour
    assert 0.006 < share < 0.020


def test_both_shapes_of_a_tail():
    now = np.array([[0.0, 10.0, 30.0]])
    straight = _log_tail(now, np.array([5.0]), np.array([0.0]), np.array([5.0]), np.array([0.02]))
    np.testing.assert_allclose(straight[0, 1:], [1 - np.log(0.02), 5 - np.log(0.02)])
    assert np.isneginf(straight[0, 0])
    heavy = _log_tail(now, np.array([5.0]), np.array([0.5]), np.array([5.0]), np.array([0.02]))
    np.testing.assert_allclose(heavy[0, 1], 2 * np.log(1.5) - np.log(0.02))


def test_without_enough_peaks_it_is_silent():
    assert np.isneginf(drifting_tail(np.ones((1, 3 * 288)))).all()
