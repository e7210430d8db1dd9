"""The scenarios as data."""

import pytest

from ebbtide.errors import UsageError
from ebbtide.lab.cluster_scenarios import choose, grid


def test_every_scenario_has_an_id_and_a_name_of_its_own():
    names = [one.name for one in grid()]

    assert len(set(names)) == len(names)
    assert {one.id for one in grid()} == {f"X{number}" for number in range(1, 13)}


def test_the_core_has_every_id_and_fits_into_four_days():
    core = choose(["core"])

    assert {one.id for one in core} == {f"X{number}" for number in range(1, 13)}
    assert max(one.duration_s for one in core) <= 3 * 86_400


def test_one_scenario_is_benign():
    assert [one.name for one in grid() if one.is_benign] == ["silent entity sends 1 KB (benign twin)"]


def test_scenarios_are_chosen_by_word_each_once():
    assert choose(["X1", "core", "X1"]) == tuple(dict.fromkeys((*choose(["X1"]), *choose(["core"]))))
    assert len(choose(["all"])) == len(grid())
    with pytest.raises(UsageError, match="X13"):
        choose(["X13"])


def test_sizes_are_what_the_names_say():
    by_name = {one.name: one for one in grid()}

    assert by_name["burst 200 MB in 30 min"].rate * 1800 == pytest.approx(200e6)
    assert by_name["drip 50 MB/h, 24 h"].rate * 3600 == pytest.approx(50e6)
    assert by_name["300 MB on 5 nights in a quiet hour"].duration_s == 4 * 86_400 + 1800
    assert by_name["beacon 200 B every 1 min, 24 h"].rate * 60 == pytest.approx(200)
