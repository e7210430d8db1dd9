import statistics
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import product

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from build import NAN, NGINX, Point, batch_of
from ebbtide.errors import DataError, NoDataError, StoreInUseError
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Endpoint, EndpointClass, Entity, Heartbeat
from ebbtide.store.contacts import Span
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store

CURL = Entity("prod", "shop", "checkout", "curl")
SENDERS = [NGINX, CURL]
HOUR_S = 3600
TEN_S = 10 * SECOND_NS


def store_with(*batches) -> Store:
    store = Store.open()
    origin = store.begin("import", "test")
    for points in batches:
        store.append(batch_of(points), origin)
    store.roll_up()
    return store


def each(store: Store) -> Grouping:
    """Every entity by itself."""
    count = len(store.identity.entities)
    return Grouping(np.arange(count, dtype=np.int32), np.arange(count), tuple(store.identity.entities))


def rows(store: Store, table: str) -> list[tuple]:
    return store._con.execute(f"SELECT * FROM {table} ORDER BY ALL").fetchall()


def test_a_window_sums_over_destinations_and_counts_points():
    with store_with([Point(100, 5, to="a"), Point(100, 7, to="b"), Point(110, 1), Point(105, 2, sender=CURL)]) as store:
        window = store.reading.window(each(store), ("tcp.bytes",), 100 * SECOND_NS, 120 * SECOND_NS, TEN_S)

    assert window.entities == (NGINX, CURL)
    assert window.total[:, 0].tolist() == [[12, 1], [2, 0]]
    assert window.points[:, 0].tolist() == [[2, 1], [1, 0]]


def test_a_window_off_the_grid_has_partial_buckets_at_both_ends():
    with store_with([Point(100, 1), Point(104, 2), Point(109, 4), Point(113, 8), Point(117, 16)]) as store:
        window = store.reading.window(each(store), ("tcp.bytes",), 104 * SECOND_NS, 117 * SECOND_NS, TEN_S)

    assert window.start_ns == 100 * SECOND_NS
    assert window.total[0, 0].tolist() == [6, 8]


def test_three_pods_in_two_zones_with_equal_ends_lose_nothing():
    pods = [Point(100, 1, label=f"{pod}/{zone}") for pod, zone in product("abc", ("eu-1a", "eu-1b"))]

    with store_with(pods) as store:
        assert store.reading.window(each(store), ("tcp.bytes",), 0, 200 * SECOND_NS, TEN_S).total.sum() == 6


def test_a_sample_sent_again_is_dropped_and_counted():
    with Store.open() as store:
        origin = store.begin("import", "test")
        first = store.append(batch_of([Point(100, 1), Point(110, 1), Point(110, 99)]), origin)
        again = store.append(batch_of([Point(110, 1), Point(120, 1), Point(100, 1)]), origin)

        assert (first.stored, first.dropped) == (2, Counter(duplicate=1))
        assert (again.stored, again.dropped) == (1, Counter(duplicate=2))


def test_a_late_sample_is_kept_and_its_hour_derived_again():
    with Store.open() as store:
        origin = store.begin("import", "test")
        store.append(batch_of([Point(100, 1), Point(5 * HOUR_S, 1)]), origin)
        store.roll_up()
        late = store.append(batch_of([Point(200, 3)]), origin)
        store.roll_up()

        moments = store.reading.moments(each(store), ("tcp.bytes",), 0, HOUR_NS, of="points", is_masked=False)
        assert late.stored == 1
        assert (moments.count[0, 0], moments.mean[0, 0]) == (2, 2)
        assert [row[-1] for row in rows(store, "hours")] == [2, 1]  # the revision


def test_order_and_repetition_leave_the_same_summaries():
    points = [Point(t, t % 7, to=to) for t in range(10, 3 * HOUR_S, 610) for to in "ab"]
    shuffled = [points[at] for at in np.random.default_rng(1).permutation(len(points))]

    with store_with(points) as one, store_with(shuffled[:20], shuffled, points) as other:
        for table in ("hours", "days", "edges", "coverage"):  # to the last bit; of an hour all but its revision
            left, right = ([row[:16] for row in rows(store, table)] for store in (one, other))
            assert left == right


def test_too_late_is_dropped_and_counted():
    with Store.open() as store:
        done = store.append(
            batch_of([Point(100, 1), Point(200, 1)]), store.begin("import", "t"), oldest_ns=150 * SECOND_NS
        )

        assert (done.stored, done.dropped) == (1, Counter(too_late=1))


