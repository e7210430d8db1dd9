"""The design study's figures cover what we print beside them."""

from ebbtide.lab import study
from ebbtide.lab.evaluate import BUDGETS, RHO_EDGES
from ebbtide.lab.inject_scenario import FURTHER, MAIN
from ebbtide.lab.negatives import CHANGES
from ebbtide.lab.quality_sections import RETURN_SHARES, YOUNG_DAYS


def test_every_figure_has_its_row():
    budgets = {int(budget) for budget in BUDGETS}
    for figures in (study.FIXED, study.DAILY, study.EXACT, study.SLIDING, study.UPSTREAM, study.UPSTREAM_EXACT):
        assert set(figures) == budgets
    assert set(study.BY_SCENARIO) == {scenario.name for scenario in (*MAIN, *FURTHER)}
    assert set(study.NEGATIVES) == {change.name for change in CHANGES}
    assert set(study.RETURN_SHARE) == set(RETURN_SHARES) and set(study.YOUNG) == set(YOUNG_DAYS)
    assert set(study.DELAYS) == {scenario.name for scenario in (*MAIN, FURTHER[0])}
    assert len(study.BY_RHO) == len(RHO_EDGES) - 1
