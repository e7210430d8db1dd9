"""Counting by hand: paired hits, budgets, intervals."""

import numpy as np

from ebbtide.lab.evaluate import (
    EventScores,
    bootstrap_realised,
    bootstrap_recall,
    fixed_thresholds,
    judge,
    realised,
    summarise_verdicts,
)


def batch(scores, start, stop, rho=1.0, name="burst"):
    rows = len(scores)
    return EventScores(
        name,
        np.arange(rows),
        np.full(rows, rho),
        np.array(scores, float),
        np.zeros(rows, int),
        np.full(rows, start),
        np.full(rows, stop),
    )


def test_a_hit_counts_only_where_the_twin_is_silent():
    clean = np.zeros((3, 6), bool)
    clean[1, 2] = True
    threshold = np.full(6, 5.0)
    scores = [[0, 0, 9, 0, 0, 0], [0, 0, 9, 9, 0, 0], [9, 9, 0, 0, 9, 9]]
    verdicts = judge(clean, threshold, batch(scores, 2, 4))
    assert verdicts.raw.tolist() == [True, True, False]
    assert verdicts.paired.tolist() == [True, False, False]


def test_a_rule_that_always_fires_finds_nothing():
    verdicts = judge(np.ones((4, 6), bool), np.full(6, -1.0), batch(np.ones((4, 6)), 2, 4))
    assert verdicts.raw.all() and not verdicts.paired.any()


def test_thresholds_of_the_day_are_used():
    threshold = np.array([5.0, 5.0, 8.0])
    verdicts = judge(np.zeros((1, 3), bool), threshold, batch([[0, 6, 6]], 2, 3))
    assert not verdicts.raw.any()


def test_realised_counts_merged_findings():
    firing = np.zeros((2, 24), bool)
    firing[0, [1, 7, 20]] = True
    assert realised(firing, entity_days=2.0) == 1000.0


def test_thresholds_keep_their_budgets():
    scores = np.random.default_rng(1).exponential(1.0, (50, 720))
    for budget, threshold in zip((100.0, 10.0), fixed_thresholds(scores, (100.0, 10.0)), strict=True):
        assert realised(scores > threshold, 50 * 30.0) <= budget


def test_recall_is_the_mean_of_the_scenarios():
    clean, threshold = np.zeros((2, 4), bool), np.full(4, 5.0)
    found = judge(clean, threshold, batch([[0, 9, 0, 0]] * 2, 0, 4, rho=np.inf, name="a"))
    half = judge(clean, threshold, batch([[0, 9, 0, 0], [0, 0, 0, 0]], 0, 4, rho=0.5, name="b"))
    recall = summarise_verdicts([found, half], frozenset({"a", "b"}))
    assert recall.mean == 0.75 and recall.by_scenario == {"a": 1.0, "b": 0.5}
    assert recall.by_rho[3] == (2, 0.5) and recall.by_rho[-1] == (2, 1.0)
    low, high = bootstrap_recall([found, half], 2, seed=1)
    assert low == 0.5 and high == 1.0


def test_interval_of_the_realised_findings_holds_the_mean():
    firing = np.zeros((40, 240), bool)
    firing[::4, 100] = True
    low, high = bootstrap_realised(firing, 400.0, seed=1)
    assert low < realised(firing, 400.0) < high
