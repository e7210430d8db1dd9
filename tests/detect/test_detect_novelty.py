"""Surprise of new things, by hand and by property.

Covers `ebbtide.detect.novelty`, `ebbtide.detect.novelty_options`, `ebbtide.detect.novelty_scale` and
`ebbtide.detect.novelty_detector`.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.detect.novelty import Facts, Met, NoveltyScale, rank_of, score_novelty
from ebbtide.detect.novelty_detector import Novelty, NoveltySettings
from ebbtide.detect.novelty_options import Channel, NoveltyOptions
from ebbtide.detect.novelty_scale import FirstContacts, learn_scale, past_scores

OPTIONS = NoveltyOptions()
SCALE = NoveltyScale.shipped(OPTIONS)
NAMES = [one.name for one in dataclasses.fields(Facts)]
FLAGS = ("is_new", "is_stranger", "had_udp", "is_steady_stranger", "in_probation", "is_familiar")
QUIET = dict.fromkeys(NAMES, 0.0) | {"days": 20.0, "workload_days": 20.0, "had_udp": 1.0}


def facts(*rows: dict[str, float]) -> Facts:
    return Facts(*(np.array([(QUIET | row)[name] for row in rows], bool if name in FLAGS else float) for name in NAMES))


def met(*rows: tuple[int, bool, float], is_familiar: bool = False) -> Met:
    row = np.array([one[0] for one in rows], np.int64)
    inside = np.array([one[1] for one in rows], bool)
    sent = np.array([one[2] for one in rows], float)
    return Met(row, inside, sent, rank_of(row, inside, sent), np.ones(len(rows)), np.full(len(rows), is_familiar))


def part(channel: Channel, *new: tuple[int, bool, float], **row: float) -> float:
    return float(score_novelty(facts(row), met(*new), SCALE, OPTIONS).parts[0, channel])


def test_a_new_destination_by_hand():
    # Gamma(0.3, 1 a day): 0.3 / (1 + 20) a day, 3 / 20 more for its youth, a hundred times the floor one in a hundred.
    expected = -math.log(1000 * (0.3 / 21) * 1.15 / 100) + math.log(0.3)

    assert part(Channel.OUTSIDE, (0, False, 1e7)) == pytest.approx(expected)
    assert part(Channel.OUTSIDE, (0, False, 1e7), days=0) == -math.inf
    assert part(Channel.INSIDE, (0, False, 1e7)) == -math.inf


def test_many_at_once_are_rarer_than_the_largest_alone():
    one = part(Channel.INSIDE, (0, True, 5e5))
    five = part(Channel.INSIDE, *[(0, True, 5e5)] * 5)

    assert five == pytest.approx(one + 4 * math.log(2))


def test_an_entity_that_meets_new_destinations_all_day_is_nearly_silent():
    busy = part(Channel.OUTSIDE, (0, False, 5e6), outside=40)
    quiet = part(Channel.OUTSIDE, (0, False, 5e6))

    assert busy < quiet - 4
    assert busy < NoveltySettings().threshold(100)


def test_a_new_process_counts_in_a_known_workload_only():
    row = {"is_new": 1.0, "days": 0.0, "sent": 12e6, "is_stranger": 1.0, "workload_days": 9.0}
    expected = -math.log(1000 * 0.3 / (0.3 / 0.02 + 9) * (1e5 / 12e6) * 0.1) + math.log(0.25)

    assert part(Channel.PROCESS, **row) == pytest.approx(expected)
    assert part(Channel.PROCESS, **(row | {"workload_days": 1.0})) == -math.inf
    assert part(Channel.PROCESS, **(row | {"is_stranger": 0.0})) == pytest.approx(expected - math.log(10))
    assert part(Channel.PROCESS, **(row | {"processes": 5.0})) < expected - 2


def test_one_kilobyte_after_silence_is_nothing_and_ten_megabytes_are():
    assert part(Channel.SILENCE, silent_days=9, sent=1e3) == -math.inf
    assert part(Channel.SILENCE, silent_days=6, sent=1e8) == -math.inf
    assert part(Channel.SILENCE, silent_days=9, sent=1e8) > part(Channel.SILENCE, silent_days=9, sent=1e7)
    assert part(Channel.SILENCE, silent_days=9, sent=1e7, wakings=4) < part(Channel.SILENCE, silent_days=9, sent=1e7)


def test_one_that_wakes_and_goes_where_nobody_went_is_ten_times_as_rare():
    woken = part(Channel.SILENCE, silent_days=9, sent=1e6)

    assert part(Channel.SILENCE, silent_days=9, sent=1e6, is_stranger=1.0) == pytest.approx(woken + math.log(10))
    assert part(Channel.SILENCE, silent_days=9, sent=1e3, is_stranger=1.0) == -math.inf


def test_udp_is_told_once():
    assert part(Channel.UDP, udp_sent=5e6, had_udp=0.0) > -3
    assert part(Channel.UDP, udp_sent=5e6) == -math.inf


def test_a_fan_out_is_measured_in_records():
    row = {"destinations": 400.0, "most_destinations": 3.0, "sockets": 500.0, "most_sockets": 1000.0}
    expected = -math.log(1000 / 21 / 20**2) + math.log(0.1)

    assert part(Channel.FAN_OUT, **row) == pytest.approx(expected)
    assert part(Channel.FAN_OUT, **(row | {"most_destinations": 500.0})) == -math.inf


def test_nobody_and_nothing_new_are_legal():
    none = Facts(*(np.empty(0, bool if name in FLAGS else float) for name in NAMES))

    assert len(score_novelty(none, met(), SCALE, OPTIONS).score) == 0
    assert score_novelty(facts({}), met(), SCALE, OPTIONS).score.tolist() == [-math.inf]


amounts = st.floats(0, 1e12)
rows = st.lists(
    st.fixed_dictionaries(
        {name: st.booleans() if name in FLAGS else st.integers(0, 60).map(float) for name in NAMES}
        | {"sent": amounts, "udp_sent": amounts}
    ),
    min_size=1,
    max_size=5,
)
contacts = st.lists(st.tuples(st.integers(0, 4), st.booleans(), amounts), max_size=12)


@settings(deadline=None, max_examples=60)
@given(rows, contacts, st.randoms(use_true_random=False))
def test_the_order_of_entities_does_not_matter(many, new, chance):
    new = [(row % len(many), inside, sent) for row, inside, sent in new]
    order = list(range(len(many)))
    chance.shuffle(order)
    place = {old: at for at, old in enumerate(order)}
    here = score_novelty(facts(*many), met(*new), SCALE, OPTIONS)
    there = score_novelty(
        facts(*(many[old] for old in order)),
        met(*((place[row], inside, sent) for row, inside, sent in new)),
        SCALE,
        OPTIONS,
    )

    np.testing.assert_array_equal(there.parts, here.parts[order])


@settings(deadline=None, max_examples=60)
@given(rows, contacts, st.floats(1, 100))
def test_more_bytes_are_never_less_surprising(many, new, factor):
    new = [(row % len(many), inside, sent) for row, inside, sent in new]
    more = [row | {"sent": row["sent"] * factor, "udp_sent": row["udp_sent"] * factor} for row in many]
    few = score_novelty(facts(*many), met(*new), SCALE, OPTIONS).parts
    lots = score_novelty(
        facts(*more), met(*((row, inside, sent * factor) for row, inside, sent in new)), SCALE, OPTIONS
    ).parts

    assert (lots >= few - 1e-9).all()


def test_what_decided_is_the_destination_with_the_highest_surprise():
    novel = score_novelty(facts({}), met((0, False, 2e5), (0, True, 1e9), (0, False, 3e9)), SCALE, OPTIONS)

    assert novel.deciding.tolist() == [[2, 1]]


def past(hours: dict[int, list[int]], days: float, sent: float = 1e6, entities: int = 4) -> FirstContacts:
    row = np.array([entity for entity, found in hours.items() for _ in found], np.int64)
    hour = np.array([at for found in hours.values() for at in found], np.int64)
    return FirstContacts(
        row, hour, np.full(len(row), sent), np.zeros(len(row), bool), np.ones(len(row)), np.full(entities, days)
    )


def test_the_fleet_outvotes_what_ships():
    many = past({0: list(range(0, 20_000, 20))}, 250.0)
    scale = learn_scale(many, 0.0, 1000.0, 0.0, OPTIONS)

    assert scale.usual[Channel.OUTSIDE] == pytest.approx((1000 + 30) / 1100)
    assert scale.usual[Channel.PROCESS] == pytest.approx(2 / 1100)
    assert scale.usual[Channel.UDP] == OPTIONS.usual[Channel.UDP]
    assert not scale.shift.any()


def test_a_past_that_told_too_much_raises_the_line_to_its_budget():
    # 100 entities of which each meets one destination of 1 GB: far more often than the shipped tail expects.
    loud = past({entity: [24 * 15] for entity in range(100)}, 30.0, 1e9, 100)
    scale = learn_scale(loud, 0.0, 0.0, 0.0, OPTIONS)
    scores = past_scores(loud, Channel.OUTSIDE, float(scale.usual[Channel.OUTSIDE]), OPTIONS)

    assert scale.shift[Channel.OUTSIDE] > 0
    told = (scores - scale.shift[Channel.OUTSIDE] > -math.log(OPTIONS.reference_budget)).sum()
    assert told <= OPTIONS.reference_budget * 3.0
    assert scale.shift[Channel.INSIDE] == 0


def test_past_hours_are_scored_with_what_was_known_before_them():
    scores = past_scores(past({0: [24, 24, 480], 2: [480]}, 30.0), Channel.OUTSIDE, 0.3, OPTIONS)

    assert len(scores) == 3
    assert scores[2] > scores[1]  # the same hour, without an earlier one


def test_the_budget_is_the_lower_of_two():
    assert Novelty.name == "novelty"
    assert NoveltySettings(budget=2.0).threshold(10) == -math.log(2)
    assert NoveltySettings(findings_per_day=1).effective_budget(2000) == 0.5
    assert sum(OPTIONS.shares) == pytest.approx(1)


def test_a_beacon_is_weighed_by_how_often_such_places_are_met_and_how_long_it_beats():
    row = {"steady_hours": 8.0, "is_steady_stranger": 1.0, "days": 10.0}
    expected = -math.log(1000 * (0.3 / 11) * 0.02 * 0.1) + math.log(0.1)

    assert part(Channel.FAN_OUT, **row) == pytest.approx(expected)
    assert expected > -math.log(1000 * 0.3 / 11 * 0.02) + math.log(0.1)
    assert part(Channel.FAN_OUT, **(row | {"steady_hours": 24.0})) == pytest.approx(expected + math.log(3))
    assert part(Channel.FAN_OUT, **(row | {"is_steady_stranger": 0.0})) == pytest.approx(expected - math.log(10))
    assert part(Channel.FAN_OUT, **(row | {"outside": 9.0})) < expected - 3
    assert part(Channel.FAN_OUT, **(row | {"days": 0.0})) == -math.inf
    assert part(Channel.FAN_OUT, **(row | {"steady_hours": 0.0})) == -math.inf
