from build import Point, batch_of
from ebbtide.series import HOUR_NS
from ebbtide.store.segments import COLUMN_NAMES, SEGMENT_NS, segment_of
from ebbtide.store.store import Store


def test_samples_lie_in_the_segment_of_their_end():
    with Store.open() as store:
        store.append(batch_of([Point(6 * 3600 - 1, 1), Point(6 * 3600, 1)]), store.begin("import", "test"))

        assert store.segments == (0, 1)
        assert segment_of(6 * HOUR_NS) == 1
        assert [store.ask(f"SELECT count(*) FROM samples_{one}") for one in (0, 1)] == [[(1,)], [(1,)]]


def test_a_range_reads_exactly_its_samples():
    with Store.open() as store:
        store.append(batch_of([Point(h * 3600, h) for h in range(1, 30)]), store.begin("import", "test"))
        between = store._segments.between(5 * HOUR_NS, 20 * HOUR_NS)

        assert store.ask(f"SELECT min(value), max(value), count(*) FROM {between}") == [(5, 19, 15)]


def test_a_range_without_segments_is_empty_with_the_same_columns():
    with Store.open() as store:
        empty = store._segments.between(0, SEGMENT_NS)

        assert store.ask(f"SELECT {', '.join(COLUMN_NAMES)} FROM {empty}") == []
