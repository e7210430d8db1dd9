"""A port bears strangers: what says nothing, comes too often or speaks no TLS is hung up on and counted."""

from __future__ import annotations

import socket
import ssl
from collections import Counter
from dataclasses import dataclass

import httpx
import pytest
import trustme

from ebbtide.errors import ConfigError, ServiceError
from ebbtide.receive.port import HttpPort, PortBounds
from ebbtide.receive.settings import Tls


@dataclass
class Where:
    address: str = "127.0.0.1:0"
    tls: Tls | None = None
    host: str = "127.0.0.1"
    port: int = 0


async def hello(_scope, _receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@pytest.fixture
def open_port():
    opened = []

    def make(where=None, **bounds):
        counts = Counter()
        port = HttpPort(hello, where or Where(), PortBounds(**bounds), "test", lambda why: counts.update([why]))
        port.start()
        opened.append(port)
        return port, counts

    yield make
    for port in opened:
        port.stop()


def hung_up(connection):
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_answers(open_port):
    port, _ = open_port()
    assert httpx.get(f"http://127.0.0.1:{port.port}/").text == "hello"


def test_who_says_nothing_is_hung_up_on(open_port):
    port, _ = open_port(header_time_s=0.2)
    with socket.create_connection(("127.0.0.1", port.port)) as silent:
        assert hung_up(silent)


def test_one_too_many_is_hung_up_on_and_counted(open_port):
    port, counts = open_port(connections=1)
    with socket.create_connection(("127.0.0.1", port.port)) as first:
        first.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first.recv(15) == b"HTTP/1.1 200 OK"
        with socket.create_connection(("127.0.0.1", port.port)) as second:
            assert hung_up(second)
    assert counts["connections"] == 1


def test_a_certificate_is_shown_and_must_be_usable(open_port, tmp_path):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    issued.cert_chain_pems[0].write_to_path(str(certificate))
    issued.private_key_pem.write_to_path(str(key))
    port, _ = open_port(Where(tls=Tls(certificate=certificate, key=key)))
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    assert httpx.get(f"https://127.0.0.1:{port.port}/", verify=trusted).text == "hello"
    with pytest.raises(ConfigError, match="cannot use the certificate"):
        open_port(Where(tls=Tls(certificate=key, key=certificate)))


def test_a_taken_port_is_told(open_port):
    port, _ = open_port()
    with pytest.raises(ServiceError, match="cannot listen"):
        open_port(Where(address=f"127.0.0.1:{port.port}", port=port.port))
