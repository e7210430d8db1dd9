"""A server that fails in every way: a clear error, with a hint, after patience or at once."""

from __future__ import annotations

import threading
import time

import pytest

from ebbtide.backfill.peer import Peer, TooLarge
from ebbtide.deliver.backoff import Retry
from ebbtide.errors import DataError, ServiceError, UsageError
from metrics_servers import Scripted, say

QUICK = Retry(attempts=3)


def peer_of(server: Scripted, **settings) -> Peer:
    return Peer.of(server.url, **{"retry": QUICK, "timeout_s": 5, "sleep": lambda _: None, **settings})


@pytest.mark.parametrize(
    ("url", "token", "words"),
    [
        ("ftp://x", "", "http"), ("http://", "", "http"), ("http://a:b@x", "", "password"),
        ("http://x:99999", "", "URL"), ("http://x/?a=1", "", "query"), ("http://x y", "", "http"),
        ("http://prometheus:9090", "secret", "http://"), ("https://x", "a\nb", "characters"),
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url, token, words):
    with pytest.raises(UsageError, match=words) as error:
        Peer.of(url, token=token)
    assert error.value.hint and "secret" not in str(error.value)


def test_a_token_travels_and_is_never_shown():
    with Scripted(say(200, b"ok")) as server:
        peer = peer_of(server, token="s3cret")
        assert peer.get("/x", [("a", "b c")]).body == b"ok"
        assert server.asked == ["/x?a=b+c"]
        assert server.headers == ["Bearer s3cret"]
        assert "s3cret" not in repr(peer)


def test_what_passes_is_tried_again():
    with Scripted(say(503, b"busy"), say(200, b"whole", length=9), say(200, b"ok")) as server:
        assert peer_of(server).get("/x", []).body == b"ok"
        assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [(say(500, b"boom"), "500: boom"), (say(200, b"cut", length=900), "cut"), (lambda handler: None, "cut|HTTP")],
)
def test_what_stays_is_an_error_with_a_hint(answer, words):
    with Scripted(answer) as server:
        with pytest.raises(ServiceError, match=words) as error:
            peer_of(server).get("/x", [])
        assert len(server.asked) == 3
        assert "same command" in error.value.hint


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (401, ServiceError, "token"),
        (302, ServiceError, "final"),
        (404, ServiceError, "api/v1"),
        (400, DataError, "match"),
    ],
)
def test_a_refusal_is_told_at_once(status, kind, hint):
    with Scripted(say(status, b"no", Location="http://elsewhere.example/")) as server:
        with pytest.raises(kind) as error:
            peer_of(server).get("/x", [])
        assert hint in error.value.hint
        assert len(server.asked) == 1


def test_a_peer_that_hangs_or_drips_ends_at_the_deadline():
    leave = threading.Event()

    def hang(_) -> None:
        leave.wait(20)

    def drip(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not leave.wait(0.05):
            handler.wfile.write(b".")

    for answer in (hang, drip):
        leave.clear()
        with Scripted(answer) as server:
            began = time.monotonic()
            with pytest.raises(ServiceError, match="no answer within"):
                peer_of(server, timeout_s=0.3, retry=Retry(attempts=1)).get("/x", [])
            assert time.monotonic() - began < 5
            leave.set()


def test_an_answer_is_read_to_a_bound():
    with Scripted(say(200, b"x" * 2000)) as server, pytest.raises(TooLarge, match="1,000 bytes"):
        peer_of(server, body_bytes=1000).get("/x", [])
    with Scripted(say(422, b"query processing would load too many samples")) as server, pytest.raises(TooLarge):
        peer_of(server).get("/x", [])


def test_nobody_there():
    with Scripted(say(200)) as server:
        pass
    with pytest.raises(ServiceError, match="no answer after 3") as error:
        peer_of(server).get("/x", [])
    assert error.value.hint
