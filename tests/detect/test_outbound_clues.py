"""Clues of a benign surge: by hand, held against a metric's own bytes, and never won by bytes to a new place."""

import numpy as np
import pytest

from ebbtide.detect.outbound_clues import ClueOptions, SentMix, clues, sent_mix, usual_line, usual_shares

USUAL = np.array([[0.7, 0.6], [0.3, 0.4], [0.0, 0.0]])
MET = np.array([True, True, False])


def mix_of(*sent: float) -> SentMix:
    rows = np.zeros(len(sent), np.int64)
    return sent_mix(rows, 1, np.array(sent), USUAL[: len(sent)], MET[: len(sent)])


def held(own: float, mix: SentMix, line: float = 0.8) -> tuple[bool, bool]:
    found = clues(np.array([own]), mix, np.array([line]))
    return bool(found.known_places[0]), bool(found.usual_mix[0])


def test_a_surge_that_grows_every_flow_has_both_clues():
    assert held(1000.0, mix_of(700.0, 300.0)) == (True, True)
    assert mix_of(7e9, 3e9).overlap == mix_of(7.0, 3.0).overlap


def test_an_upload_to_a_place_never_met_has_none_and_one_to_a_known_place_has_one():
    assert held(2000.0, mix_of(700.0, 300.0, 1000.0)) == (False, False)
    assert held(3000.0, mix_of(700.0, 2300.0, 0.0)) == (True, False)


def test_nothing_sent_or_no_history_is_no_clue():
    assert held(0.0, mix_of(0.0, 0.0)) == (False, False)
    assert held(1000.0, mix_of(700.0, 300.0), np.nan) == (False, False)
    assert held(np.nan, mix_of(700.0, 300.0)) == (False, False)


def test_a_little_by_one_protocol_does_not_hide_behind_much_by_another():
    mix = mix_of(70_000.0, 30_000.0, 1000.0)

    assert held(100_000.0, mix) == (True, True)
    assert held(1000.0, mix) == (False, False)


@pytest.mark.parametrize("seed", range(5))
def test_bytes_to_a_place_never_met_never_win_a_clue(seed):
    rng = np.random.default_rng(seed)
    sent = rng.lognormal(5, 2, 3)
    line = float(rng.random())
    for more in (0.0, 1.0, 100.0, 1e4, 1e6):
        now = mix_of(sent[0], sent[1], sent[2] + more)
        then = mix_of(*sent)
        for was, became in zip(
            held(float(then.total[0]), then, line), held(float(now.total[0]), now, line), strict=True
        ):
            assert was or not became


def test_shares_are_those_of_each_group_alone():
    by_hour = np.zeros((3, 24))
    by_hour[0, 5], by_hour[1, 5], by_hour[2, 23] = 3.0, 1.0, 8.0

    shares = usual_shares(np.array([0, 0, 1]), 2, by_hour)

    assert shares[:, 0].tolist() == [0.75, 0.25, 1.0]
    assert shares[0, 1 + 4 : 1 + 8].tolist() == [0.75, 0.75, 0.75, 0.0]  # an hour of day and its neighbours
    assert shares[2, [1 + 22, 1 + 23, 1 + 0]].tolist() == [1.0, 1.0, 1.0]


def test_the_line_is_the_quantile_of_known_hours():
    rng = np.random.default_rng(1)
    past = rng.random((4, 100)) * 0.7
    past[:, ::3] = np.nan

    assert usual_line(past) == pytest.approx([np.nanquantile(one, 0.25) for one in past])
    assert usual_line(np.empty((2, 0))).tolist() == [0.8, 0.8]


def test_each_clue_takes_its_own_nats_and_none_takes_none():
    found = clues(
        np.array([1000.0, 3000.0]), SentMix(*map(np.array, ([1000.0, 3000], [0.0, 0], [1.0, 0.5]))), np.full(2, 0.8)
    )

    assert found.nats(ClueOptions()).tolist() == [4.0, 2.0]
    assert found.nats(ClueOptions(known_places=0, usual_mix=1.5)).tolist() == [1.5, 0.0]
    assert found.nats(ClueOptions(known_places=0, usual_mix=0)).tolist() == [0.0, 0.0]
