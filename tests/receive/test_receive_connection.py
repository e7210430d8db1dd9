"""Connections as such: their number, and TLS that does not begin."""

from __future__ import annotations

import select
import socket
import time

import pytest
import trustme

from ebbtide.receive.connection import bounded


def closed(peers: list[socket.socket], limit_s: float) -> int:
    """How many of these the server has hung up on, at the latest after `limit_s`."""
    end, gone = time.monotonic() + limit_s, set()
    while len(gone) < len(peers) and (left := end - time.monotonic()) > 0:
        for peer in select.select([one for one in peers if one not in gone], [], [], left)[0]:
            try:
                if not peer.recv(1024):
                    gone.add(peer)
            except ConnectionResetError:
                gone.add(peer)
    return len(gone)


@pytest.fixture
def dial():
    opened: list[socket.socket] = []

    def make(port: int) -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", port), 5))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_connections_too_many_are_hung_up_on_and_counted(listen, kept, dial):
    port = listen(kept, "otlp_http", limits={"connections": 4, "header_time": 30}).port
    peers = [dial(port) for _ in range(20)]
    assert closed(peers, 1.0) == 16
    assert kept.intake.counts().traffic["otlp_http"].refused == {"connections": 16}


@pytest.mark.parametrize("kind", ["otlp_http", "otlp_grpc"])
def test_tls_that_does_not_begin_is_cut(listen, kept, dial, tmp_path, kind):
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "both.pem"))
    tls = {"certificate": tmp_path / "both.pem", "key": tmp_path / "both.pem"}
    port = listen(kept, kind, tls=tls, limits={"header_time": 0.3}).port
    assert closed([dial(port) for _ in range(3)], 5) == 3


def test_each_listener_has_its_own_deadline():
    first, second = bounded(1, 10, list), bounded(2, 20, list)
    assert (first.header_time_s, first.connections_max) == (1, 10)
    assert (second.header_time_s, second.connections_max) == (2, 20)
