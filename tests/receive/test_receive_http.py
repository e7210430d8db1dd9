"""A HTTP listener against what senders do wrong, and what strangers do on purpose; raw sockets where it matters."""

from __future__ import annotations

import contextlib
import gzip
import re
import socket
import threading
import time

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from requests_of_decode import END_NS, STEADY, Point, proto

from ebbtide.errors import ServiceError
from ebbtide.receive.dialect import Request
from ebbtide.receive.http import app
from ebbtide.receive.intake import Intake
from ebbtide.receive.serving import open_listener
from ebbtide.receive.settings import IntakeSettings, Listener, Token
from ebbtide.receive.tokens import digest_of
from ebbtide.store.store import Store

BODY = proto([Point(value=5)])
PROTO = {"content-type": "application/x-protobuf"}
HEAD = "POST /v1/metrics HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"


def url(server) -> str:
    return f"http://127.0.0.1:{server.port}/v1/metrics"


def spoken(server, sent: bytes, *, until_closed: bool = True, timeout_s: float = 10) -> bytes:
    """What a server says to these bytes, until it hangs up."""
    with socket.create_connection(("127.0.0.1", server.port), timeout_s) as peer:
        peer.sendall(sent)
        heard = b""
        try:
            while part := peer.recv(65536):
                heard += part
                if not until_closed and b"\r\n\r\n" in heard:
                    break
        except ConnectionResetError:
            pass
        return heard


def statuses(heard: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1.1 (\d{3})", heard)]


LIMITS = {"header_time": 0.3, "body_time": 0.5, "idle_time": 1, "body": 100_000}


@pytest.fixture
def server(listen, kept):
    return listen(kept, "otlp_http", limits=LIMITS)


@pytest.fixture(scope="module")
def shared():
    """One listener for all that only listen to what it answers."""
    with Store.open() as store:
        intake = Intake(store, clock=lambda: END_NS)
        intake.start()
        server = open_listener(intake, Listener(address="127.0.0.1:0", limits=LIMITS), "otlp_http")
        yield server
        server.stop()
        intake.stop()
        assert intake.counts().bugs == 0
        assert intake.room.held == 0


def test_chunks_and_lengths_are_both_read(server, kept):
    chunked = HEAD + "transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    body = b"".join(
        f"{len(BODY[at : at + 50]):x}\r\n".encode() + BODY[at : at + 50] + b"\r\n" for at in range(0, len(BODY), 50)
    )
    assert statuses(spoken(server, chunked.encode() + body + b"0\r\n\r\n")) == [200]
    assert httpx.post(url(server), content=BODY, headers=PROTO).status_code == 200
    assert kept.sum == 5


def test_one_connection_carries_many_requests(server, kept):
    with httpx.Client() as client:
        for value in range(1, 6):
            body = proto([Point(value=value, labels={"source.workload.name": f"w{value}x"})])
            answer = client.post(url(server), content=body, headers=PROTO)
            assert (answer.status_code, answer.content) == (200, b"")
    pipelined = (HEAD + f"content-length: {len(BODY)}\r\n").encode()
    heard = spoken(server, (pipelined + b"\r\n" + BODY) * 3 + pipelined + b"connection: close\r\n\r\n" + BODY)
    assert statuses(heard) == [200] * 4
    assert kept.intake.counts().traffic["otlp_http"].bodies == 9


@pytest.mark.parametrize(
    ("path", "options", "status"),
    [
        ("/", {}, 404),
        ("/v1/traces", {}, 404),
        ("/v1/metrics/", {}, 404),
        ("/v1/metrics", {"headers": {"content-type": "text/plain"}}, 415),
        ("/v1/metrics", {"headers": {}}, 415),
        ("/v1/metrics", {"headers": PROTO | {"content-encoding": "br"}}, 415),
        ("/v1/metrics", {"headers": PROTO | {"content-encoding": "gzip"}}, 400),
        ("/v1/metrics", {"content": b"\xff" * 10}, 400),
        ("/v1/metrics", {"content": bytes(100_001)}, 413),
    ],
)
def test_what_cannot_be_taken_is_refused_for_good(server, kept, path, options, status):
    options = {"content": BODY, "headers": PROTO} | options
    assert httpx.post(f"http://127.0.0.1:{server.port}{path}", **options).status_code == status
    assert kept.sum == 0
    assert kept.intake.room.held == 0
    assert kept.intake.counts().traffic["otlp_http"].refused.total() == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS"])
def test_other_methods(shared, method):
    answer = httpx.request(method, url(shared))
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_sender_that_announces_too_much_hears_so_before_it_sends(server):
    head = HEAD + "content-length: 999999999\r\nexpect: 100-continue\r\n\r\n"
    assert statuses(spoken(server, head.encode())) == [413]


def test_a_sender_that_says_too_much_is_stopped(server, kept):
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    heard = spoken(server, (HEAD + "transfer-encoding: chunked\r\n\r\n").encode() + chunk * 3)
    assert statuses(heard) == [413]
    assert kept.intake.room.held == 0


