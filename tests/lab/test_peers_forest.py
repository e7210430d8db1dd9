"""The random cut forest: causal, repeatable, and what it does with a burst and with gaps."""

import sys

import numpy as np
import pytest

from ebbtide.errors import NoDataError
from ebbtide.lab.peers import HUGE
from ebbtide.lab.peers_forest import ENTITIES, FOREST, SAMPLES, cost, random_cut_forest, some
from ebbtide.lab.traffic import Traffic

MB = 1e6


def sent(days=5, seed=1):
    return np.random.default_rng(seed).lognormal(0.0, 0.5, (2, days * 288)) * MB


def test_it_is_causal_repeatable_and_sees_a_burst():
    values = sent()
    loud = values.copy()
    loud[:, 4 * 288 + 144 :][:, :6] *= 50
    quiet, found = random_cut_forest(values), random_cut_forest(loud)
    np.testing.assert_array_equal(quiet, random_cut_forest(values))
    hour = 4 * 24 + 12
    np.testing.assert_array_equal(found[:, :hour], quiet[:, :hour])
    assert (found[:, hour] > FOREST.shipped).all() and (found[:, hour] > 3 * quiet[:, hour]).all()


def test_it_says_nothing_before_a_day_of_scores_nor_in_a_gap():
    values = sent()
    values[0, 4 * 288 : 4 * 288 + 24] = np.nan
    score = random_cut_forest(values)
    first = -(-(SAMPLES + 288) // 288) * 24  # scores begin after 256 samples; a whole day before them is wanted
    assert (score[:, :first] == -HUGE).all()
    assert (score[0, 4 * 24 : 4 * 24 + 2] == -HUGE).all() and (score[1, 4 * 24 :] > -HUGE).all()


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "krcf", None)
    with pytest.raises(NoDataError, match="not installed"):
        random_cut_forest(sent(1))


def test_some_entities_evenly_and_what_they_cost():
    names = tuple(f"vm{at}" for at in range(50))
    traffic = Traffic(names, np.repeat(sent(2)[:1], 50, axis=0), np.zeros((50, 576)), 0, 300)
    few = some(traffic)
    assert len(few.names) == ENTITIES and few.names[0] == "vm0" and few.names[-1] == "vm49"
    found = cost(few)
    assert found.samples == 576 and found.forest_us > 0
