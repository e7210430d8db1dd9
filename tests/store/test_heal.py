"""A checkpoint that fails on a full disk kills the database in memory; the store opens the file anew by itself."""

import resource
from collections.abc import Iterator

import duckdb
import pytest
from writer import numbered_batch

from ebbtide.errors import ServiceError
from ebbtide.series import DAY_NS
from ebbtide.store.outbox import Message
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store


@pytest.fixture
def limit() -> Iterator[object]:
    """Bounds the size of every file this process writes, which to DuckDB is a disk that takes no more."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (before[0] if size is None else size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def stored(store: Store) -> float:
    return sum(store.totals().values())


def sent(numbers: range) -> float:
    return sum(float(numbered_batch(number).value.sum()) for number in numbers)


def test_a_full_disk_loses_nothing_acknowledged_and_is_left_behind_once_there_is_room(tmp_path, limit):
    path = tmp_path / "e.duckdb"
    with Store.open(path) as store:
        origin = store.begin("live", "test")
        for number in range(10):
            store.append(numbered_batch(number), origin)
        lane, view = store.lane(), store.view()
        limit(path.stat().st_size)
        with pytest.raises(ServiceError, match="log could not be written"):
            store.checkpoint()
        with pytest.raises(ServiceError):
            store.append(numbered_batch(10), origin)
        limit(None)

        for number in range(10, 20):
            store.append(numbered_batch(number), origin)
        store.roll_up()
        with store.transaction():
            store.outbox.write([Message("u", "opened", 1, "{}")], "s")

        assert stored(store) == sent(range(20))
        assert [one.uid for one in store.lane().head("s", 5)] == ["u"]
        for old in (lambda: lane.head("s", 1), view.progress.reached):
            with pytest.raises(duckdb.ConnectionException):
                old()
    with Store.open(path, is_new_allowed=False) as store:
        assert stored(store) == sent(range(20))


def test_a_database_that_lives_is_left_alone(tmp_path):
    with Store.open(tmp_path / "e.duckdb") as store:
        generation, view = store.generation, store.view()
        store.heal()

        assert store.generation == generation
        assert view.progress.reached() == {}
        view.close()


def test_a_segment_that_could_not_be_dropped_is_still_read(tmp_path, limit):
    path = tmp_path / "e.duckdb"
    with Store.open(path) as store:
        store.append(numbered_batch(0), store.begin("live", "test"))
        segments = store.segments
        limit((tmp_path / "e.duckdb.wal").stat().st_size)
        with pytest.raises(ServiceError):
            store.retain(100 * DAY_NS, Retention())
        limit(None)

        assert store.segments == segments
        assert stored(store) == sent(range(1))
        assert store.retain(100 * DAY_NS, Retention())["samples"] == 50


def test_a_closed_store_stays_closed(tmp_path):
    path = tmp_path / "e.duckdb"
    with Store.open(path) as store:
        pass
    for late in (store.lane, store.view, store.heal, lambda: store.begin("live", "late")):
        with pytest.raises(ServiceError, match="closed"):
            late()
    Store.open(path).close()
