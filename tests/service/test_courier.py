import io
import json
import threading
import time
from collections.abc import Callable
from typing import ClassVar

from finding_samples import sample

from ebbtide.deliver.memory import FaultySink, MemorySink
from ebbtide.deliver.message import queue
from ebbtide.deliver.sink import Retryable, Sink, SinkSettings
from ebbtide.finding.lifecycle import Change, Episode
from ebbtide.service.courier import Courier
from ebbtide.store.outbox import Bounds
from ebbtide.store.store import Store
from ebbtide.telemetry import Log


class Given(SinkSettings):
    """Settings of a sink that a test made."""

    kind: ClassVar[str] = "given"
    sinks: ClassVar[list[Sink]] = []

    def open(self) -> Sink:
        return self.sinks.pop()


def until(is_so: Callable[[], bool], longest_s: float = 20) -> None:
    ends = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < ends
        threading.Event().wait(0.005)


def courier_of(store: Store, sink: Sink, log: Log) -> Courier:
    Given.sinks.append(sink)
    return Courier(store, "s", Given(), Bounds(), time.time_ns, lambda: 0.0, log)


def queued(store: Store, *changes: Change) -> None:
    with store.transaction():
        queue(store.outbox, [(one, Episode(sample(), 1)) for one in changes], {"s": Given()}, time.time_ns())


def test_what_is_queued_is_delivered_in_order_and_failures_are_logged_once():
    out = io.StringIO()
    sink = FaultySink([Retryable("busy"), Retryable("busy")])
    with Store.open() as store:
        courier = courier_of(store, sink, Log(out))
        courier.start()
        queued(store, Change.OPENED, Change.UPDATED)
        courier.wake()
        until(lambda: len(sink.deliveries) == 2)
        assert courier.stop()

        assert [one.change for one in sink.deliveries] == [Change.OPENED, Change.UPDATED]
        assert sink.is_closed
        assert store.outbox.counts("s")["delivered"] == 2
    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events == ["sink_failed", "sink_recovered"]


def test_a_sink_that_hangs_is_left_and_its_delivery_waits():
    class Hanging(MemorySink):
        def __init__(self) -> None:
            super().__init__()
            self.is_in, self.may_go = threading.Event(), threading.Event()

        def send(self, delivery, now_ns):
            self.is_in.set()
            self.may_go.wait(20)
            raise Retryable("gone")

    sink = Hanging()
    with Store.open() as store:
        courier = courier_of(store, sink, Log(io.StringIO()))
        queued(store, Change.OPENED)
        courier.start()
        sink.is_in.wait(20)

        assert not courier.stop(patience_s=0.01)
        assert len(store.outbox.head("s", 9)) == 1
        sink.may_go.set()
        assert courier.stop()


def test_a_lane_that_is_gone_is_opened_anew(monkeypatch):
    monkeypatch.setattr("ebbtide.service.courier.LOOK_S", 0.01)
    with Store.open() as store:
        queued(store, Change.OPENED)
        gone = store.lane()
        gone._con.close()
        lanes = [gone]
        fresh = store.lane
        monkeypatch.setattr(store, "lane", lambda: lanes.pop() if lanes else fresh())
        sink = MemorySink()
        courier = courier_of(store, sink, Log(io.StringIO()))
        courier.start()
        until(lambda: len(sink.deliveries) == 1)
        courier.stop()
