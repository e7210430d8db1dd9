"""The keeper: nothing is acknowledged that is not stored, nothing counts twice, nothing leaves a trace that failed."""

from __future__ import annotations

import random
import threading
from concurrent.futures import CancelledError, Future, wait

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_of_decode import EDGE, END_NS, STEADY, Point, hec, proto

from ebbtide.decode.preset import load_preset
from ebbtide.errors import DecodeError, ServiceError
from ebbtide.receive.intake import Intake
from ebbtide.receive.receipt import Receipt
from ebbtide.receive.refusal import Reason, Refusal
from ebbtide.receive.settings import IntakeSettings
from ebbtide.receive.source import Source
from ebbtide.series import DAY_NS, SECOND_NS
from ebbtide.store import store as store_module
from ebbtide.store.store import Store

STEP_NS = 30 * SECOND_NS


def counter(reading: float, tick: int, workload: str = "checkout") -> bytes:
    labels = {**EDGE, "source.workload.name": workload}
    return proto([Point(value=reading, labels=labels, end_ns=END_NS + tick * STEP_NS, kind="cumulative")])


def delta(value: float, tick: int = 0, workload: str = "checkout") -> bytes:
    labels = {**EDGE, "source.workload.name": workload}
    return proto([Point(value=value, labels=labels, end_ns=END_NS + tick * STEP_NS)])


def sent(kept, source, body, format_name="otlp_proto") -> Receipt:
    return kept.intake.submit(body, format_name, source, "test").result(10)


class Gate:
    """Holds the keeper inside `append` until it is opened, so that bodies gather behind it."""

    def __init__(self, store, monkeypatch) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()
        self.sizes: list[int] = []
        self.fails: list[Exception | None] = []
        append = store.append

        def held(batch, origin, *, oldest_ns):
            self.sizes.append(len(batch))
            self.entered.set()
            assert self.opened.wait(10)
            error = self.fails.pop(0) if self.fails else None
            if error is not None:
                raise error
            return append(batch, origin, oldest_ns=oldest_ns)

        monkeypatch.setattr(store, "append", held)


@pytest.fixture
def gate(kept, monkeypatch) -> Gate:
    return Gate(kept.store, monkeypatch)


def behind(gate, kept, source, bodies) -> list[Future[Receipt]]:
    """Submit one body, and the others while it is being stored; then let go."""
    first = kept.intake.submit(bodies[0], "otlp_proto", source, "test")
    assert gate.entered.wait(10)
    others = [kept.intake.submit(body, "otlp_proto", source, "test") for body in bodies[1:]]
    gate.opened.set()
    return [first, *others]


def test_a_receipt_counts_each_point_once_and_comes_after_the_commit(kept, source):
    body = proto([Point(), Point(value=-1), Point(metric="cpu"), Point(end_ns=END_NS - 2 * DAY_NS)])
    receipt = sent(kept, source, body)
    assert receipt.accepted == 1
    assert receipt.rejected == {"negative": 1, "too_late": 1}
    assert receipt.ignored == {"other_metric": 1}
    assert receipt.duplicates == 0
    assert kept.sum == 48211
    assert receipt.reasons == "2 points rejected: 1 negative, 1 too_late"


def test_the_same_body_again_changes_nothing(kept, source):
    sent(kept, source, delta(5))
    assert sent(kept, source, delta(5)).duplicates == 1
    assert kept.sum == 5


def test_what_waits_is_committed_together_and_each_gets_its_own_receipt(gate, kept, source):
    bodies = [delta(1), *(delta(2, workload=f"w{at}x") for at in range(20)), proto([Point(value=-1)])]
    futures = behind(gate, kept, source, bodies)
    receipts = [future.result(10) for future in futures]
    assert gate.sizes == [1, 20]
    assert [one.accepted for one in receipts] == [1] * 21 + [0]
    assert receipts[-1].rejected == {"negative": 1}
    assert kept.sum == 41


def test_duplicates_of_a_commit_of_several_bodies_are_not_told_apart(gate, kept, source):
    receipts = [future.result(10) for future in behind(gate, kept, source, [delta(1), delta(1), delta(7, tick=1)])]
    assert [one.duplicates for one in receipts] == [0, None, None]
    assert kept.sum == 8
    assert kept.intake.counts().dropped == {"duplicate": 1}


def test_a_body_that_cannot_be_read_fails_alone(gate, kept, source):
    futures = behind(gate, kept, source, [delta(1), b"\xff" * 9, delta(2, tick=1)])
    assert futures[0].result(10).accepted == futures[2].result(10).accepted == 1
    with pytest.raises(DecodeError):
        futures[1].result(10)
    assert kept.sum == 3


