"""Counting, by hand and against naive readings of the rules."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.lab.cluster_inject import Event, Injection
from ebbtide.lab.cluster_judge import (
    Exposure,
    Told,
    crowding,
    days_of,
    delays,
    false_findings,
    findings,
    judge_event,
    names,
    recall,
    threshold_at,
)
from ebbtide.lab.cluster_pattern import Added
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, Endpoint, Entity

NGINX = Entity("prod", "shop", "web", "nginx")
OTHER = Entity("prod", "shop", "api", "java")
EXPOSURE = Exposure(0, 10 * DAY_NS, 20, 200.0)


def told(from_h: float, to_h: float, entity: Entity = NGINX, score: float = 1.0, at_h: float | None = None) -> Told:
    at_h = to_h if at_h is None else at_h
    return Told("d", entity, int(from_h * HOUR_NS), int(to_h * HOUR_NS), int(at_h * HOUR_NS), score)


def injection(start_h: float, end_h: float, entity: Entity = NGINX, sender: Entity | None = None, **more) -> Injection:
    start, end = int(start_h * HOUR_NS), int(end_h * HOUR_NS)
    minutes = (end - start) // MINUTE_NS
    at = start + np.arange(minutes) * MINUTE_NS
    sent = np.full(minutes, 100.0)
    event = Event("r0-0", "X1", "burst", "T1041", entity, sender or entity, start, start, end, float(sent.sum()), 1.0,
                  ("x",), 1, more.get("is_benign", False))  # fmt: skip
    zeros = np.zeros(minutes)
    place = np.zeros(minutes, np.int64)
    return Injection(event, Added((Endpoint(),), (None,), False, place, at, at + MINUTE_NS, sent, *[zeros] * 4))


@pytest.mark.parametrize(
    ("row", "counts"),
    [((9.0, 9.9), False), ((9.0, 10.1), True), ((11.5, 11.6), True), ((12.1, 12.2), False), ((0.0, 50.0), True)],
)
def test_an_event_of_10_to_11_is_told_until_12(row, counts):
    outcome = judge_event(injection(10, 11), [told(*row)], [])

    assert outcome.is_raw is outcome.is_paired is counts


def test_what_the_twin_tells_there_too_is_no_hit():
    outcome = judge_event(injection(10, 11), [told(10, 11)], [told(10.5, 12)])

    assert outcome.is_raw
    assert not outcome.is_paired


def test_another_entity_tells_nothing_of_it():
    assert not judge_event(injection(10, 11), [told(10, 11, OTHER)], []).is_raw
    assert judge_event(injection(10, 11), [told(10, 11)], [told(10, 11, OTHER)]).is_paired


def test_a_detection_may_name_fewer_columns_but_not_another_process():
    event = injection(10, 11, sender=Entity("prod", "shop", "web", "xmr")).event

    assert names(Entity("prod", "", "web", ""), event)
    assert not names(NGINX, event)
    assert names(Entity("prod", "shop", "web", "xmr"), event)
    assert not names(Entity("prod", "shop", "web", "bash"), event)
    assert not names(Entity("test", "", "web", ""), event)


def test_delay_and_loss_run_to_the_first_row():
    one = injection(10, 12)

    outcome = judge_event(one, [told(10, 11.5, at_h=11.5), told(10, 11, at_h=11)], [])

    assert outcome.delay_s == 3600
    assert outcome.lost == pytest.approx(one.event.sent / 2)
    assert outcome.lost_share == pytest.approx(0.5)


def test_rows_up_to_six_hours_apart_are_one_finding():
    rows = [told(0, 1), told(7, 8), told(14.1, 15), told(2, 3, OTHER)]

    found = findings(rows)

    assert [(one.entity, one.from_ns // HOUR_NS, one.to_ns // HOUR_NS) for one in found] == [
        (NGINX, 0, 8),
        (OTHER, 2, 3),
        (NGINX, 14, 15),
    ]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 10), st.sampled_from([NGINX, OTHER])), max_size=12))
def test_findings_are_what_a_map_of_hours_says(spans):
    """A naive reading: paint the rows' hours, and count stretches with less than seven white hours between."""
    rows = [told(start, start + length, entity) for start, length, entity in spans]
    naive = 0
    for entity in (NGINX, OTHER):
        painted = sorted(
            {hour for start, length, one in spans if one == entity for hour in range(start, start + length)}
        )
        naive += sum(at == 0 or hour - painted[at - 1] > 7 for at, hour in enumerate(painted))

    assert len(findings(rows)) == naive


def test_false_findings_are_per_thousand_entity_days():
    rate = false_findings([told(0, 1), told(30, 31), told(30, 31, OTHER)], EXPOSURE, 1)

    assert rate.value == 15.0
    assert rate.low <= 15.0 <= rate.high
    assert false_findings([], EXPOSURE, 1).high == 0
    assert math.isnan(false_findings([], Exposure(0, 0, 0, 0.0), 1).value)


def test_recall_leaves_benign_twins_out():
    outcomes = [
        judge_event(injection(10, 11), [told(10, 11)], []),
        judge_event(injection(10, 11, OTHER), [], []),
        judge_event(injection(10, 11, is_benign=True), [told(10, 11)], []),
    ]

    assert recall(outcomes, 1).value == 0.5
    assert (recall(outcomes, 1).low, recall(outcomes, 1).high) == (0.0, 1.0)
    assert math.isnan(recall([], 1).value)


def test_a_threshold_keeps_to_the_budget():
    rows = [told(at * 20, at * 20 + 1, score=float(at)) for at in range(10)]

    assert threshold_at(rows, 50.0, EXPOSURE) == -math.inf
    assert threshold_at(rows, 15.0, EXPOSURE) == 7.0
    assert threshold_at(rows, 14.9, EXPOSURE) == 8.0
    assert threshold_at(rows, 1.0, EXPOSURE) == math.inf
    assert threshold_at([], 1.0, EXPOSURE) == -math.inf


def test_crowding_is_told():
    many = [told(1, 2, Entity("prod", "shop", f"w{at}", "")) for at in range(6)]
    noisy = [told(20 + 10 * at, 21 + 10 * at) for at in range(6)]

    shares = crowding([*many, *noisy], EXPOSURE)

    assert shares.crowded_hours == 0.5
    assert shares.noisiest_tenth == pytest.approx(7 / 12)
    assert math.isnan(crowding([], EXPOSURE).noisiest_tenth)


def test_delays_are_those_of_paired_hits():
    outcomes = [judge_event(injection(10, 12), [told(10, 11, at_h=at)], []) for at in (10.5, 11, 11.5)]

    got = delays([*outcomes, judge_event(injection(10, 12), [], [])])

    assert (got.hits, got.median_s) == (3, 3600)
    assert got.p90_s == pytest.approx(5040)
    assert got.median_lost_share == pytest.approx(0.5)
    assert delays([]).median_s is None
    assert days_of(EXPOSURE) == 10
