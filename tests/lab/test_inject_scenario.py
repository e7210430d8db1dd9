"""What each scenario adds, by hand."""

import numpy as np
import pytest

from ebbtide.lab.inject_scenario import FURTHER, MAIN, MB, Scenario, added_bytes

STEP_S = 300
HISTORY = np.tile(np.arange(1.0, 8641.0) * MB, (2, 1))


def named(name):
    return next(scenario for scenario in (*MAIN, *FURTHER) if scenario.name == name)


@pytest.mark.parametrize(
    ("name", "total", "steps"),
    [
        ("burst 5 GB in 30 min", 5000, 6),
        ("burst 50 MB in 1 h", 50, 12),
        ("drip 50 MB/h, 24 h", 1200, 288),
        ("drip 10 MB/h, 48 h", 480, 576),
        ("300 MB on five nights", 1500, 4 * 288 + 6),
        ("1 GB in 5 min", 1000, 1),
    ],
)
def test_absolute_amounts(name, total, steps):
    added = added_bytes(named(name), HISTORY, STEP_S)
    assert added.shape == (2, steps)
    np.testing.assert_allclose(added.sum(axis=1), total * MB)


def test_nights_are_a_day_apart():
    added = added_bytes(named("300 MB on five nights"), HISTORY, STEP_S)[0]
    assert np.flatnonzero(added[1:] > added[:-1]).tolist() == [287, 575, 863, 1151]


def test_relative_amounts():
    maximum = added_bytes(named("1 x own maximum, 30 min"), HISTORY, STEP_S)
    np.testing.assert_allclose(maximum[0], np.full(6, 8640.0 * MB))
    p99 = added_bytes(named("3 x own p99, 30 min"), HISTORY, STEP_S)
    np.testing.assert_allclose(p99[0], np.full(6, 3 * np.percentile(HISTORY[0], 99)))


def test_three_times_nothing_is_still_an_attack():
    silent = np.full((1, 8640), np.nan)
    assert added_bytes(named("3 x own p99, 30 min"), silent, STEP_S).sum() == pytest.approx(3 * MB)


def test_a_mimic_copies_the_week_before():
    added = added_bytes(named("mimic +25 % for 7 d"), HISTORY, STEP_S)
    np.testing.assert_allclose(added, 0.25 * HISTORY[:, -2016:])


def test_a_masking_burst_comes_ten_days_before():
    masked: Scenario = named("200 MB, a 1 GB burst ten days before")
    added = added_bytes(masked, HISTORY, STEP_S)[0]
    assert added[:12].sum() == pytest.approx(1000 * MB) and added[2880:].sum() == pytest.approx(200 * MB)
    assert not added[12:2880].any()


def test_the_names_of_the_scenarios_differ():
    assert len({scenario.name for scenario in (*MAIN, *FURTHER)}) == 18
