import threading

import duckdb
import pytest
from finding_samples import sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.finding.lifecycle import Episode
from ebbtide.store import connection
from ebbtide.store.connection import migrate
from ebbtide.store.outbox import Bounds, Message, Outbox
from ebbtide.store.store import Store


@pytest.fixture
def store():
    with Store.open() as store:
        yield store


@pytest.fixture
def outbox(store):
    return store.outbox


def message(number: int, change: str = "opened", size: int = 10) -> Message:
    return Message(f"u{number}", change, number, "x" * size)


def uids(outbox: Outbox, sink: str = "a") -> list[str]:
    return [row.uid for row in outbox.head(sink, 1000)]


def test_rows_come_out_in_the_order_they_were_written_and_only_for_their_sink(outbox):
    outbox.write([message(1), message(2)], "a")
    outbox.write([message(3)], "b")
    outbox.write([message(4)], "a")
    assert uids(outbox) == ["u1", "u2", "u4"]
    assert uids(outbox, "b") == ["u3"]


def test_rows_share_the_fate_of_the_callers_transaction(store):
    with pytest.raises(ValueError, match="later"), store.transaction():
        store.findings.save(Episode(sample(uid="u1"), 1))
        store.outbox.write([message(1)], "a")
        raise ValueError("later")
    assert uids(store.outbox) == []
    assert store.outbox.counts("a") == {}
    assert store.findings.all() == []


def test_a_lane_delivers_in_its_own_thread_while_the_store_queues(store):
    lane = store.lane()

    def deliver() -> None:
        while lane.counts("a")["delivered"] < 60:
            for row in lane.head("a", 5):
                lane.delivered([row], 0)

    thread = threading.Thread(target=deliver)
    thread.start()
    for number in range(30):
        with store.transaction():
            store.outbox.write([message(number), message(number, "closed")], "a")
    thread.join(60)

    assert not thread.is_alive()
    assert store.outbox.counts("a") == {"queued": 60, "delivered": 60}
    assert uids(store.outbox) == []


def test_rows_survive_the_process(tmp_path):
    with Store.open(tmp_path / "e.duckdb") as store:
        outbox = store.outbox
        outbox.write([message(1), message(2)], "a")
        outbox.delivered(outbox.head("a", 1), 0)
    with Store.open(tmp_path / "e.duckdb") as store:
        outbox = store.outbox
        outbox.write([message(3)], "a")
        assert uids(outbox) == ["u2", "u3"]
        assert outbox.counts("a") == {"queued": 3, "delivered": 1}


def test_a_failure_keeps_the_row_first_and_the_sink_waiting(outbox):
    outbox.write([message(1), message(2)], "a")
    outbox.failed(outbox.head("a", 1)[0], "no answer", 77)
    state = outbox.state("a")
    assert (state.failures, state.next_ns, state.error, state.waiting) == (1, 77, "no answer", 2)
    assert [(row.uid, row.attempts) for row in outbox.head("a", 2)] == [("u1", 1), ("u2", 0)]
    outbox.delivered(outbox.head("a", 1), 0)
    assert (outbox.state("a").failures, outbox.state("a").error) == (0, "")


def test_the_oldest_updates_are_dropped_before_anything_else(outbox):
    outbox.write([message(1), message(2, "updated"), message(3, "updated"), message(4, "closed")], "a", Bounds(rows=3))
    assert uids(outbox) == ["u1", "u3", "u4"]
    outbox.write([message(5), message(6)], "a", Bounds(rows=3))
    assert uids(outbox) == ["u4", "u5", "u6"]
    assert outbox.counts("a") == {"queued": 6, "dropped_updated": 2, "dropped_opened": 1}


def test_bytes_are_bounded_too(outbox):
    outbox.write([message(n, size=100) for n in range(5)], "a", Bounds(bytes=250))
    assert uids(outbox) == ["u3", "u4"]


def test_dead_letters_are_listed_bounded_and_replayed_in_order(outbox):
    outbox.write([message(n) for n in range(4)], "a")
    outbox.give_up(outbox.head("a", 3), 9, "refused", "400", Bounds(dead_rows=2))
    assert [(one.row.uid, one.reason, one.error) for one in outbox.dead()] == [
        ("u1", "refused", "400"), ("u2", "refused", "400"),
    ]  # fmt: skip
    assert outbox.replay(50, "a") == 2
    assert uids(outbox) == ["u3", "u1", "u2"]
    assert outbox.head("a", 9)[2].queued_ns == 50
    assert outbox.dead() == []
    assert outbox.counts("a") == {"queued": 6, "dead_refused": 3, "dropped_dead": 1, "replayed": 2}


def test_single_dead_letters_can_be_chosen(outbox):
    outbox.write([message(n) for n in range(3)], "a")
    rows = outbox.head("a", 3)
    outbox.give_up(rows, 9, "age", "")
    assert outbox.replay(50, numbers=[rows[1].number]) == 1
    assert uids(outbox) == ["u1"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["write", "deliver", "die", "replay"]), st.integers(0, 3)), max_size=20))
def test_every_row_queued_is_waiting_delivered_dead_or_counted_as_dropped(steps):
    with Store.open() as store:
        outbox = store.outbox
        bounds = Bounds(rows=3, dead_rows=2)
        for at, (what, many) in enumerate(steps):
            if what == "write":
                outbox.write([message(n, "updated" if n % 2 else "opened") for n in range(many)], "a", bounds)
            elif what == "deliver":
                for row in outbox.head("a", many):
                    outbox.delivered([row], 0)
            elif what == "die":
                outbox.give_up(outbox.head("a", many), at, "age", "", bounds)
            else:
                outbox.replay(at, "a", bounds=bounds)
        counts, state = outbox.counts("a"), outbox.state("a")
        dropped = sum(count for name, count in counts.items() if name.startswith("dropped_"))
        # Queued counts a replayed row twice: once when written, once when it came back.
        gone = counts["delivered"] + dropped + counts["replayed"]
        assert counts["queued"] == state.waiting + state.dead + gone
        assert state.waiting <= 3
        assert state.dead <= 2


def test_a_gap_in_the_numbers_of_migrations_is_filled_later(monkeypatch):
    known = connection.migrations()
    con = duckdb.connect(":memory:")
    migrate(con)
    later = (len(known) + 1, "later", "CREATE TABLE later (x INTEGER)")
    monkeypatch.setattr(connection, "migrations", lambda: [*known, later, (len(known) + 2, "last", "SELECT 1")])
    con.execute("INSERT INTO migrations VALUES (?, 'last')", [len(known) + 2])
    migrate(con)
    assert con.execute("SELECT count(*) FROM later").fetchall() == [(0,)]
    con.close()
