"""How many findings of one entity are told a day: `ebbtide.finding.cap`, and what the lifecycle does with it."""

from __future__ import annotations

import dataclasses
import math

from joined_samples import NOW_NS, amount, new
from outbound_samples import evidence, pair

from ebbtide.finding.cap import capped
from ebbtide.finding.filters import Filter, apply, parse_matchers
from ebbtide.finding.finding import HELD_BACK
from ebbtide.finding.lifecycle import Change, advance
from ebbtide.series import DAY_NS, HOUR_NS

MIDNIGHT_NS = NOW_NS // DAY_NS * DAY_NS


def scored(at_ns: int, score: float):
    return amount(at_ns, evidence(pair(score=score, ratio=score), score=score))


def test_the_second_of_a_day_is_held_back_and_the_next_day_is_free():
    first, second, third = (scored(MIDNIGHT_NS + hour * HOUR_NS, -1.0) for hour in (1, 15, 30))

    assert capped(first, []).hidden_by == ()
    assert capped(second, [first]).hidden_by == (HELD_BACK,)
    assert capped(third, [first, second]).hidden_by == ()


def test_a_surer_one_is_told_in_any_case():
    first, second = scored(MIDNIGHT_NS + HOUR_NS, -1.0), scored(MIDNIGHT_NS + 15 * HOUR_NS, 1.0)

    assert capped(second, [first]).hidden_by == ()
    assert capped(first, [dataclasses.replace(second, hidden_by=(HELD_BACK,))]).hidden_by == ()


def test_a_detection_without_the_option_has_no_cap():
    first, second = scored(MIDNIGHT_NS + HOUR_NS, 1.0), scored(MIDNIGHT_NS + 15 * HOUR_NS, 1.0)
    bare = dataclasses.replace(second, evidence=dataclasses.replace(second.evidence, options={}))

    assert capped(bare, [first]).hidden_by == ()


def test_what_is_held_back_is_told_once_it_becomes_surer_than_what_was_told():
    hours = [(1, -1.0), (15, -1.5), (15.5, -1.2), (16, 2.0), (16.5, 2.0)]
    episodes, told = (), []
    for hour, score in hours:
        at_ns = MIDNIGHT_NS + round(hour * HOUR_NS)
        step = advance(episodes, [scored(at_ns, score)], at_ns)
        episodes = step.episodes
        told += [(change, HELD_BACK in one.finding.hidden_by) for change, one in step.changes]

    assert told == [
        (Change.OPENED, False),
        (Change.CLOSED, False),
        (Change.OPENED, True),
        (Change.UPDATED, True),
        (Change.OPENED, False),
        (Change.UPDATED, False),
    ]
    assert len({one.finding.uid for one in episodes}) == 2


def test_a_part_that_joins_may_make_it_surer():
    first = advance((), [scored(MIDNIGHT_NS + HOUR_NS, 0.5)], MIDNIGHT_NS + HOUR_NS)
    at_ns = MIDNIGHT_NS + 15 * HOUR_NS
    held = advance(first.episodes, [scored(at_ns, 0.0)], at_ns)
    joined = advance(held.episodes, [new(at_ns + HOUR_NS)], at_ns + HOUR_NS)

    assert held.episodes[-1].finding.hidden_by == (HELD_BACK,)
    assert [(change, one.finding.hidden_by) for change, one in joined.changes] == [(Change.OPENED, ())]


def test_filters_leave_the_mark_and_count_only_their_own():
    held = dataclasses.replace(scored(NOW_NS, 0.0), hidden_by=(HELD_BACK,))
    filters = [Filter("shop", parse_matchers('{namespace="shop"}'), "me", "x", 0)]
    once = apply(filters, [held], NOW_NS)
    after = apply([], once.findings, NOW_NS)

    assert once.findings[0].hidden_by == (HELD_BACK, "shop") and once.filters[0].hits == 1
    assert after.findings[0].hidden_by == (HELD_BACK,)
    assert math.isfinite(once.findings[0].risk.score)
