"""Pieces of time and what is kept of them: `ebbtide.store.pieces`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store.pieces import FIVE_NS, Piece, PieceCache, cut, ends_of, runs, split


@dataclass(frozen=True)
class Held:
    """What a piece holds here: a number of its own."""

    value: int
    nbytes: int = 10


class Source:
    """Counts what is read; what it holds can change."""

    def __init__(self, value: int = 1) -> None:
        self.value = value
        self.read: list[Piece] = []

    def __call__(self, run: list[Piece]) -> list[Held]:
        self.read += run
        return [Held(self.value) for _ in run]


def minute(at: int) -> Piece:
    return Piece(at * MINUTE_NS, (at + 1) * MINUTE_NS)


def ends(*seconds: float) -> np.ndarray:
    return np.array([round(one * SECOND_NS) for one in seconds], np.int64)


@given(st.integers(0, 3 * HOUR_NS), st.integers(-1, 2 * HOUR_NS))
def test_pieces_are_the_span_and_lie_on_the_grid(from_ns, length_ns):
    pieces = cut(from_ns, from_ns + length_ns)

    assert sum(end - start for start, end in pieces) == max(length_ns, 0)
    assert all(one.end_ns == next_one.start_ns for one, next_one in pairwise(pieces))
    assert all(one.start_ns // FIVE_NS == (one.end_ns - 1) // FIVE_NS for one in pieces)
    assert all(one.is_kept for one in pieces[1:-1])
    assert [piece for run in runs(pieces) for piece in run] == pieces


@pytest.mark.parametrize(
    ("start_ns", "end_ns", "is_kept"),
    [(0, MINUTE_NS, True), (1, MINUTE_NS, False), (HOUR_NS - 1, HOUR_NS, True), (HOUR_NS, HOUR_NS + 1, False)],
)
def test_only_what_is_asked_for_again_is_kept(start_ns, end_ns, is_kept):
    cache, source, piece = PieceCache(), Source(), Piece(start_ns, end_ns)

    assert piece.is_kept is is_kept
    for _ in range(2):
        assert cache.of("a", [piece], source) == [Held(1)]
    assert len(source.read) == (1 if is_kept else 2)


def test_what_comes_into_a_piece_voids_it_and_no_other():
    cache, source = PieceCache(), Source()
    pieces = [minute(at) for at in range(3)]
    cache.of("a", pieces, source)
    source.value, source.read = 2, []

    cache.void(ends(120, 3600))  # a sample that ends on the minute is of the minute before

    assert [one.value for one in cache.of("a", pieces, source)] == [1, 2, 1]
    assert source.read == [minute(1)]


def test_what_comes_while_a_piece_is_read_is_not_missed():
    cache, source = PieceCache(), Source()

    def read(run: list[Piece]) -> list[Held]:
        cache.void(ends(70))
        return [Held(0) for _ in run]

    assert [one.value for one in cache.of("a", [minute(0), minute(1)], read)] == [0, 0]
    assert [one.value for one in cache.of("a", [minute(0), minute(1)], source)] == [0, 1]


def test_all_is_forgotten_even_what_is_being_read():
    cache, source = PieceCache(), Source()
    cache.of("a", [minute(5)], Source())

    def read(run: list[Piece]) -> list[Held]:
        cache.forget()
        return [Held(0) for _ in run]

    cache.of("a", [minute(0)], read)
    assert cache.nbytes == 0
    assert [one.value for one in cache.of("a", [minute(0), minute(5)], source)] == [1, 1]


def test_five_minutes_are_made_of_their_minutes_if_all_are_there():
    def merge(parts: list[Held]) -> Held:
        return Held(sum(one.value for one in parts))

    cache, source = PieceCache(), Source()
    cache.of("a", [minute(at) for at in range(9)], source, merge)
    source.read = []

    assert cache.of("a", [Piece(0, FIVE_NS), Piece(FIVE_NS, 2 * FIVE_NS)], source, merge) == [Held(5), Held(1)]
    assert source.read == [Piece(FIVE_NS, 2 * FIVE_NS)]
    assert cache.nbytes == 10 * (2 + 4)  # the minutes of the first five have gone into it
    cache.void(ends(61))
    assert cache.of("a", [Piece(0, FIVE_NS)], source, merge) == [Held(1)]


def test_no_more_is_kept_than_may_be_and_what_was_asked_for_last_stays():
    cache, source = PieceCache(most_bytes=20), Source()
    for at in (0, 1, 0, 2):
        cache.of("a", [minute(at)], source)
    source.read = []
    cache.of("a", [minute(0), minute(2)], source)

    assert (cache.nbytes, source.read) == (20, [])


def test_of_what_no_later_instant_asks_for_the_latest_is_kept_alone():
    cache, source = PieceCache(), Source()
    cache.of("other", [minute(0)], Source())
    for at in (0, 1, 1, 2):
        cache.of("a", [minute(at)], source, is_latest_alone=True)

    assert (cache.nbytes, source.read) == (20, [minute(0), minute(1), minute(2)])


def test_kinds_are_apart():
    cache = PieceCache()
    cache.of("a", [minute(0)], Source(1))

    assert cache.of("b", [minute(0)], Source(2)) == [Held(2)]


@given(st.integers(0, HOUR_NS - 1))
def test_an_hour_that_is_replaced_voids_whatever_a_sample_of_it_can_be_in(offset_ns):
    end_ns = 7 * HOUR_NS + offset_ns
    kept = [Piece(7 * HOUR_NS - 1, 7 * HOUR_NS), Piece(8 * HOUR_NS - MINUTE_NS, 8 * HOUR_NS - 1)]
    kept += [Piece(at, at + MINUTE_NS) for at in range(6 * HOUR_NS, 9 * HOUR_NS, MINUTE_NS)]
    cache, source = PieceCache(), Source()
    cache.of("a", kept, source)
    cache.void(ends_of(7))
    source.read = []
    cache.of("a", kept, source)

    assert {piece for piece in kept if piece.start_ns < end_ns <= piece.end_ns} <= set(source.read)


def test_rows_are_split_by_their_piece():
    rows = {"piece": np.array([2, 0, 2]), "value": np.array([1.0, 2.0, 3.0])}

    assert [one["value"].tolist() for one in split(rows, 3)] == [[2.0], [], [1.0, 3.0]]
