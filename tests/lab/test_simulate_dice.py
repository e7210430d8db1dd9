"""Dice that are a function of key and place."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.lab import simulate_dice as dice


def test_a_roll_depends_on_key_and_place_alone():
    keys = dice.keys_of(7, 1, count=5)
    places = np.arange(1000, 1040)

    together = dice.roll(keys[:, None], places)

    for row in (3, 0, 4):
        for column in (39, 0, 7):
            assert dice.roll(keys[row : row + 1], places[column : column + 1])[0] == together[row, column]


def test_more_keys_begin_with_the_fewer_ones():
    assert (dice.keys_of(3, 1, count=4000)[:7] == dice.keys_of(3, 1, count=7)).all()
    assert len(set(dice.keys_of(3, 1, count=4000).tolist())) == 4000


def test_the_same_roll_as_the_published_generator():
    """SplitMix64 as its authors wrote it, by hand, on Python's whole numbers."""
    state, mask = 42, 2**64 - 1
    for place in range(1, 50):
        state = (state + 0x9E3779B97F4A7C15) & mask
        z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        assert int(dice.roll(np.array([42], np.uint64), np.array([place]))[0]) == z ^ (z >> 31)


@given(st.integers(0, 2**64 - 1))
def test_the_pieces_are_the_bits(bits):
    pieces = [int(dice.piece(np.array([bits], np.uint64), number)[0]) for number in range(4)]

    assert sum(piece << (16 * number) for number, piece in enumerate(pieces)) == bits


@pytest.mark.parametrize("row", range(len(dice.SIGMAS)))
def test_lognormal_factors_have_mean_one_and_the_quantiles_of_their_spread(row):
    factors = dice.lognormal(np.array(row), np.arange(65536))

    assert factors.mean() == pytest.approx(1.0, abs=0.003)
    assert factors[60000] == pytest.approx(
        math.exp(dice.SIGMAS[row] * NormalDist().inv_cdf(60000.5 / 65536) - dice.SIGMAS[row] ** 2 / 2), rel=1e-3
    )
    assert (np.diff(factors) >= 0).all()
    assert (factors * 65536 == np.round(factors * 65536)).all()


def test_bursts_have_the_tail_they_claim():
    factors = dice.pareto(np.arange(65536))

    assert factors.min() >= 1
    assert factors.max() == dice.PARETO_CAP
    assert (factors > 10).mean() == pytest.approx(10**-dice.PARETO_ALPHA, rel=0.01)


@given(st.integers(0, 2**64 - 1), st.integers(-5, 5), st.integers(1, 10**6))
def test_whole_numbers_lie_in_their_range(bits, low, many):
    drawn = int(dice.uniform_int(np.array([bits], np.uint64), low, low + many)[0])

    assert low <= drawn < low + many
