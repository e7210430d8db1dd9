"""Figures from rows made by hand."""

import math

from ebbtide.lab.cluster_figures import UNION, figures, to_json
from ebbtide.lab.cluster_judge import Exposure, Told
from ebbtide.lab.cluster_negatives import NEGATIVES
from ebbtide.lab.cluster_study import Changed, Measured, Span
from ebbtide.series import DAY_NS, HOUR_NS, Entity

FULL, POOLED = Entity("prod", "shop", "web", "nginx"), Entity("prod", "", "web", "nginx")


def told(detection: str, entity: Entity, hour: int, score: float = 1.0) -> Told:
    return Told(detection, entity, hour * HOUR_NS, (hour + 1) * HOUR_NS, (hour + 1) * HOUR_NS, score)


def measured() -> Measured:
    span = Span(0, 5 * DAY_NS, 10 * DAY_NS)
    judged, before = Exposure(5 * DAY_NS, 10 * DAY_NS, 20, 100.0), Exposure(0, 5 * DAY_NS, 20, 100.0)
    one = Measured(span, ("a", "b"), ("cluster", "workload", "process"), judged, before)
    by_hour = {20: 5.0, 60: 2.0, 150: 6.0, 200: 3.0}
    one.twin = [*(told("a", FULL, hour, score) for hour, score in by_hour.items()), told("b", POOLED, 150)]
    one.scored = {"a": 10, "b": 5}
    return one


def test_the_union_joins_entities_that_one_detection_names_more_closely():
    a, b, both = figures(measured())

    assert (a.false.value, b.false.value, both.false.value) == (20.0, 10.0, 20.0)
    assert (both.detection, both.scored) == (UNION, 15)


def test_budgets_are_set_before_and_held_on_what_is_judged():
    a, *_ = figures(measured())
    by_budget = {one.budget: one for one in a.budgets}

    assert by_budget[100].threshold == -math.inf
    assert by_budget[10].threshold == 5.0
    assert by_budget[10].realised.value == 10.0
    assert by_budget[1].threshold == math.inf
    assert by_budget[1].realised.value == 0.0


def test_new_findings_of_a_benign_change_are_those_the_twin_lacks():
    one = measured()
    one.changed.append(Changed(NEGATIVES[0], (told("a", FULL, 150), told("a", FULL, 180), told("a", FULL, 230))))

    [negative] = figures(one)[0].negatives

    assert (negative.new, negative.changed, negative.unchanged, negative.is_strict) == (2, 30.0, 20.0, True)


def test_numbers_json_does_not_have_are_null():
    assert to_json({"a": (math.nan, 1), "b": None}) == {"a": [None, 1], "b": None}
