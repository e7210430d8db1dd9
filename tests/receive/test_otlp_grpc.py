"""OTLP over gRPC: statuses, RetryInfo, packed messages, senders that never come to the point."""

from __future__ import annotations

import threading
import time

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from requests_of_decode import Point, proto, request

from ebbtide.errors import ServiceError
from ebbtide.receive.otlp_grpc import METHOD, MetricsHandler, _peer
from ebbtide.receive.settings import IntakeSettings, Token
from ebbtide.receive.tokens import digest_of

GOOD, BAD = Point(value=5), Point(value=-1)


@pytest.fixture
def dial():
    opened = []

    def make(server, **options: object) -> grpc.Channel:
        opened.append(grpc.insecure_channel(f"127.0.0.1:{server.port}", **options))
        return opened[-1]

    yield make
    for channel in opened:
        channel.close()


def error(channel: grpc.Channel, body: bytes, **options: object) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(METHOD)(body, timeout=10, **options)
    return caught.value


def retry_s(failed: grpc.RpcError) -> float | None:
    """What the error's RetryInfo says; None if it has none: then an OTLP sender drops what is RESOURCE_EXHAUSTED."""
    for key, value in failed.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert status.code == failed.code().value[0]
            retry = error_details_pb2.RetryInfo()
            if status.details and status.details[0].Unpack(retry):
                return retry.retry_delay.seconds
    return None


def test_the_published_client_is_answered(listen, kept, dial):
    stub = MetricsServiceStub(dial(listen(kept, "otlp_grpc")))
    assert not stub.Export(request([GOOD])).HasField("partial_success")
    partial = stub.Export(request([GOOD, BAD])).partial_success
    assert (partial.rejected_data_points, partial.error_message) == (1, "1 point rejected: 1 negative")
    assert not stub.Export(request([])).HasField("partial_success")
    assert kept.sum == 5


@pytest.mark.parametrize(
    "compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip, grpc.Compression.Deflate]
)
def test_packed_messages(listen, kept, dial, compression):
    stub = MetricsServiceStub(dial(listen(kept, "otlp_grpc"), compression=compression))
    many = [Point(value=1, labels={"source.workload.name": f"w{at}x", "source.process.name": "p"}) for at in range(200)]
    stub.Export(request(many))
    assert kept.intake.counts().traffic["otlp_grpc"].points.received == 200


def test_a_bomb_is_refused_without_being_unpacked(listen, kept, dial):
    server = listen(kept, "otlp_grpc", limits={"body": "8MiB"})
    failed = error(dial(server, compression=grpc.Compression.Gzip), bytes(200 * 1024 * 1024))
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_s(failed) is None
    assert kept.intake.room.held == 0


def test_too_large_is_not_sent_again(listen, kept, dial):
    server = listen(kept, "otlp_grpc", limits={"body": "1MiB"})
    failed = error(dial(server), bytes(2 * 1024 * 1024))
    assert failed.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert retry_s(failed) is None
    assert MetricsServiceStub(dial(server)).Export(request([GOOD])) == ExportMetricsServiceResponse()


def test_more_than_the_librarys_usual_4_mib_is_taken(listen, kept, dial):
    body = proto([Point(value=1, labels={"source.workload.name": "w" * 400, "x": str(at)}) for at in range(12_000)])
    assert len(body) > 5 * 1024 * 1024
    assert dial(listen(kept, "otlp_grpc")).unary_unary(METHOD)(body, timeout=20) == b""


def test_bad_data_is_not_sent_again(listen, kept, dial):
    failed = error(dial(listen(kept, "otlp_grpc")), b"\xff" * 9)
    assert failed.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert retry_s(failed) is None


def test_a_store_that_fails_is_told_as_come_again(listen, kept, dial, monkeypatch):
    channel = dial(listen(kept, "otlp_grpc"))

    def fail(*_: object, **__: object) -> None:
        raise ServiceError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(kept.store, "append", fail)
        failed = error(channel, proto([GOOD]))
        assert failed.code() is grpc.StatusCode.UNAVAILABLE
        assert retry_s(failed) == 5
    assert channel.unary_unary(METHOD)(proto([GOOD]), timeout=10) == b""
    assert kept.sum == 5


