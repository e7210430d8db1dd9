import threading

import duckdb
import pytest

from build import Point, batch_of
from ebbtide.deliver.sinks import load_sinks
from ebbtide.errors import ServiceError
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.service.vitals import Vitals
from ebbtide.store.store import Store
from serviced import rounds_of


def told(store: Store) -> list[tuple[str, str]]:
    return [(row.change, row.uid) for row in store.outbox.head("s", 99)]


def hear(store: Store, minute: int) -> None:
    store.append(batch_of([Point(60 * minute, 1.0)]), 1)


def test_a_cluster_that_goes_silent_is_told_once_and_closed_when_it_is_heard_again():
    with Store.open() as store:
        rounds = rounds_of(store, 0)
        for minute in range(1, 200):
            if not 60 <= minute < 120:
                hear(store, minute)
            rounds.go(minute * MINUTE_NS)

        [notice] = store.notices.all()
        assert [change for change, _ in told(store)] == ["opened", "closed"]
        assert notice.record.opened_ns == 59 * MINUTE_NS
        assert notice.record.at_ns == notice.closed_ns == 120 * MINUTE_NS
        assert "Nothing arrives from cluster prod since 1970-01-01T00:59:00Z" in notice.record.headline
        assert store.findings.all() == []


def test_a_restart_neither_ends_nor_repeats_a_silence():
    with Store.open() as store:
        rounds = rounds_of(store, 0)
        hear(store, 1)
        for minute in (1, 2, 40):
            rounds.go(minute * MINUTE_NS)
        again = rounds_of(store, 41 * MINUTE_NS)
        for minute in (41, 42, 90):
            again.go(minute * MINUTE_NS)
        assert [change for change, _ in told(store)] == ["opened"]

        hear(store, 91)
        again.go(91 * MINUTE_NS)
        assert [change for change, _ in told(store)] == ["opened", "closed"]


def test_an_expected_cluster_that_never_comes_is_silent():
    with Store.open() as store:
        rounds = rounds_of(store, HOUR_NS, expected=("absent",))
        rounds.go(HOUR_NS + MINUTE_NS)
        assert store.notices.all() == []
        rounds.go(HOUR_NS + 26 * MINUTE_NS)

        assert "never heard" in store.notices.all()[0].record.headline


def test_house_is_kept_once_an_hour_and_what_is_dropped_is_counted():
    with Store.open() as store:
        rounds = rounds_of(store, 40 * HOUR_NS, sinks={})
        hear(store, 10)
        rounds.go(40 * HOUR_NS + MINUTE_NS)
        assert len(store.segments) == 1
        rounds.go(41 * HOUR_NS)

        assert rounds.dropped["samples"] == 1
        assert store.segments == ()


def test_a_round_that_fails_is_remembered_until_one_goes_well(monkeypatch):
    with Store.open() as store:
        rounds = rounds_of(store, 0)
        with monkeypatch.context() as patch:
            patch.setattr(store, "roll_up", lambda *_: 1 / 0)
            store.append(batch_of([Point(10 * at, 1.0) for at in range(1, 2000)]), 1)
            with pytest.raises(ZeroDivisionError):
                rounds.go(20_000 * SECOND_NS)
        assert (rounds.error, rounds.succeeded_ns) == ("division by zero", 0)

        rounds.go(20_001 * SECOND_NS)
        assert (rounds.error, rounds.succeeded_ns) == ("", 20_001 * SECOND_NS)


def test_rounds_go_on_beside_a_thread_that_writes():
    with Store.open() as store:
        rounds = rounds_of(store, 0, expected=("absent",))
        faults: list[Exception] = []

        def write() -> None:
            for second in range(1, 300):
                try:
                    store.append(batch_of([Point(second, 1.0)]), store.begin("test", "x"))
                except (ServiceError, duckdb.Error) as error:
                    faults.append(error)

        thread = threading.Thread(target=write)
        thread.start()
        minute = 0
        while thread.is_alive():
            minute += 1
            rounds.go(minute * MINUTE_NS)
        thread.join()

    assert faults == []


def test_a_round_opens_a_store_anew_that_did_not_survive(tmp_path):
    with Store.open(tmp_path / "s.duckdb") as store:
        rounds = rounds_of(store, 0)
        hear(store, 1)
        rounds.go(2 * MINUTE_NS)
        store._con.close()  # as a checkpoint leaves it that failed

        rounds.go(3 * MINUTE_NS)

        assert rounds.error == ""
        assert sum(store.totals().values()) == 1


BEATING = load_sinks("sinks: {s: {type: lines, path: '-', heartbeat: 1h}}", "e.yaml", {}, str)


def test_a_heartbeat_is_queued_each_interval_also_where_nothing_arrives():
    with Store.open() as store:
        rounds = rounds_of(store, 0, sinks=BEATING)
        for minute in range(1, 122):
            rounds.go(minute * MINUTE_NS)
            if minute == 30:
                store.outbox.delivered(store.outbox.head("s", 9), minute * MINUTE_NS)
        again = rounds_of(store, 122 * MINUTE_NS, sinks=BEATING)  # a restart does not repeat it
        again.go(122 * MINUTE_NS)

        assert [row.queued_ns for row in store.outbox.head("s", 9)] == [121 * MINUTE_NS]
        assert store.outbox.counts("s")["queued"] == 3
        health = Vitals(store, again, BEATING, MINUTE_NS).gather(123 * MINUTE_NS)
        assert (health.sinks[0].heartbeat_ns, health.sinks[0].heartbeat_every_s) == (30 * MINUTE_NS, 3600.0)
        assert (store.findings.all(), store.notices.all(), store.risks.all(0)) == ([], [], [])


def test_a_service_that_cannot_judge_sends_no_heartbeat(monkeypatch):
    with Store.open() as store:
        rounds = rounds_of(store, 0, sinks=BEATING)
        monkeypatch.setattr(rounds.clockwork, "tick", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rounds.go(MINUTE_NS)

        assert told(store) == []