def test_a_first_reading_has_no_value_but_is_kept_for_the_next():
    with store_with([Point(100, NAN, reading=1e6), Point(110, 5, reading=1e6 + 5)]) as store:
        window = store.reading.window(each(store), ("tcp.bytes",), 0, 200 * SECOND_NS, TEN_S)
        assert window.points.sum() == 1
        [(start_ns, end_ns, reading)] = store.counters().values()
        assert (start_ns, end_ns, reading) == (100 * SECOND_NS, 110 * SECOND_NS, 1e6 + 5)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60 * HOUR_S), st.integers(0, 5), st.sampled_from("ab"), st.sampled_from(SENDERS)),
        min_size=1,
        max_size=60,
        unique_by=lambda row: (row[0], row[2], row[3]),
    ),
    st.integers(0, 30 * HOUR_S),
    st.integers(30 * HOUR_S, 62 * HOUR_S),
)
def test_summaries_equal_a_naive_reading_of_the_samples(raw, from_s, to_s):
    points = [Point(t, v, to=to, sender=sender) for t, v, to, sender in raw]

    with store_with(points) as store:
        moments = store.reading.moments(
            each(store), ("tcp.bytes",), from_s * SECOND_NS, to_s * SECOND_NS, of="points", is_masked=False
        )
        entities = store.identity.entities

    for at, entity in enumerate(entities):
        values = [p.value for p in points if p.sender == entity and from_s // HOUR_S * HOUR_S <= p.end_s < to_s]
        assert moments.count[at, 0] == len(values)
        if values:
            assert moments.mean[at, 0] == pytest.approx(statistics.fmean(values))
        if len(values) > 1:
            assert moments.stdev()[at, 0] == pytest.approx(statistics.stdev(values), abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.tuples(st.integers(1, 900), st.sampled_from("ab")), st.integers(0, 9), min_size=1, max_size=60),
    st.sampled_from([3 * HOUR_S, 2 * HOUR_S + 1234]),
)
def test_bucket_moments_are_of_the_sum_over_destinations_at_the_sources_interval(raw, to_s):
    points = [Point(tick * 30, v, to=to, span_s=30) for (tick, to), v in raw.items()]

    with store_with(points) as store:
        moments = store.reading.moments(each(store), ("tcp.bytes",), 0, to_s * SECOND_NS, of="buckets", is_masked=False)

    sums: Counter[int] = Counter()
    for point in points:
        if point.end_s < to_s:
            sums[int(point.end_s) // 30] += point.value
    assert moments.count[0, 0] == len(sums)
    if sums:
        assert moments.mean[0, 0] * 30 == pytest.approx(statistics.fmean(sums.values()))
    if len(sums) > 1:
        assert moments.stdev()[0, 0] * 30 == pytest.approx(statistics.stdev(map(float, sums.values())), abs=1e-9)


def test_a_mask_takes_its_hours_out_of_the_baseline_and_only_those():
    points = [Point(h * HOUR_S + 5, h) for h in range(50)] + [Point(h * HOUR_S + 5, 1, sender=CURL) for h in range(50)]

    with store_with(points) as store:
        store.mask(NGINX, 30 * HOUR_NS, 32 * HOUR_NS, "attack")
        window = (each(store), ("tcp.bytes",), 0, 48 * HOUR_NS + HOUR_NS // 2)
        masked = store.reading.moments(*window, of="points", is_masked=True)
        ignored = store.reading.moments(*window, of="points", is_masked=False)

    assert masked.count[:, 0].tolist() == [47, 49]
    assert ignored.count[:, 0].tolist() == [49, 49]
    assert masked.mean[0, 0] == pytest.approx(statistics.fmean(h for h in range(49) if h not in (30, 31)))


def test_received_is_kept_beside_sent():
    answer = Point(100, 9, sender=None, receiver=NGINX, to="x")

    with store_with([Point(100, 5), answer]) as store:
        hour, sent, received = store.contacts.history(0, "tcp.bytes", 0, HOUR_NS)

    assert (hour.tolist(), sent.tolist(), received.tolist()) == ([0], [5], [9])


def test_contacts_say_how_much_and_since_when():
    points = [Point(100, 1, to="old"), Point(5 * HOUR_S, 2, to="old"), Point(5 * HOUR_S, 40, to="new")]

    with store_with(points) as store:
        contacts = store.contacts.of([Span(0, 5 * HOUR_NS, 6 * HOUR_NS)], ".bytes")

    assert [(c.destination.workload, c.sent, c.first_seen_ns) for c in contacts] == [("new", 40, None), ("old", 2, 0)]
    assert contacts[0].destination == Endpoint("", "", "new", "", EndpointClass.EXTERNAL)


def test_coverage_knows_minutes_heard_by_heartbeat_and_by_sample():
    batch = replace(
        batch_of([Point(90, 1, span_s=60)]), heartbeats=(Heartbeat("prod", 600 * SECOND_NS, 660 * SECOND_NS),)
    )

    with Store.open() as store:
        store.append(batch, store.begin("import", "test"))
        store.roll_up()

        [(cluster, hour, heartbeats, samples, interval_s)] = rows(store, "coverage")
        assert (cluster, hour, heartbeats, samples, interval_s) == ("prod", 0, 1 << 10, 0b11, 60)


def test_days_close_when_they_have_passed_and_open_for_late_data():
    with store_with([Point(100, 1), Point(2 * 24 * HOUR_S, 1)]) as store:
        assert rows(store, "closed_days") == [(0,)]
        store.append(batch_of([Point(300, 3)]), store.begin("import", "late"))
        assert rows(store, "closed_days") == []
        store.roll_up()

        moments = store.reading.moments(each(store), ("tcp.bytes",), 0, DAY_NS, of="points", is_masked=False)
        assert rows(store, "closed_days") == [(0,)]
        assert (moments.count[0, 0], moments.mean[0, 0]) == (2, 2)


def test_what_was_stored_is_there_after_opening_again(tmp_path):
    path = tmp_path / "e.duckdb"
    with Store.open(path) as store:
        store.append(batch_of([Point(100, 1, reading=7)]), store.begin("import", "test"))

    with Store.open(path, is_new_allowed=False) as store:
        again = store.append(batch_of([Point(100, 1), Point(110, 2)]), store.begin("import", "again"))
        store.roll_up()

        assert (again.stored, again.dropped) == (1, Counter(duplicate=1))
        assert store.reading.span() == (100 * SECOND_NS, 110 * SECOND_NS)
        assert store.reading.window(each(store), ("tcp.bytes",), 0, HOUR_NS, TEN_S).total.sum() == 3


def test_a_failed_write_leaves_everything_as_it_was(monkeypatch):
    with Store.open() as store:
        origin = store.begin("import", "test")
        store.append(batch_of([Point(100, 1)]), origin)
        with monkeypatch.context() as broken:
            broken.setattr("ebbtide.store.append._beat", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                store.append(batch_of([Point(50_000, 1, sender=CURL, to="new")]), origin)

        assert store.identity.entities == [NGINX]
        assert store.append(batch_of([Point(50_000, 1, sender=CURL, to="new")]), origin).stored == 1
        assert [row[0] for row in rows(store, "entities")] == [0, 1]


def test_a_second_process_is_told_that_the_file_is_in_use(tmp_path):
    path = tmp_path / "e.duckdb"
    holder = (
        "import sys, pathlib; from ebbtide.store.store import Store; "
        "store = Store.open(pathlib.Path(sys.argv[1])); print('up', flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "up\n"
        with pytest.raises(StoreInUseError) as error:
            Store.open(path)
        other.communicate("\n")

    assert error.value.hint


def test_what_is_not_a_store_is_refused_with_a_hint(tmp_path):
    text, other = tmp_path / "notes.txt", tmp_path / "other.duckdb"
    text.write_text("not a database\n" * 1000)
    duckdb.connect(str(other)).execute("CREATE TABLE x (y INTEGER)").close()

    for path in (text, other):
        with pytest.raises(DataError) as error:
            Store.open(path)
        assert error.value.hint
    with pytest.raises(NoDataError):
        Store.open(tmp_path / "absent.duckdb", is_new_allowed=False)


def test_the_usual_hour_is_the_mean_of_the_hours_in_which_something_was_sent():
    points = [Point(h * HOUR_S + 5, 10 + h % 2) for h in range(0, 60, 2)] + [Point(h * HOUR_S + 9, 4) for h in (1, 50)]

    with store_with(points) as store:
        usual = store.reading.usual_hours(np.array([0], np.int32), 0, 55 * HOUR_NS)

    sent = Counter()
    for point in points:
        if point.end_s < 55 * HOUR_S:
            sent[point.end_s // HOUR_S] += point.value
    assert usual == {(0, "tcp.bytes"): pytest.approx(statistics.fmean(sent.values()))}
