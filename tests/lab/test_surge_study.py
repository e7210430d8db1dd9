"""The study of surges on a small simulated cluster: clues hold where they should, and the table says all of it."""

import numpy as np
import pytest

from ebbtide.lab import surge_study as study
from ebbtide.lab.inject import draw_events
from ebbtide.lab.inject_scenario import burst


@pytest.fixture(scope="module")
def small() -> study.Study:
    return study.Study(seed=1, entities=15)


def test_what_clues_take_off_adds_up():
    held = study.Held(*(np.array([one]) for one in ([True, False], [True, True], [False, False])))

    assert held.discount({}).tolist() == [[0.0, 0.0]]
    assert held.discount({"mix": 2.0, "ratio": 1.0, "known": 4.0}).tolist() == [[3.0, 1.0]]


def test_an_attack_on_a_new_place_breaks_the_clues_and_one_on_a_known_place_the_mix(small):
    events = draw_events(small.cluster.traffic, burst("burst", 5e9, 60), study.SCORE, 0, 1)
    new, met = (study.plant(small, events, has_met=has_met, return_share=0.03) for has_met in (False, True))

    rows = np.arange(len(events.entity))
    middle = (events.start + 6) // 12 - new.scores.first
    before = middle - 2
    assert not new.held.known[rows, middle].any() and not new.held.mix[rows, middle].any()
    assert met.held.known[rows, middle].mean() > 0.8
    assert met.held.mix[rows, middle].mean() < met.held.mix[rows, before].mean()
    np.testing.assert_array_equal(new.held.mix[rows, before], met.held.mix[rows, before])


def test_a_surge_of_everything_keeps_the_clues_that_an_attack_breaks(small):
    surged = study.clues_of(small.changed("x5"), study.CHANGED, small.options.floor_per_hour)
    since = (study.CHANGED.start - study.LEARN.start) * 24
    plain = slice(since, since + len(study.CHANGED) * 24)

    assert surged.known.mean() == pytest.approx(small.held.known[:, plain].mean(), abs=0.05)
    assert surged.mix.mean() > 0.9 * small.held.mix[:, plain].mean()
    assert small.scores(small.changed("x5")).max() > small.scaled.score.max()
