import pytest
from hypothesis import given
from hypothesis import strategies as st

from build import NGINX, Point, batch_of
from ebbtide.series import HOUR_NS, SECOND_NS
from ebbtide.store.rollup import INTERVALS_S, _runs, snap_interval_s
from ebbtide.store.store import Store


@pytest.mark.parametrize(
    ("span_s", "interval_s"), [(0, 10), (1, 10), (10, 10), (29.7, 30), (31, 30), (59, 60), (75, 60), (7000, 3600)]
)
def test_a_span_snaps_to_the_nearest_interval(span_s, interval_s):
    assert snap_interval_s(int(span_s * SECOND_NS)) == interval_s


def test_every_interval_divides_an_hour():
    assert all(3600 % one == 0 for one in INTERVALS_S)


@given(st.sets(st.integers(0, 100)), st.lists(st.sampled_from([0, 10, 400_000, 2_000_000]), min_size=17, max_size=17))
def test_runs_cover_each_hour_once_and_are_a_segment_or_small(hours, sizes):
    runs = list(_runs(sorted(hours), sizes.__getitem__))

    assert [hour for first, last in runs for hour in range(first, last)] == sorted(hours)
    for first, last in runs:
        segments = range(first // 6, (last - 1) // 6 + 1)
        assert len(segments) == 1 or (sum(sizes[one] for one in segments) <= 1_000_000 and last - first <= 24)


def test_small_segments_are_derived_together_up_to_a_day_and_large_ones_apart():
    hours = [*range(4, 40), 50]

    assert list(_runs(hours, lambda _: 1000)) == [(4, 28), (28, 40), (50, 51)]
    assert list(_runs(hours, lambda _: 600_000)) == [
        (4, 6),
        (6, 12),
        (12, 18),
        (18, 24),
        (24, 30),
        (30, 36),
        (36, 40),
        (50, 51),
    ]
    assert list(_runs([], lambda _: 1000)) == []


def test_hours_derived_together_are_as_those_derived_one_by_one():
    points = [Point(86_400 + 600 * at, at, span_s=700, label=str(at % 3)) for at in range(1, 150)]

    def summaries(*until: int) -> list[object]:
        with Store.open() as store:
            store.append(batch_of(points), store.begin("import", "test"))
            for hour in until:
                store.roll_up(hour * HOUR_NS)
            tables = ("hours", "edges", "coverage", "due_hours")
            assert store.ask("SELECT count(*) FROM hours") == [(25,)]
            return [store.ask(f"SELECT * FROM {table} ORDER BY ALL") for table in tables]

    assert summaries(50) == summaries(*range(25, 51))


def test_hours_that_have_not_passed_wait():
    with Store.open() as store:
        store.append(batch_of([Point(100, 1), Point(3700, 1)]), store.begin("import", "test"))
        store.roll_up(2 * HOUR_NS - 1)

        assert store.ask("SELECT hour FROM hours") == [(0,)]
        assert store.dirty_hours == 1


def test_a_constant_has_no_spread_in_the_summaries():
    with Store.open() as store:
        points = [Point(t, 0.1, sender=NGINX) for t in range(10, 3600, 10)]
        store.append(batch_of(points), store.begin("import", "test"))
        store.roll_up()

        assert store.ask("SELECT mean, m2, minimum, maximum FROM hours") == [(0.1, 0.0, 0.1, 0.1)]


def test_a_failure_while_deriving_leaves_the_hours_dirty(monkeypatch):
    with Store.open() as store:
        store.append(batch_of([Point(100, 1)]), store.begin("import", "test"))
        with monkeypatch.context() as broken:
            broken.setattr("ebbtide.store.rollup._derive_coverage", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                store.roll_up()
        assert store.dirty_hours == 1
        store.roll_up()

        assert store.dirty_hours == 0
        assert store.ask("SELECT hour, points FROM hours") == [(0, 1)]