def test_a_failed_transaction_fails_all_of_its_bodies_and_nothing_is_stored(gate, kept, source):
    gate.fails = [None, ServiceError("disk full")]
    futures = behind(gate, kept, source, [delta(1), delta(2, tick=1), delta(4, tick=2)])
    assert futures[0].result(10).accepted == 1
    for future in futures[1:]:
        with pytest.raises(ServiceError, match="disk full"):
            future.result(10)
    assert kept.sum == 1
    assert kept.intake.counts().commits_failing == 1
    assert sent(kept, source, delta(2, tick=1)).accepted == 1
    assert kept.intake.counts().commit_failures == 1
    assert kept.intake.counts().commits_failing == 0


def test_an_intake_stops_on_a_disk_that_takes_nothing_more(kept, source, monkeypatch):
    assert sent(kept, source, delta(1)).accepted == 1

    def refuse(*_):
        raise ServiceError("No space left on device")

    monkeypatch.setattr(kept.store, "finish", refuse)
    kept.intake.stop()
    assert kept.intake.counts().commit_failures == 1
    assert not kept.intake.is_alive


def test_counters_stand_as_before_after_a_failed_transaction(gate, kept, source):
    """The trap: the decoder saw 150 once already, so a retry would find nothing new, and 40 bytes would be lost."""
    gate.fails = [None, None, ServiceError("disk full")]
    gate.opened.set()
    assert sent(kept, source, counter(100, 0)).accepted == 1
    assert sent(kept, source, counter(110, 1)).accepted == 1
    with pytest.raises(ServiceError):
        sent(kept, source, counter(150, 2))
    assert sent(kept, source, counter(150, 2)).accepted == 1
    assert sent(kept, source, counter(150, 2)).ignored == {"late_reading": 1}
    assert kept.sum == 50


@settings(STEADY, max_examples=25)
@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50), st.booleans()), min_size=1, max_size=12),
)
def test_failures_in_between_change_no_delta(steps):
    """Readings of three counters, some commits fail and are sent again: the same sums as without failures."""
    with Store.open() as store:
        intake = Intake(store, clock=lambda: END_NS + 60 * STEP_NS)
        intake.start()
        source = Source.of(load_preset("opentelemetry-network"), "default")
        append, readings, expected = store.append, {}, 0
        for tick, (which, growth, fails) in enumerate(steps):
            expected += growth if which in readings else 0
            readings[which] = readings.get(which, 100) + growth
            body = counter(readings[which], tick, f"w{which}x")
            if fails:
                store.append = _raise
                with pytest.raises(ServiceError):
                    intake.submit(body, "otlp_proto", source, "test").result(10)
                store.append = append
            assert intake.submit(body, "otlp_proto", source, "test").result(10).accepted == 1
        intake.stop()
        assert sum(store.totals().values()) == expected


def _raise(*_: object, **__: object) -> None:
    raise ServiceError("injected")


def test_senders_side_by_side_over_a_store_that_fails_in_the_middle_of_its_transactions(kept, source, monkeypatch):
    """Real rollbacks: a third of the transactions fail after their samples were written, whoever is in them."""
    rng, write = random.Random(1), store_module.append.append

    def failing(*arguments: object, **named: object) -> object:
        done = write(*arguments, **named)
        if rng.random() < 1 / 3:
            raise duckdb.IOException("No space left on device")
        return done

    monkeypatch.setattr(store_module.append, "append", failing)
    growths = {f"w{at}x": [random.Random(at).randrange(100) for _ in range(20)] for at in range(5)}

    def send(workload: str) -> None:
        reading = 1000
        for tick, growth in enumerate(growths[workload]):
            reading += growth
            for body in (counter(reading, tick, workload), delta(growth, tick, workload + "d")):
                while True:
                    try:
                        sent(kept, source, body)
                        break
                    except ServiceError as error:
                        assert "No space left" in str(error)

    senders = [threading.Thread(target=send, args=(workload,)) for workload in growths]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join(60)
    assert kept.sum == sum(sum(growth) + sum(growth[1:]) for growth in growths.values())
    assert kept.intake.counts().commit_failures > 10
    assert kept.store.ask("SELECT count(*), count(DISTINCT series) FROM " + table_of_samples(kept)) == [(200, 10)]


def test_a_body_on_which_the_store_chokes_costs_no_other(gate, kept, source):
    """Whatever raises, but does not say that the store is down, is looked for body by body."""
    gate.fails = [None, ValueError("choked"), None, ValueError("choked"), None]
    futures = behind(gate, kept, source, [delta(1), counter(10, 0), delta(2, tick=1), counter(30, 1)])
    assert futures[0].result(10).accepted == 1
    assert futures[1].result(10).accepted == 1
    with pytest.raises(ServiceError, match="choked"):
        futures[2].result(10)
    assert futures[3].result(10).accepted == 1
    assert gate.sizes == [1, 3, 1, 1, 1]
    assert kept.sum == 21


