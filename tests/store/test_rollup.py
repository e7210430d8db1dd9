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


@given(st.sets(st.integers(0, 100)))
def test_runs_cover_each_hour_once_and_stay_within_a_segment(hours):
    runs = _runs(sorted(hours))

    assert [hour for first, last in runs for hour in range(first, last)] == sorted(hours)
    assert all(first // 6 == (last - 1) // 6 for first, last in runs)


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
