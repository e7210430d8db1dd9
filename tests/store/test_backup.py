import threading

import pytest

from build import Point, batch_of
from ebbtide.errors import DataError, ServiceError
from ebbtide.store.outbox import Message
from ebbtide.store.store import Store


def test_a_backup_made_while_the_store_writes_is_whole_and_can_go_on(tmp_path):
    with Store.open(tmp_path / "live.duckdb") as store:
        origin = store.begin("test", "backup")
        with store.transaction():
            store.outbox.write([Message("u", "opened", 1, "{}")] * 3, "s")
        acknowledged = threading.Event()

        def write() -> None:
            for second in range(1, 200):
                store.append(batch_of([Point(10 * second, 1.0)]), origin)
                acknowledged.set()

        thread = threading.Thread(target=write)
        thread.start()
        acknowledged.wait(20)
        store.backup(tmp_path / "copy.duckdb")
        thread.join()
        store.roll_up()
        hours = store.ask("SELECT hour, points, mean FROM hours ORDER BY hour")
    with Store.open(tmp_path / "copy.duckdb") as copy:
        assert 1 <= sum(copy.totals().values()) <= 199
        copy.append(batch_of([Point(10 * second, 1.0) for second in range(1, 200)]), origin)
        copy.roll_up()
        assert sum(copy.totals().values()) == 199
        assert copy.ask("SELECT hour, points, mean FROM hours ORDER BY hour") == hours
        with copy.transaction():
            copy.outbox.write([Message("u", "closed", 1, "{}")], "s")
        assert [row.number for row in copy.outbox.head("s", 9)] == [1, 2, 3, 4]
    assert not (tmp_path / "copy.duckdb.partial").exists()


def test_a_backup_overwrites_nothing_and_says_what_went_wrong(tmp_path):
    with Store.open() as store:
        (tmp_path / "there").write_text("x")
        with pytest.raises(DataError, match="exists"):
            store.backup(tmp_path / "there")
        with pytest.raises(ServiceError, match="failed"):
            store.backup(tmp_path / "absent" / "b.duckdb")