def test_a_decoder_that_breaks_costs_its_own_body(kept, source, monkeypatch):
    sent(kept, source, counter(10, 0))
    session = kept.intake._session(source)
    decode = session.decode

    def broken(name, body, **options):
        decode(name, body, **options)  # moves the counters, then breaks
        raise ZeroDivisionError

    monkeypatch.setattr(session, "decode", broken)
    with pytest.raises(DecodeError):
        sent(kept, source, counter(15, 1))
    monkeypatch.setattr(session, "decode", decode)
    assert sent(kept, source, counter(15, 1)).accepted == 1
    assert kept.sum == 5
    assert kept.intake.counts().bugs == 1
    assert kept.intake.is_alive


def test_a_restart_goes_on_where_the_store_left_off(tmp_path, source):
    path = tmp_path / "e.duckdb"
    for reading, tick in ((100, 0), (130, 1), (135, 2)):
        with Store.open(path) as store:
            intake = Intake(store, clock=lambda: END_NS + 90 * SECOND_NS)
            intake.start()
            intake.submit(counter(reading, tick), "otlp_proto", source, "test").result(10)
            intake.stop()
    with Store.open(path) as store:
        assert sum(store.totals().values()) == 35


def test_a_counter_may_come_by_another_listener(kept, source):
    other = Source.of(load_preset("opentelemetry-network"), "default")
    sent(kept, source, counter(10, 0))
    sent(kept, other, counter(17, 1))
    assert kept.sum == 7


def test_a_full_queue_says_so_at_once(make_kept, source, monkeypatch):
    kept = make_kept(IntakeSettings(waiting_bodies=3))
    gate = Gate(kept.store, monkeypatch)
    first = kept.intake.submit(delta(1), "otlp_proto", source, "test")
    assert gate.entered.wait(10)
    waiting = [kept.intake.submit(delta(1, tick=at), "otlp_proto", source, "test") for at in range(3)]
    with pytest.raises(Refusal) as caught:
        kept.intake.submit(delta(1), "otlp_proto", source, "test")
    assert caught.value.reason is Reason.BUSY
    gate.opened.set()
    wait([first, *waiting], 10)
    assert kept.intake.room.held == 0


def test_bytes_are_bounded_too(make_kept, source, monkeypatch):
    body = delta(1)
    kept = make_kept(IntakeSettings(waiting=2 * len(body)))
    gate = Gate(kept.store, monkeypatch)
    futures = [kept.intake.submit(body, "otlp_proto", source, "test")]
    assert gate.entered.wait(10)
    futures.append(kept.intake.submit(body, "otlp_proto", source, "test"))
    with pytest.raises(Refusal):
        kept.intake.submit(body, "otlp_proto", source, "test")
    gate.opened.set()
    wait(futures, 10)
    assert kept.intake.room.held == 0


def test_a_commit_is_bounded_by_points_and_bytes(make_kept, source, monkeypatch):
    for limits in ({"commit_points": 2}, {"commit": len(delta(1)) + 1}):
        kept = make_kept(IntakeSettings(**limits))
        gate = Gate(kept.store, monkeypatch)
        for future in behind(gate, kept, source, [delta(1, tick=at) for at in range(6)]):
            future.result(10)
        assert gate.sizes == [1, 2, 2, 1]


def test_what_waits_is_decoded_in_the_order_of_time(gate, kept, source):
    """A collector drains its queue with ten consumers: its readings overtake each other."""
    bodies = [counter(100, 0), *(counter(100 + at * at, at) for at in (3, 1, 5, 2, 4))]
    receipts = [future.result(10) for future in behind(gate, kept, source, bodies)]
    assert [one.ignored for one in receipts] == [{}] * 6
    assert sorted(value for (value,) in stored(kept, "value") if value == value) == [1, 3, 5, 7, 9]


def stored(kept, what: str) -> list[tuple]:
    return kept.store.ask(f"SELECT {what} FROM {table_of_samples(kept)}")


def table_of_samples(kept) -> str:
    [(table,)] = kept.store.ask("SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'samples_%'")
    return str(table)


def test_one_that_nobody_waits_for_is_left_out(gate, kept, source):
    first = kept.intake.submit(delta(1), "otlp_proto", source, "test")
    assert gate.entered.wait(10)
    given_up = kept.intake.submit(delta(2, tick=1), "otlp_proto", source, "test")
    last = kept.intake.submit(delta(4, tick=2), "otlp_proto", source, "test")
    assert given_up.cancel()
    gate.opened.set()
    wait([first, last], 10)
    with pytest.raises(CancelledError):
        given_up.result()
    assert kept.sum == 5
    assert kept.intake.room.held == 0