def test_a_slow_store_is_told_as_come_again_in_time(listen, kept, dial, monkeypatch):
    channel = dial(listen(kept, "otlp_grpc", limits={"answer_time": 0.2}))
    opened, append = threading.Event(), kept.store.append

    def slow(*arguments: object, **named: object) -> object:
        opened.wait(10)
        return append(*arguments, **named)

    monkeypatch.setattr(kept.store, "append", slow)
    failed = error(channel, proto([GOOD]))
    opened.set()
    assert failed.code() is grpc.StatusCode.UNAVAILABLE and retry_s(failed) == 5
    assert kept.intake.counts().traffic["otlp_grpc"].answered_late == 1


def test_no_room_is_told_as_come_again(listen, make_kept, dial):
    kept = make_kept(IntakeSettings(waiting=100))
    failed = error(dial(listen(kept, "otlp_grpc")), proto([GOOD]))
    assert failed.code() is grpc.StatusCode.UNAVAILABLE and retry_s(failed) == 5
    assert kept.intake.room.held == 0


def test_tokens(listen, kept, dial):
    tokens = [
        Token(name="a", sha256=digest_of("secret"), cluster="pinned"),
        Token(name="ui", sha256=digest_of("ui"), scopes=["read"]),
    ]
    channel = dial(listen(kept, "otlp_grpc", tokens=tokens))
    for secret in ("", "Bearer wrong"):
        failed = error(channel, proto([GOOD]), metadata=(("authorization", secret),))
        assert failed.code() is grpc.StatusCode.UNAUTHENTICATED
    failed = error(channel, proto([GOOD]), metadata=(("authorization", "Bearer ui"),))
    assert failed.code() is grpc.StatusCode.PERMISSION_DENIED
    channel.unary_unary(METHOD)(proto([GOOD]), timeout=10, metadata=(("authorization", "Bearer secret"),))
    assert set(kept.intake.heard()) == {"pinned"}


def test_networks(listen, kept, dial):
    near = listen(kept, "otlp_grpc", ingest_without_token=["127.0.0.0/8"], cluster="edge")
    far = listen(kept, "otlp_grpc", ingest_without_token=["10.0.0.0/8"], cluster="edge")
    assert dial(near).unary_unary(METHOD)(proto([GOOD]), timeout=10) == b""
    assert error(dial(far), proto([GOOD])).code() is grpc.StatusCode.PERMISSION_DENIED


def test_a_sender_that_never_sends_its_message_is_cut(listen, kept, dial):
    """With one worker it would block all others."""
    server = listen(kept, "otlp_grpc", limits={"workers": 1, "body_time": 0.3})
    done = threading.Event()

    def nothing():
        done.wait(10)
        yield b""

    began = time.monotonic()
    with pytest.raises(grpc.RpcError):
        dial(server).stream_unary(METHOD)(nothing(), timeout=10)
    done.set()
    assert time.monotonic() - began < 5
    assert dial(server).unary_unary(METHOD)(proto([GOOD]), timeout=10) == b""


def test_other_methods_are_not_there(listen, kept, dial):
    traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    with pytest.raises(grpc.RpcError) as caught:
        dial(listen(kept, "otlp_grpc")).unary_unary(traces)(b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_unforeseen_error_is_no_success(listen, kept, dial, monkeypatch):
    channel = dial(listen(kept, "otlp_grpc"))
    monkeypatch.setattr(kept.intake, "submit", lambda *_: 1 / 0)
    assert error(channel, proto([GOOD])).code() is grpc.StatusCode.UNAVAILABLE
    assert kept.intake.counts().bugs == 1


def test_peers():
    assert _peer("ipv4:10.0.0.1:4242") == "10.0.0.1"
    assert _peer("ipv6:%5B::1%5D:4242") == "::1"
    assert _peer("unix:/tmp/x") == ""
    assert MetricsHandler
