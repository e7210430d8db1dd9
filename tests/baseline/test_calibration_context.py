"""Others passing their line, and the rhythm of the day."""

import numpy as np

from ebbtide.baseline.calibration_context import Context, discount, learn_context, others_passing


def test_others_against_a_loop():
    passed = np.random.default_rng(1).random((5, 40)) < 0.1
    ours = others_passing(passed, 3)
    for entity in range(5):
        for step in range(40):
            recent = passed[:, max(0, step - 2) : step + 1].any(axis=1)
            assert ours[entity, step] == recent.sum() - recent[entity]


def test_nothing_later_counts():
    passed = np.zeros((2, 10), bool)
    passed[0, 5] = True
    assert not others_passing(passed, 2)[:, :5].any()


def test_a_busy_hour_raises_its_own_line():
    hours = np.arange(24 * 30) % 24
    scores = np.zeros((10, len(hours)))
    scores[:, hours == 3] = 9.0
    context = learn_context(scores, hours, 5.0, 2, 6)
    assert context.rhythm.argmax() == 3
    assert np.isclose(context.rhythm.mean(), 1.0)
    off = discount(context, np.zeros((1, 2)), np.array([3, 15]))
    assert off[0, 0] > off[0, 1]


def test_a_quiet_fleet_has_an_even_rhythm():
    context = learn_context(np.zeros((3, 48)), np.arange(48) % 24, 5.0, 2, 6)
    assert context.others == 0.0 and (context.rhythm == 1.0).all()


def test_more_others_discount_more():
    context = Context(5.0, 1.3, np.ones(24))
    off = discount(context, np.array([[0.0, 1.0, 10.0]]), np.array([0]))
    assert off[0, 0] < 0 < off[0, 2] and np.all(np.diff(off[0]) > 0)
