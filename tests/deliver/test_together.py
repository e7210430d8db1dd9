"""Several deliveries in one call: what arrives, in what order, and what becomes of what does not."""

import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from delivery_samples import delivery
from fake_peers import peer
from finding_samples import NOON_NS
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.deliver.memory import MemorySink
from ebbtide.deliver.message import queue
from ebbtide.deliver.pump import MOST_TOGETHER, Lane, pump
from ebbtide.deliver.sink import Delivery, Held, Permanent, Retryable, Together
from ebbtide.deliver.sinks import SINKS, load_sinks
from ebbtide.deliver.together import RefusedFrom, in_lists, side_by_side
from ebbtide.finding.lifecycle import Change, Episode
from ebbtide.series import SECOND_NS
from ebbtide.store.outbox import Outbox
from ebbtide.store.store import Store

LINES = load_sinks("sinks: {a: {type: lines, path: x}}", "e", {}, str)
SETTINGS = {
    "webhook": "allow_private: true, in_flight: 3",
    "alertmanager": "",
    "splunk_hec": "token: '${env:TOKEN}', allow_plaintext: true",
    "otlp_logs": "",
}


def of(uid: str, change: Change = Change.OPENED, number: int = 0) -> Delivery:
    one = delivery(change)
    return dataclasses.replace(one, id=f"{uid}/{number}", finding=dataclasses.replace(one.finding, uid=uid))


def several(count: int) -> list[Delivery]:
    return [of(f"u{at}", number=at) for at in range(count)]


def opened(kind: str, port: int):
    keys = ", ".join(key for key in (f"type: {kind}, url: 'http://127.0.0.1:{port}'", SETTINGS[kind]) if key)
    return load_sinks(f"sinks: {{s: {{{keys}}}}}", "e.yaml", {"TOKEN": "t"}, str)["s"].open()


class Many(MemorySink):
    """Takes several, and fails where it is told: by the delivery's id."""

    def __init__(self, faults: dict[str, Exception], *, is_list: bool = False) -> None:
        super().__init__()
        self.faults, self.is_list, self.calls = faults, is_list, 0

    def send(self, delivery: Delivery, now_ns: int) -> None:
        fault = self.faults.get(delivery.id)
        if fault is not None:
            raise fault
        super().send(delivery, now_ns)

    def send_together(self, deliveries, now_ns):
        self.calls += 1
        if self.is_list:
            return in_lists(deliveries, lambda part: self._all(part, now_ns))
        return side_by_side(deliveries, [lambda one: self.send(one, now_ns)] * 3)

    def _all(self, part, now_ns: int) -> None:
        for one in part:
            if one.id in self.faults:
                raise self.faults[one.id]
        for one in part:
            super().send(one, now_ns)


@contextmanager
def keeping(
    answer: Callable[[bytes], bytes], *, closes_after: int = 1000
) -> Iterator[tuple[int, list[int], list[bytes]]]:
    """A receiver that keeps connections open, for so many requests; its port, requests by connection, and bodies."""
    counts: list[int] = []
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            self.place = len(counts)
            counts.append(0)

        def do_POST(self) -> None:
            counts[self.place] += 1
            body = self.rfile.read(int(self.headers["Content-Length"]))
            bodies.append(body)
            said = answer(body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)
            self.close_connection = self.close_connection or counts[self.place] >= closes_after  # without a word

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port, counts, bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_takes_several_is_known():
    together = {kind for kind, model in SINKS.items() if kind in SETTINGS and isinstance(opened(kind, 1), Together)}
    assert together == set(SETTINGS)
    assert isinstance(LINES["a"].open(), Together)


