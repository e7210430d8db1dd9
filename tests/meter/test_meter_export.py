"""Sending: HTTP and gRPC on loopback, and a receiver that is away for an hour of a simulated clock."""

from __future__ import annotations

import gzip
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.errors import ServiceError, UsageError
from ebbtide.meter.export import Answer, Exporter, GrpcSender, HttpSender, Outcome, Target, sender_for
from ebbtide.meter.otlp import Body


class Receiver:
    """An OTLP/HTTP receiver that keeps what it got and answers with `status`."""

    def __init__(self):
        self.bodies, self.headers, self.status, self.answer = [], [], 200, b""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                data = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers.append((self.path, dict(self.headers)))
                if receiver.status == 200:
                    receiver.bodies.append(gzip.decompress(data))
                self.send_response(receiver.status)
                self.send_header("Content-Length", str(len(receiver.answer)))
                if receiver.status == 429:
                    self.send_header("Retry-After", "30")
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    served = Receiver()
    yield served
    served.close()


class FakeSender:
    """Answers what it is told; `sent` are the bodies it took."""

    def __init__(self):
        self.sent, self.answer, self.calls = [], Answer(Outcome.SENT), 0

    def send(self, packed):
        self.calls += 1
        if self.answer.outcome is Outcome.SENT:
            self.sent.append(gzip.decompress(packed))
        return self.answer

    def close(self):
        pass


def test_http_posts_compressed_protobuf(receiver):
    sender = HttpSender(Target(receiver.url, headers=(("authorization", "Bearer x"),)))
    answers = [sender.send(gzip.compress(body)) for body in (b"one", b"two")]
    sender.close()
    assert [answer.outcome for answer in answers] == [Outcome.SENT] * 2
    assert receiver.bodies == [b"one", b"two"]
    path, headers = receiver.headers[0]
    assert (path, headers["Content-Type"], headers["authorization"]) == (
        "/v1/metrics",
        "application/x-protobuf",
        "Bearer x",
    )


@pytest.mark.parametrize(
    ("status", "outcome", "wait"),
    [
        (503, Outcome.LATER, None),
        (429, Outcome.LATER, 30.0),
        (400, Outcome.REFUSED, None),
        (401, Outcome.REFUSED, None),
    ],
)
def test_http_answers_are_told_apart(receiver, status, outcome, wait):
    receiver.status = status
    sender = HttpSender(Target(receiver.url))
    answer = sender.send(gzip.compress(b"x"))
    sender.close()
    assert (answer.outcome, answer.retry_after_s) == (outcome, wait)
    assert str(status) in answer.error


def test_nobody_listening_is_for_later(receiver):
    receiver.close()
    answer = HttpSender(Target(receiver.url, timeout_s=1.0)).send(b"")
    assert answer.outcome is Outcome.LATER
    receiver.__init__()


def test_grpc_sends_the_same_bytes():
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    got = []

    class Handler(grpc.GenericRpcHandler):
        def service(self, details):
            got.append(details.method)
            return grpc.unary_unary_rpc_method_handler(lambda body, _: got.append(body) or b"")

    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sender = GrpcSender(Target(f"grpc://127.0.0.1:{port}", headers=(("x-tenant", "a"),)))
    assert sender.send(gzip.compress(b"body")) == Answer(Outcome.SENT)
    server.stop(None).wait()
    later = sender.send(gzip.compress(b"body"))
    sender.close()
    assert got == ["/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", b"body"]
    assert later.outcome is Outcome.LATER


def test_without_grpcio_the_install_line_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(ServiceError) as caught:
        sender_for(Target("grpc://localhost:4317"))
    assert "pip install grpcio" in caught.value.hint


def test_other_endpoints_are_refused():
    with pytest.raises(UsageError, match="not an OTLP endpoint"):
        sender_for(Target("localhost:4318"))


def test_an_hour_away_loses_nothing_that_fits_and_keeps_the_order():
    sender = FakeSender()
    exporter = Exporter(sender, chance=lambda: 1.0)
    sender.answer = Answer(Outcome.LATER, error="away")
    for second in range(0, 3600, 10):
        exporter.put(Body(b"body %d" % second, 100))
        exporter.flush(float(second))
    assert exporter.waiting_points == 36_000
    assert sender.calls < 70  # a minute between tries at most, not one each interval
    sender.answer = Answer(Outcome.SENT)
    for second in range(3600, 3800, 10):
        exporter.flush(float(second))
    assert sender.sent == [b"body %d" % second for second in range(0, 3600, 10)]
    assert (exporter.counts.sent, exporter.waiting_points, exporter.waiting_bytes) == (36_000, 0, 0)


def test_beyond_the_limit_the_oldest_leave_and_are_counted():
    sender = FakeSender()
    sender.answer = Answer(Outcome.LATER)
    exporter = Exporter(sender, limit_bytes=1000)
    for number in range(200):
        exporter.put(Body(b"%d" % number, 1))
    assert exporter.waiting_bytes <= 1000
    assert exporter.counts.dropped_full + exporter.waiting_points == 200
    sender.answer = Answer(Outcome.SENT)
    exporter.flush(1e9, limit=1000)
    assert sender.sent[-1] == b"199"


def test_what_is_refused_is_dropped_and_counted():
    sender = FakeSender()
    exporter = Exporter(sender)
    exporter.put(Body(b"x", 7))
    sender.answer = Answer(Outcome.REFUSED, error="HTTP 400")
    exporter.flush(0.0)
    assert (exporter.counts.dropped_refused, exporter.counts.last_error, exporter.waiting_points) == (7, "HTTP 400", 0)


def test_rejected_points_are_counted():
    sender = FakeSender()
    sender.answer = Answer(Outcome.SENT, rejected=2)
    exporter = Exporter(sender)
    exporter.put(Body(b"x", 7))
    exporter.flush(0.0)
    assert (exporter.counts.sent, exporter.counts.rejected) == (7, 2)


def test_a_receiver_may_ask_for_more_patience():
    sender = FakeSender()
    sender.answer = Answer(Outcome.LATER, retry_after_s=30.0)
    exporter = Exporter(sender)
    exporter.put(Body(b"x", 1))
    exporter.flush(0.0)
    exporter.flush(29.0)
    assert sender.calls == 1
    exporter.flush(31.0)
    assert sender.calls == 2


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.integers(1, 50)), max_size=40))
def test_every_point_is_sent_dropped_or_waiting(steps):
    sender = FakeSender()
    exporter = Exporter(sender, limit_bytes=200)
    put = 0
    for second, (outcome, points) in enumerate(steps):
        sender.answer = Answer(outcome)
        exporter.put(Body(bytes(points), points))
        put += points
        exporter.flush(second * 100.0)
    counts = exporter.counts
    assert counts.sent + counts.dropped_full + counts.dropped_refused + exporter.waiting_points == put