def test_stop_commits_what_waits_and_takes_no_more(gate, kept, source):
    first = kept.intake.submit(delta(1), "otlp_proto", source, "test")
    assert gate.entered.wait(10)
    second = kept.intake.submit(delta(2, tick=1), "otlp_proto", source, "test")
    stopping = threading.Thread(target=kept.intake.stop)
    stopping.start()
    gate.opened.set()
    stopping.join(10)
    assert first.result(0).accepted == second.result(0).accepted == 1
    with pytest.raises(Refusal, match="stopping"):
        kept.intake.submit(delta(4, tick=2), "otlp_proto", source, "test")
    assert kept.sum == 3
    [(text,)] = kept.store.ask("SELECT counts FROM provenance")
    assert '"accepted": 2' in text


def test_points_from_a_wrong_clock_are_rejected_and_move_no_counter(kept, source):
    sent(kept, source, counter(10, 0))
    assert sent(kept, source, counter(99, 10_000)).rejected == {"in_future": 1}
    sent(kept, source, counter(15, 1))
    assert kept.sum == 5


def test_clusters_are_heard_with_their_newest_sample(kept, source):
    sent(kept, source, delta(1, tick=1))
    sent(kept, source, delta(1, tick=0))
    other = {**EDGE, "source.environment": "prod-us"}
    sent(kept, source, proto([Point(labels=other)]))
    heard = kept.intake.heard()
    assert {cluster: one.newest_end_ns for cluster, one in heard.items()} == {
        "prod-eu": END_NS + STEP_NS,
        "prod-us": END_NS,
    }
    assert all(one.arrived_ns == END_NS + 60 * SECOND_NS for one in heard.values())


def test_a_heartbeat_alone_is_stored_and_heard(kept, source):
    receipt = sent(kept, source, proto([Point("ebpf_net.up", 1, {"k8s.cluster.name": "quiet"}, kind="gauge")]))
    assert receipt.ignored == {"heartbeat": 1}
    assert kept.intake.heard()["quiet"].newest_end_ns == 0
    assert kept.store.ask("SELECT cluster FROM coverage") == [("quiet",)]


def test_an_empty_body_is_a_success_without_a_commit(kept, source):
    assert sent(kept, source, b"").accepted == 0
    assert kept.intake.counts().commits == 1
    assert kept.intake.counts().stored == 0


def test_sources_share_the_memory_of_series(kept, monkeypatch):
    monkeypatch.setattr("ebbtide.receive.intake.SERIES_MAX", 30)
    one, two = (Source.of(load_preset("opentelemetry-network"), name) for name in ("c1", "c2"))
    for at in range(20):
        sent(kept, one, delta(1, workload=f"w{at}x"))
    limits = [kept.intake._session(source).catalog.series_max for source in (two, one)]
    assert limits == [15, 30]
    for at in range(50):  # more than there is room for: parsed again, never wrong
        assert sent(kept, two, delta(1, tick=1, workload=f"w{at % 25}x")).accepted == 1
    assert kept.sum == 45


@settings(STEADY, max_examples=150)
@given(bodies=st.lists(st.one_of(st.binary(max_size=80), st.just(delta(1)), st.just(hec([Point()]))), max_size=5))
def test_any_bytes_are_answered_and_the_keeper_lives(fuzzed, bodies):
    intake, source = fuzzed
    names = ("otlp_proto", "otlp_json", "hec", "remote_write")
    futures = [intake.submit(body, name, source, "test") for body in bodies for name in names]
    for future in futures:
        assert isinstance(future.exception(10), DecodeError | None)
    assert intake.is_alive
    assert intake.room.held == 0
    assert intake.counts().bugs == 0


@pytest.fixture(scope="module")
def fuzzed():
    with Store.open() as store:
        intake = Intake(store, clock=lambda: END_NS + 60 * SECOND_NS)
        intake.start()
        yield intake, Source.of(load_preset("opentelemetry-network"), "default")
        intake.stop()


def test_the_time_of_each_body_is_witnessed(source):
    heard: list[int] = []
    with Store.open() as store:
        intake = Intake(store, clock=lambda: END_NS + 60 * SECOND_NS, witness=heard.append)
        intake.start()
        intake.submit(proto([Point()]), "otlp_proto", source, "test").result(30)
        intake.submit(b"", "otlp_proto", source, "test").result(30)
        intake.stop()

    assert heard == [END_NS]
