"""Words and drawings of the page."""

from ebbtide.lab.cluster_figures import AtBudget
from ebbtide.lab.cluster_judge import Interval
from ebbtide.lab.cluster_page import curve, mb_text, minutes_text, render

NAN = float("nan")


def at(budget: float, realised: float, recall: float) -> AtBudget:
    return AtBudget(budget, 1.0, Interval(realised, realised, realised), Interval(recall, recall - 0.1, recall + 0.1))


def test_the_curve_has_a_dot_and_a_whisker_for_each_budget():
    drawn = curve([at(100, 90, 0.8), at(10, 12, 0.5), at(1, 0, 0.2)])

    assert drawn.count("<circle") == 3
    assert drawn.count('class="whisker"') == 3
    assert 'aria-label="90.0 findings: recall 0.80; ' in drawn


def test_without_attacks_there_is_no_curve():
    assert curve([at(10, 3, NAN)]) == ""
    assert curve([]) == ""


def test_amounts_are_readable():
    assert (minutes_text(None), minutes_text(90)) == ("-", "2 min")
    assert (mb_text(None), mb_text(2.5e6), mb_text(5e9)) == ("-", "2.5 MB", "5 GB")


def test_a_page_without_figures_is_a_page():
    assert render("t", [], ()).startswith("<!doctype html>")
