"""Points to batches: each is counted exactly once, whatever befalls its neighbours."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_of_decode import EDGE, END_NS, STEADY, preset

from ebbtide.decode.catalog import TIME_MAX_NS, TIME_MIN_NS, Catalog, Scope, Surroundings
from ebbtide.decode.mapping import Mapper, Meant
from ebbtide.decode.points import Points
from ebbtide.decode.temporality import CounterState
from ebbtide.series import SECOND_NS, Batch

INTERVAL_NS = 30 * SECOND_NS


def catalog() -> tuple[Catalog, list[int]]:
    """A catalog and ids of: a delta, a counter, a level, a heartbeat, an ignored series."""
    made = Catalog(Mapper(preset()))
    around = Surroundings({}, Scope())
    ids = [
        made.add(around.context("tcp.bytes", Meant.DELTA), EDGE),
        made.add(around.context("tcp.bytes", Meant.CUMULATIVE), {**EDGE, "n": "2"}),
        made.add(around.context("udp.bytes", Meant.VALUE), EDGE),
        made.add(around.context("ebpf_net.up", None), {}),
        made.add(around.context("tcp.bytes", Meant.DELTA), {**EDGE, "aggregation": "id_id"}),
    ]
    return made, ids


def batch(*rows: tuple[int, int, int, float, bool], state: CounterState | None = None) -> Batch:
    """Rows of (which of the five series, start, end, value, ended)."""
    made, ids = catalog()
    points = Points(made)
    for which, start, end, value, ended in rows:
        points.add(ids[which], start, end, value, ended)
    return points.batch(state or CounterState())


EDGES_OF_TIME = [0, 1, TIME_MIN_NS - 1, TIME_MIN_NS, TIME_MAX_NS, TIME_MAX_NS + 1, 2**64 - 1]
times = st.sampled_from([*EDGES_OF_TIME, END_NS - 1, END_NS, END_NS + INTERVAL_NS])
values = st.one_of(st.floats(), st.sampled_from([0.0, -1.0, 5.0, 7.0, 1e19, 1e20]))
rows = st.tuples(st.integers(0, 4), times, times, values, st.booleans())


@settings(STEADY, max_examples=300)
@given(st.lists(rows, max_size=12))
def test_every_point_is_counted_exactly_once(some: list[tuple[int, int, int, float, bool]]) -> None:
    found = batch(*some)
    assert found.counts.received == len(some)
    assert found.counts.accepted == len(found)
    assert (found.start_ns < found.end_ns).all()
    assert (found.end_ns >= TIME_MIN_NS).all() and (found.end_ns <= TIME_MAX_NS).all()
    assert (np.isfinite(found.value) | np.isfinite(found.reading)).all()


@settings(STEADY, max_examples=100)
@given(st.lists(rows, max_size=8), st.lists(rows, max_size=8))
def test_points_in_chunks_are_points_one_by_one(
    first: list[tuple[int, int, int, float, bool]], second: list[tuple[int, int, int, float, bool]]
) -> None:
    whole = batch(*first, *second)
    made, ids = catalog()
    points = Points(made)
    for part in (first, second):
        at = np.array([ids[which] for which, *_ in part], np.int64)
        start, end = (np.array([row[column] for row in part], np.uint64) for column in (1, 2))
        value, ended = np.array([row[3] for row in part], np.float64), np.array([row[4] for row in part], bool)
        points.extend(at, start, end, value, ended)
    found = points.batch(CounterState())
    np.testing.assert_array_equal(found.value, whole.value)
    assert found.series == whole.series and found.counts == whole.counts


def test_levels_may_be_negative() -> None:
    assert batch((2, 0, END_NS, -5.0, False)).value.tolist() == [-5.0]


def test_a_heartbeat_never_covers_more_than_its_interval() -> None:
    long = batch((3, END_NS - 3600 * SECOND_NS, END_NS, 1.0, False)).heartbeats
    assert [(one.start_ns, one.end_ns) for one in long] == [(END_NS - INTERVAL_NS, END_NS)]


def test_a_heartbeat_at_an_impossible_time_is_none() -> None:
    assert batch((3, 0, 5, 1.0, False)).heartbeats == ()


def test_nothing_is_an_empty_batch() -> None:
    assert len(batch()) == 0