@pytest.mark.parametrize("kind", ["alertmanager", "splunk_hec", "otlp_logs"])
def test_a_list_is_one_request_and_an_update_of_a_finding_another(kind):
    told = [*several(5), of("u1", Change.UPDATED, 9)]
    with keeping(lambda _: b'{"code": 0}') as (port, counts, bodies):
        assert opened(kind, port).send_together(told, NOON_NS) == [None] * 6
    assert counts == [2]
    assert [body.count(b"u1") > 0 for body in bodies] == [True, True]
    if kind == "alertmanager":
        assert [len(json.loads(body)) for body in bodies] == [5, 1]
    elif kind == "splunk_hec":
        assert [[json.loads(line)["event"]["orig_rid"] for line in body.splitlines()] for body in bodies] == [
            [one.id for one in told[:5]],
            ["u1/9"],
        ]
    else:
        records = [json.loads(body)["resourceLogs"][0]["scopeLogs"][0]["logRecords"] for body in bodies]
        assert [len(one) for one in records] == [5, 1]


@pytest.mark.parametrize("closes_after", [1000, 1, 2])
def test_a_webhook_posts_each_over_few_connections_whether_or_not_they_stay(closes_after):
    told = [*several(20), *(of(f"u{at}", Change.UPDATED, 100 + at) for at in range(20))]
    with keeping(lambda _: b"", closes_after=closes_after) as (port, counts, bodies):
        assert opened("webhook", port).send_together(told, NOON_NS) == [None] * 40
    seen = [json.loads(body) for body in bodies]
    assert sorted(one["id"] for one in seen) == sorted(one.id for one in told)
    for at in range(20):
        assert [one["change"] for one in seen if one["finding"]["uid"] == f"u{at}"] == ["opened", "updated"]
    assert len(counts) == (3 if closes_after == 1000 else 40 if closes_after == 1 else len(counts))


def test_deliveries_are_under_way_at_the_same_time():
    gate = threading.Barrier(3, timeout=20)

    def answer(_: bytes) -> bytes:
        gate.wait()  # breaks, and with it the test, unless three requests are there at once
        return b""

    with keeping(answer) as (port, _, bodies):
        assert opened("webhook", port).send_together(several(3), NOON_NS) == [None] * 3
    assert len(bodies) == 3


@pytest.mark.parametrize("kind", SETTINGS)
def test_an_unwell_peer_fails_the_first_and_holds_the_others_within_its_time(kind):
    with peer() as server:
        server.mode = 503
        started = time.monotonic()
        outcomes = opened(kind, server.port).send_together(several(12), NOON_NS)
        assert time.monotonic() - started < 9
        tried = [one for one in outcomes if not isinstance(one, Held)]
        assert all(isinstance(one, Retryable) for one in outcomes)
        assert isinstance(outcomes[0], Retryable)
        assert 1 <= len(tried) <= 3
        assert len(server.requests) == len(tried)


@pytest.mark.parametrize("is_list", [False, True])
def test_one_that_is_refused_dies_alone(is_list):
    sink = Many({"u2/2": Permanent("no")}, is_list=is_list)
    outcomes = sink.send_together(several(5), NOON_NS)
    assert [type(one) for one in outcomes] == [type(None), type(None), Permanent, type(None), type(None)]
    assert sorted(one.id for one in sink.deliveries) == ["u0/0", "u1/1", "u3/3", "u4/4"]


def test_splunk_says_which_event_of_a_list_it_refused_and_gets_no_risk_twice():
    taken: list[str] = []

    def answer(body: bytes) -> bytes:
        ids = [json.loads(line)["event"]["orig_rid"] for line in body.splitlines()]
        place = ids.index("u2/2") if "u2/2" in ids else None
        taken.extend(ids[:place])
        return json.dumps({"code": 0} if place is None else {"code": 6, "invalid-event-number": place}).encode()

    with keeping(answer) as (port, _, _):
        outcomes = opened("splunk_hec", port).send_together(several(5), NOON_NS)
    assert [type(one) for one in outcomes] == [type(None), type(None), RefusedFrom, type(None), type(None)]
    assert taken == ["u0/0", "u1/1", "u3/3", "u4/4"]


