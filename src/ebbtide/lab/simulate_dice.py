"""Dice that fall alike on every machine, for any edge and any interval, in any order.

A generator with state would have to be run from the start of a simulation to reach an hour in its middle. These dice
are a function of a key and a place instead: SplitMix64 (Steele, Lea, Flood 2014, OOPSLA, "Fast splittable pseudorandom
number generators") of key + place x the golden gamma. Keys come from NumPy's SeedSequence, whose bits are part of its
published promise. Heavy tails are read from tables of quantiles, rounded to 2^-16, so that no last bit of a machine's
exponential reaches the traffic.
"""

from __future__ import annotations

import functools
import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Float64, Int64

UInt64 = NDArray[np.uint64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)
#: Rounding of tabled quantiles.
_GRID = 65536.0
#: Spread of the logarithm in each lognormal table: steady, usual, wide, wild.
SIGMAS: tuple[float, ...] = (0.1, 0.35, 0.7, 1.1)
#: Tail index and cap of a burst's size.
PARETO_ALPHA, PARETO_CAP = 1.3, 60.0


def keys_of(seed: int, *path: int, count: int) -> UInt64:
    """`count` keys for the place `path` under a seed, uint64; longer requests begin with the shorter ones' keys."""
    keys = np.random.SeedSequence(seed, spawn_key=path).generate_state(count, np.uint64)
    return keys.astype(np.uint64, copy=False)


def roll(keys: UInt64, places: Int64) -> UInt64:
    """64 random bits for each key at each place; shapes broadcast.

    The first values of SplitMix64 seeded with 0 (places 1, 2):

    >>> [hex(int(one)) for one in roll(np.zeros(1, np.uint64), np.array([1, 2]))]
    ['0xe220a8397b1dcdaf', '0x6e789e6aa1b965f4']
    """
    return _mix(keys + places.astype(np.uint64) * _GAMMA)


def reroll(bits: UInt64) -> UInt64:
    """64 more bits from 64."""
    return _mix(bits + _GAMMA)


def _mix(z: UInt64) -> UInt64:
    z = (z ^ (z >> np.uint64(30))) * _MIX1
    z = (z ^ (z >> np.uint64(27))) * _MIX2
    return z ^ (z >> np.uint64(31))


def piece(bits: UInt64, number: int) -> Int64:
    """The 16 bits with this number (0 to 3), 0 to 65535.

    >>> piece(np.array([0x0001_0002_0003_0004], np.uint64), 1)
    array([3])
    """
    return ((bits >> np.uint64(16 * number)) & np.uint64(0xFFFF)).astype(np.int64)


def lognormal(spread: Int64, index: Int64) -> Float64:
    """Factors of mean 1: quantile (index + 1/2) / 65536 of the lognormal with `SIGMAS[spread]`; shapes broadcast."""
    factors: Float64 = _lognormal_table()[(spread << 16) | index]
    return factors


def pareto(index: Int64) -> Float64:
    """Factors from 1 on with tail index PARETO_ALPHA, cut at PARETO_CAP, by quantile (index + 1/2) / 65536."""
    return _pareto_table()[index]


@functools.cache
def _lognormal_table() -> Float64:
    normal = NormalDist()
    quantiles = [normal.inv_cdf((at + 0.5) / 65536) for at in range(65536)]
    rows = [[math.exp(sigma * z - sigma * sigma / 2) for z in quantiles] for sigma in SIGMAS]
    return _rounded(rows).reshape(-1)


@functools.cache
def _pareto_table() -> Float64:
    return _rounded([min((1 - (at + 0.5) / 65536) ** (-1 / PARETO_ALPHA), PARETO_CAP) for at in range(65536)])


def _rounded(values: object) -> Float64:
    rounded: Float64 = np.round(np.asarray(values, np.float64) * _GRID) / _GRID
    return rounded


def uniform_int(bits: UInt64, low: int, high: int) -> Int64:
    """Whole numbers in [low, high) from the upper 32 bits.

    >>> uniform_int(np.array([0, 2**63], np.uint64), 10, 20)
    array([10, 15])
    """
    return low + (((bits >> np.uint64(32)) * np.uint64(high - low)) >> np.uint64(32)).astype(np.int64)
