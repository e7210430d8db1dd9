"""Counters to deltas, against a naive oracle and by property."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_of_decode import STEADY

from ebbtide.decode.temporality import CounterState, Deltas, count

INTERVAL = 30


def run(state: CounterState, rows: list[tuple[int, int, int, float, bool]]) -> Deltas:
    key, start, end, reading, ended = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return count(
        state,
        np.array(key, np.int64),
        np.array(start, np.int64),
        np.array(end, np.int64),
        np.array(reading, np.float64),
        np.array(ended, bool),
        INTERVAL,
    )


def oracle(
    state: dict[int, tuple[int, float]], rows: list[tuple[int, int, int, float, bool]]
) -> list[tuple[int, int, float]]:
    """Row by row, in the order of time: (row, start, delta)."""
    made = []
    for at in sorted(range(len(rows)), key=lambda at: (rows[at][0], rows[at][2])):
        key, start, end, reading, ended = rows[at]
        last = state.get(key)
        if last is not None and end <= last[0]:
            continue
        if ended:
            state.pop(key, None)
            # Within one body a marker also bars what has its own time.
            continue
        state[key] = (end, reading)
        if last is None:
            made.append((at, start if start > 0 else end - INTERVAL, float("nan")))
        elif start > 0 and start >= last[0]:
            made.append((at, start, reading))
        else:
            made.append((at, last[0], reading if reading < last[1] else reading - last[1]))
    return made


def one(*readings: tuple[int, float], start: int = 0) -> list[tuple[int, int, int, float, bool]]:
    return [(7, start, end, reading, False) for end, reading in readings]


def test_first_sight_is_a_baseline_that_ends_where_the_reading_does() -> None:
    found = run(CounterState(), one((100, 5.0)))
    assert np.isnan(found.delta[0])
    assert found.start_ns[0] == 100 - INTERVAL


def test_a_baseline_begins_where_the_counter_did() -> None:
    assert run(CounterState(), one((100, 5.0), start=20)).start_ns[0] == 20


def test_increase_is_the_difference_since_the_last_reading() -> None:
    found = run(CounterState(), one((100, 5.0), (130, 9.0)))
    assert found.delta[1] == 4 and found.start_ns[1] == 100


def test_after_a_drop_the_reading_is_the_delta() -> None:
    assert run(CounterState(), one((100, 500.0), (130, 9.0))).delta[1] == 9


def test_a_counter_that_began_after_the_last_reading_counts_from_its_start() -> None:
    rows = [(7, 10, 100, 5.0, False), (7, 110, 130, 9.0, False)]
    found = run(CounterState(), rows)
    assert found.delta[1] == 9 and found.start_ns[1] == 110


def test_a_start_that_jitters_is_no_reset() -> None:
    rows = [(7, 10, 100, 5000.0, False), (7, 11, 130, 5009.0, False)]
    assert run(CounterState(), rows).delta[1] == 9


def test_an_older_reading_is_late_and_moves_nothing() -> None:
    state = CounterState()
    run(state, one((100, 5.0), (130, 9.0)))
    found = run(state, one((110, 6.0)))
    assert found.late == 1 and len(found.row) == 0
    assert state.get(7) == (100, 130, 9.0)


def test_a_repeated_body_changes_nothing() -> None:
    state = CounterState()
    run(state, one((100, 5.0), (130, 9.0)))
    assert run(state, one((100, 5.0), (130, 9.0))).late == 2


def test_a_staleness_marker_ends_the_series() -> None:
    state = CounterState()
    run(state, [(7, 0, 100, 5.0, False), (7, 0, 130, 0.0, True)])
    assert state.get(7) is None
    assert np.isnan(run(state, one((160, 9.0))).delta[0])


def test_within_a_body_the_reading_after_a_marker_is_a_baseline() -> None:
    rows = [(7, 0, 100, 5.0, False), (7, 0, 110, 0.0, True), (7, 0, 120, 9.0, False)]
    found = run(CounterState(), rows)
    assert found.row.tolist() == [0, 2] and np.isnan(found.delta[1])


def test_state_survives_export_and_restore() -> None:
    first = CounterState()
    run(first, one((100, 5.0)))
    second = CounterState()
    second.restore(first.export().items())
    assert run(second, one((130, 9.0))).delta.tolist() == [4.0]


def test_restore_does_not_go_back_in_time() -> None:
    state = CounterState()
    run(state, one((130, 9.0)))
    state.restore([(7, (0, 100, 5.0))])
    assert state.get(7) == (100, 130, 9.0)


def test_the_longest_silent_are_evicted_and_counted() -> None:
    state = CounterState(series_max=8)
    run(state, [(key, 0, 100 + key, 1.0, False) for key in range(9)])
    assert state.evicted == 3 and len(state) == 6
    assert state.get(0) is None and state.get(8) is not None
    run(state, [(key, 0, 1000 + key, 1.0, False) for key in range(2000, 2002)])
    assert state.get(2001) == (1000 + 2001 - INTERVAL, 3001, 1.0)
    assert state.get(8) == (108 - INTERVAL, 108, 1.0)


def test_more_series_than_the_first_allocation() -> None:
    state = CounterState()
    run(state, [(key, 0, 100, float(key), False) for key in range(5000)])
    found = run(state, [(key, 0, 130, key + 3.0, False) for key in range(5000)])
    assert (found.delta == 3).all()


def test_nothing_gives_nothing() -> None:
    assert len(run(CounterState(), []).row) == 0


@STEADY
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
def test_deltas_of_a_running_sum_are_its_terms(terms: list[int]) -> None:
    readings = np.cumsum([0, *terms]).astype(float)
    found = run(CounterState(), one(*((100 + 30 * at, float(reading)) for at, reading in enumerate(readings))))
    assert found.delta[1:].tolist() == [float(term) for term in terms]


row = st.tuples(
    st.integers(1, 3), st.sampled_from([0, 40, 90, 150]), st.integers(1, 8), st.integers(0, 50), st.booleans()
)


@settings(STEADY, max_examples=300)
@given(st.lists(row, max_size=25))
def test_it_agrees_with_row_by_row(raw: list[tuple[int, int, int, int, bool]]) -> None:
    times: set[tuple[int, int]] = set()
    rows = []
    for key, start, end, reading, ended in raw:
        end_ns = 100 + end * 30
        if (key, end_ns) not in times:
            times.add((key, end_ns))
            rows.append((key, start if start < end_ns else 0, end_ns, float(reading), ended and reading % 3 == 0))
    expected = oracle({}, rows)
    found = run(CounterState(), rows)
    assert found.row.tolist() == [at for at, _, _ in expected]
    assert found.start_ns.tolist() == [start for _, start, _ in expected]
    np.testing.assert_array_equal(found.delta, [delta for _, _, delta in expected])


@settings(STEADY, max_examples=200)
@given(st.lists(row, max_size=25), st.data())
def test_where_a_stream_is_split_changes_nothing(
    raw: list[tuple[int, int, int, int, bool]], data: st.DataObject
) -> None:
    rows = sorted((key, 0, 100 + end * 30, float(reading), ended) for key, _, end, reading, ended in raw)
    rows.sort(key=lambda one: one[2])
    cut = data.draw(st.integers(0, len(rows)))
    # A cut between two rows of the same series and time is a matter of which came first, as it is within a body.
    whole_state, state = CounterState(), CounterState()
    whole = run(whole_state, rows)
    parts = [run(state, rows[:cut]), run(state, rows[cut:])]
    assert state.export() == whole_state.export() or _same_time_marker(rows)
    if not _same_time_marker(rows):
        by_row = dict(zip(whole.row.tolist(), zip(whole.start_ns, whole.delta, strict=True), strict=True))
        split = dict(zip(parts[0].row.tolist(), zip(parts[0].start_ns, parts[0].delta, strict=True), strict=True))
        for at, start, delta in zip(parts[1].row.tolist(), parts[1].start_ns, parts[1].delta, strict=True):
            split[at + cut] = (start, delta)
        np.testing.assert_equal(split, by_row)
        assert sum(part.late for part in parts) == whole.late


def _same_time_marker(rows: list[tuple[int, int, int, float, bool]]) -> bool:
    """A staleness marker and a reading of one series with the same time: either may win."""
    marked = {(key, end) for key, _, end, _, ended in rows if ended}
    seen = [(key, end) for key, _, end, _, _ in rows]
    return any(seen.count(one) > 1 for one in marked)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_order_of_rows_does_not_matter(n: int) -> None:
    rows = one(*((100 + 30 * at, float(at * at)) for at in range(n)))
    forward = run(CounterState(), rows)
    backward = run(CounterState(), rows[::-1])
    np.testing.assert_array_equal(forward.delta, backward.delta)


STEP = st.lists(
    st.tuples(st.integers(0, 4), st.just(0), st.integers(1, 30), st.integers(0, 9).map(float), st.booleans()),
    max_size=6,
)


@settings(STEADY, max_examples=200)
@given(before=STEP, kept=STEP, undone=st.lists(STEP, max_size=3))
def test_undo_leaves_the_state_as_it_was_at_the_mark(before: list, kept: list, undone: list) -> None:
    state = CounterState()
    run(state, before)
    first = state.mark()
    run(state, kept)
    at_mark = state.export()
    place = state.mark()
    for rows in undone:
        run(state, rows)
    state.undo(place)
    assert state.export() == at_mark
    fresh = CounterState()
    fresh.restore(at_mark.items())
    for rows in undone:  # the same bodies again give the same deltas
        again, expected = run(state, rows), run(fresh, rows)
        np.testing.assert_array_equal(again.delta, expected.delta)
    state.undo(first)
    oracle_state = CounterState()
    run(oracle_state, before)
    assert state.export() == oracle_state.export()


def test_what_was_kept_cannot_be_undone() -> None:
    state = CounterState()
    state.mark()
    run(state, one((10, 1.0)))
    state.keep()
    state.undo()
    assert state.get(7) is not None


def test_nothing_is_evicted_before_it_is_kept() -> None:
    state = CounterState(series_max=2)
    state.mark()
    run(state, [(key, 0, 10 + key, 1.0, False) for key in range(4)])
    assert len(state) == 4
    state.keep()
    assert len(state) <= 2 and state.evicted > 0