def test_a_failure_within_a_finding_holds_its_later_changes():
    told = [of("a"), of("a", Change.UPDATED, 1), of("a", Change.CLOSED, 2)]
    outcomes = Many({"a/1": Retryable("busy")}).send_together(told, NOON_NS)
    assert [type(one) for one in outcomes] == [type(None), Retryable, Held]


@contextmanager
def waiting(findings: int, changes: int = 1) -> Iterator[Outbox]:
    kinds = [Change.OPENED, *[Change.UPDATED] * (changes - 1)]
    one = delivery().finding
    with Store.open() as store:
        told = [(kind, Episode(dataclasses.replace(one, uid=f"u{at}"), 1)) for kind in kinds for at in range(findings)]
        queue(store.outbox, told, LINES, NOON_NS)
        yield store.outbox


def test_what_arrived_together_is_noted_in_one_transaction():
    with waiting(10) as outbox:
        begun = []
        transaction = outbox._transaction
        outbox._transaction = lambda: (begun.append(1), transaction())[1]
        report = pump(outbox, {"a": Lane(Many({}))}, NOON_NS, lambda: 0.5)["a"]
        assert (report.delivered, report.waiting, report.next_ns, len(begun)) == (10, 0, None, 1)
        assert outbox.counts("a")["delivered"] == 10


def test_one_that_fails_keeps_its_place_and_alone_is_counted():
    with waiting(MOST_TOGETHER + 1) as outbox:
        first = outbox.head("a", 1)[0]
        sink = Many({f"u0/{first.number}": Retryable("busy", retry_after_s=30)}, is_list=True)
        report = pump(outbox, {"a": Lane(sink)}, NOON_NS, lambda: 0.5)["a"]
        assert (report.delivered, report.failed, report.waiting) == (0, 1, MOST_TOGETHER + 1)
        assert report.next_ns == NOON_NS + 30 * SECOND_NS
        assert [one.attempts for one in outbox.head("a", 3)] == [1, 0, 0]
        sink.faults.clear()
        assert pump(outbox, {"a": Lane(sink)}, report.next_ns, lambda: 0.5)["a"].delivered == MOST_TOGETHER


def test_a_fault_of_a_sink_that_takes_several_is_told_under_its_name():
    class Faulty(Many):
        def send_together(self, deliveries, now_ns):
            raise ZeroDivisionError("oops")

    with waiting(3) as outbox:
        report = pump(outbox, {"a": Lane(Faulty({}))}, NOON_NS, lambda: 0.5)["a"]
        assert report.error == "the sink a is at fault: ZeroDivisionError: oops"
        assert (report.waiting, report.failed) == (3, 1)


FAULTS = st.sampled_from([None, Retryable("busy"), Permanent("no"), ValueError("bug")])


@settings(max_examples=25, deadline=None)
@given(st.lists(FAULTS, min_size=8, max_size=8), st.booleans())
def test_whatever_fails_changes_of_a_finding_arrive_in_order_or_are_dead(faults, is_list):
    with waiting(4, changes=2) as outbox:
        rows = outbox.head("a", 99)
        bad = {f"{row.uid}/{row.number}": fault for row, fault in zip(rows, faults, strict=True) if fault}
        sink = Many(bad, is_list=is_list)
        pump(outbox, {"a": Lane(sink)}, NOON_NS, lambda: 0.5)
        sink.faults = {key: one for key, one in bad.items() if isinstance(one, Permanent)}
        for step in range(1, 5):
            pump(outbox, {"a": Lane(sink)}, NOON_NS + step * 600 * SECOND_NS, lambda: 0.5)
        numbers = [int(one.id.split("/")[1]) for one in sink.deliveries]
        dead = [one.row.number for one in outbox.dead("a")]
        assert sorted([*numbers, *dead]) == [row.number for row in rows]
        for uid in {row.uid for row in rows}:
            own = [int(one.id.split("/")[1]) for one in sink.deliveries if one.finding.uid == uid]
            assert own == sorted(own)
