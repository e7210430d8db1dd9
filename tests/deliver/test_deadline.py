"""deliver/deadline.py: no peer holds a client past its deadline, wherever it stalls."""

from __future__ import annotations

import socket
import ssl
import threading
import time

import pytest

from ebbtide.deliver.deadline import dial, http_over, left_s


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def soon(seconds=0.3):
    return time.monotonic() + seconds


def test_what_is_left_is_never_nothing():
    assert 0 < left_s(soon(5)) <= 5
    with pytest.raises(TimeoutError):
        left_s(time.monotonic())


def test_a_peer_that_never_shakes_hands_is_left(listener):
    with pytest.raises(TimeoutError):
        dial("127.0.0.1", listener.getsockname()[1], "localhost", ssl.create_default_context(), soon())


def test_a_peer_that_drips_is_left(listener):
    is_over = threading.Event()

    def drip():
        peer, _ = listener.accept()
        with peer:
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not is_over.wait(0.02):
                try:
                    peer.sendall(b".")
                except OSError:
                    return

    thread = threading.Thread(target=drip)
    thread.start()
    deadline_s = soon()
    try:
        with dial("127.0.0.1", listener.getsockname()[1], "", None, deadline_s) as sock:
            connection = http_over(sock, "peer", deadline_s)
            connection.request("GET", "/")
            with connection.getresponse() as response, pytest.raises(TimeoutError):
                response.read()
    finally:
        is_over.set()
        thread.join()


def test_a_peer_that_does_not_read_is_left(listener):
    deadline_s = soon()
    with dial("127.0.0.1", listener.getsockname()[1], "", None, deadline_s) as sock:
        connection = http_over(sock, "peer", deadline_s)
        with pytest.raises(TimeoutError):
            connection.request("POST", "/", b"x" * (64 << 20))


def test_whoever_dialled_closes(listener):
    deadline_s = soon(5)
    with dial("127.0.0.1", listener.getsockname()[1], "", None, deadline_s) as sock:
        http_over(sock, "peer", deadline_s).close()
        assert sock.fileno() >= 0