def test_a_bomb_is_refused_and_a_large_body_is_not(listen, kept):
    server = listen(kept, "otlp_http")
    bomb = gzip.compress(bytes(65 * 1024 * 1024), 9)
    packed = PROTO | {"content-encoding": "gzip"}
    assert httpx.post(url(server), content=bomb, headers=packed).status_code == 413
    many = proto([Point(value=1, labels={"source.workload.name": f"w{at}x"}) for at in range(2000)])
    assert httpx.post(url(server), content=gzip.compress(many), headers=packed).status_code == 200
    assert kept.intake.room.held == 0


# -- strangers


def test_a_connection_that_says_nothing_is_cut(server):
    began = time.monotonic()
    assert spoken(server, b"") == b""
    assert time.monotonic() - began < 5


def test_a_head_letter_by_letter_is_cut(server):
    """Slow loris: each byte comes in time, the whole never does."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
        began = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() - began < 8:
                peer.sendall(b"P" if time.monotonic() - began < 0.01 else b"x")
                time.sleep(0.02)
        assert time.monotonic() - began < 5


def test_a_second_head_letter_by_letter_is_cut_too(server):
    request = (HEAD + f"content-length: {len(BODY)}\r\n\r\n").encode() + BODY
    assert statuses(spoken(server, request + b"POST /v1")) == [200]


def test_a_body_that_never_ends_is_given_up(server, kept):
    heard = spoken(server, (HEAD + "content-length: 1000\r\n\r\nabc").encode())
    assert statuses(heard) == [503]
    assert b"connection: close" in heard
    assert kept.intake.counts().traffic["otlp_http"].refused == {"too_slow": 1}


def test_a_sender_that_hangs_up_leaves_nothing(server, kept):
    with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
        peer.sendall((HEAD + "content-length: 1000\r\n\r\nabc").encode())
    until = time.monotonic() + 5
    while "otlp_http" not in kept.intake.counts().traffic and time.monotonic() < until:
        time.sleep(0.01)
    assert kept.intake.counts().traffic["otlp_http"].refused.total() == 1
    assert kept.intake.room.held == 0


def test_a_huge_head_is_refused(server):
    heard = spoken(server, b"POST /v1/metrics HTTP/1.1\r\nhost: x\r\n" + b"x-a: " + b"a" * 300_000)
    assert statuses(heard) in ([400], [])  # a reset may overtake the answer
    many = b"".join(b"x-%d: a\r\n" % at for at in range(50_000))
    assert statuses(spoken(server, b"POST /v1/metrics HTTP/1.1\r\nhost: x\r\n" + many)) in ([400], [])


SMUGGLED = b"POST /v1/metrics HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        f"content-length: {5 + len(SMUGGLED)}\r\ntransfer-encoding: chunked\r\n",
        f"transfer-encoding: chunked\r\ncontent-length: {5 + len(SMUGGLED)}\r\n",
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: +5\r\n",
        "content-length: 0x5\r\n",
        "content-length: 5 5\r\n",
        "content-length: -1\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding : chunked\r\n",
        "content-length : 5\r\n",
        "x: a\rcontent-length: 5\r\n",
        "x: a\x00b\r\n",
    ],
)
def test_a_request_whose_end_is_in_doubt_ends_the_connection(shared, head):
    """Nothing that follows may be taken for a second request: one answer, and it is a refusal."""
    heard = spoken(shared, (HEAD + head + "\r\n0\r\n\r\n").encode("latin-1") + SMUGGLED)
    assert len(statuses(heard)) <= 1
    assert all(400 <= status < 600 for status in statuses(heard))


BAD_CHUNKS = (b"-5\r\nhello\r\n", b"5;\nhello\r\n", b"0x5\r\nhello\r\n", b"5\r\nhelloX0\r\n\r\n", b"zz\r\n")


@pytest.mark.parametrize("chunk", BAD_CHUNKS)
def test_chunks_that_are_none_end_the_connection(shared, chunk):
    heard = spoken(shared, (HEAD + "transfer-encoding: chunked\r\n\r\n").encode() + chunk + b"0\r\n\r\n" + SMUGGLED)
    assert len(statuses(heard)) <= 1
    assert all(status >= 400 for status in statuses(heard))


NOISE = (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\x00" * 100, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")


@pytest.mark.parametrize("noise", NOISE)
def test_other_protocols_are_no_trouble(shared, noise):
    assert 200 not in statuses(spoken(shared, noise))
    assert httpx.post(url(shared), content=BODY, headers=PROTO).status_code == 200


def test_connections_that_are_held_open_give_way_in_time(listen, kept):
    server = listen(kept, "otlp_http", limits={"connections": 4, "header_time": 0.3})
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
    with pytest.raises(httpx.TransportError):
        httpx.post(url(server), content=BODY, headers=PROTO)
    until, status = time.monotonic() + 5, 0
    while status != 200 and time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            status = httpx.post(url(server), content=BODY, headers=PROTO).status_code
    assert status == 200
    for one in idle:
        one.close()


@settings(STEADY, max_examples=60)
@given(
    body=st.binary(max_size=200),
    kind=st.sampled_from(["application/x-protobuf", "application/json", "text/plain", ""]),
    encoding=st.sampled_from(["", "gzip", "deflate", "zstd", "identity", "x"]),
)
def test_any_body_is_answered_in_words_of_the_protocol(shared, body, kind, encoding):
    head = f"POST /v1/metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}\r\n"
    head += f"content-type: {kind}\r\n" + (f"content-encoding: {encoding}\r\n" if encoding else "")
    [status] = statuses(spoken(shared, head.encode() + b"\r\n" + body))
    assert status in (200, 400, 415)


@settings(STEADY, max_examples=60)
@given(noise=st.binary(min_size=1, max_size=200), is_after_head=st.booleans())
def test_any_noise_ends_in_a_refusal_or_in_silence(shared, noise, is_after_head):
    head = (HEAD + "transfer-encoding: chunked\r\n\r\n").encode() if is_after_head else b""
    with socket.create_connection(("127.0.0.1", shared.port), 5) as peer:
        peer.sendall(head + noise)
        peer.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            heard = peer.recv(65536)
            assert all(status >= 400 for status in statuses(heard)) or noise.startswith(b"0\r\n\r\n")


# -- tokens


def test_tokens_are_asked_for_before_the_body(listen, kept):
    server = listen(kept, "otlp_http", tokens=[Token(name="a", sha256=digest_of("secret"), cluster="pinned")])
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Splunk secret"}):
        answer = httpx.post(url(server), content=BODY, headers=PROTO | headers)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert statuses(spoken(server, (HEAD + "content-length: 99999999\r\nexpect: 100-continue\r\n\r\n").encode())) == [
        401
    ]
    answer = httpx.post(url(server), content=BODY, headers=PROTO | {"authorization": "Bearer secret"})
    assert answer.status_code == 200
    assert set(kept.intake.heard()) == {"pinned"}


def test_a_network_may_send_without_token_to_a_fixed_cluster(listen, kept):
    near = listen(kept, "otlp_http", ingest_without_token=["127.0.0.0/8"], cluster="edge")
    far = listen(kept, "otlp_http", ingest_without_token=["10.0.0.0/8"], cluster="edge")
    assert httpx.post(url(near), content=BODY, headers=PROTO).status_code == 200
    assert httpx.post(url(far), content=BODY, headers=PROTO | {"x-forwarded-for": "10.0.0.1"}).status_code == 403
    assert set(kept.intake.heard()) == {"edge"}


# -- pressure


def test_a_store_that_fails_is_told_as_come_again(server, kept, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ServiceError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(kept.store, "append", fail)
        answer = httpx.post(url(server), content=BODY, headers=PROTO)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert b"disk full" in answer.content
    assert httpx.post(url(server), content=BODY, headers=PROTO).status_code == 200
    assert kept.sum == 5


def test_a_slow_store_is_told_as_come_again_in_time(listen, kept, monkeypatch):
    server = listen(kept, "otlp_http", limits={"answer_time": 0.2})
    opened, append = threading.Event(), kept.store.append

    def slow(*arguments: object, **named: object) -> object:
        opened.wait(10)
        return append(*arguments, **named)

    monkeypatch.setattr(kept.store, "append", slow)
    began = time.monotonic()
    answer = httpx.post(url(server), content=BODY, headers=PROTO)
    assert answer.status_code == 503 and "retry-after" in answer.headers
    assert time.monotonic() - began < 4
    opened.set()
    assert httpx.post(url(server), content=BODY, headers=PROTO).status_code == 200  # the retry
    assert kept.sum == 5
    assert kept.intake.counts().traffic["otlp_http"].answered_late == 1


def test_no_room_is_told_as_come_again(listen, make_kept):
    kept = make_kept(IntakeSettings(waiting=1000))
    server = listen(kept, "otlp_http")
    answer = httpx.post(url(server), content=bytes(2000), headers=PROTO)
    assert answer.status_code == 503 and "retry-after" in answer.headers
    bomb = gzip.compress(bytes(5000))
    assert httpx.post(url(server), content=bomb, headers=PROTO | {"content-encoding": "gzip"}).status_code == 503
    assert kept.intake.room.held == 0
    assert httpx.post(url(server), content=BODY, headers=PROTO).status_code == 200


def test_an_unforeseen_error_is_no_success_and_is_counted(server, kept, monkeypatch):
    monkeypatch.setattr(kept.intake, "submit", lambda *_: 1 / 0)
    assert httpx.post(url(server), content=BODY, headers=PROTO).status_code == 503
    assert kept.intake.counts().bugs == 1


def test_grpc_is_not_spoken_here(kept):
    with pytest.raises(ValueError, match="otlp_grpc"):
        app(kept.intake, Listener(address="127.0.0.1:0"), "otlp_grpc")


def test_a_media_type_has_no_parameters():
    assert Request("POST", "/", {"content-type": "Application/JSON ; charset=utf-8"}).media_type == "application/json"
