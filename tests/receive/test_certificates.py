"""Certificates: renewed while connections come and go, never lost to files that are half written."""

from __future__ import annotations

import os
import socket
import ssl
import time

import grpc
import httpx
import pytest
import trustme
from requests_of_decode import Point, proto

from ebbtide.errors import ConfigError
from ebbtide.receive.certificates import Certificates
from ebbtide.receive.otlp_grpc import METHOD
from ebbtide.receive.settings import Tls


@pytest.fixture
def files(tmp_path):
    tls = Tls(certificate=tmp_path / "c.pem", key=tmp_path / "k.pem")

    def issue() -> trustme.CA:
        """A new authority and a certificate of it in place of the old, as a renewal leaves them."""
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(str(tls.certificate))
        issued.private_key_pem.write_to_path(str(tls.key))
        os.utime(tls.key, ns=(time.time_ns(), time.time_ns()))
        return authority

    return tls, issue


def trusts(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_new_files_are_taken_over_once(files):
    tls, issue = files
    issue()
    unusable: list[int] = []
    certificates = Certificates(tls, "here", lambda: unusable.append(1))
    assert not certificates.renew()
    issue()
    assert certificates.renew()
    assert not certificates.renew()
    assert unusable == []


def test_files_that_cannot_be_used_leave_the_ones_before(files):
    tls, issue = files
    issue()
    unusable: list[int] = []
    certificates = Certificates(tls, "here", lambda: unusable.append(1))
    before = certificates.context
    tls.key.write_text("half a k")
    assert not certificates.renew()
    tls.key.unlink()
    assert not certificates.renew()
    assert certificates.context is before
    assert len(unusable) == 2
    issue()
    assert certificates.renew()


def test_at_first_they_must_be_usable(files):
    tls, issue = files
    issue()
    tls.certificate.write_text("nothing")
    with pytest.raises(ConfigError, match="here"):
        Certificates(tls, "here", lambda: None)


def test_an_open_listener_shows_new_certificates(listen, kept, files):
    tls, issue = files
    first = issue()
    server = listen(kept, "otlp_http", tls=tls)
    url, kind = f"https://127.0.0.1:{server.port}/v1/metrics", {"content-type": "application/x-protobuf"}
    assert httpx.post(url, content=b"", headers=kind, verify=trusts(first)).status_code == 200
    second, status, until = issue(), 0, time.monotonic() + 5
    while status != 200 and time.monotonic() < until:
        try:
            status = httpx.post(url, content=b"", headers=kind, verify=trusts(second)).status_code
        except httpx.ConnectError:
            time.sleep(0.05)
    assert status == 200


def test_a_grpc_listener_shows_new_certificates_and_keeps_the_old_if_they_are_bad(listen, kept, files):
    tls, issue = files
    first = issue()
    server = listen(kept, "otlp_grpc", tls=tls)

    def export(authority: trustme.CA) -> bytes:
        trusted = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
        own = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.secure_channel(f"localhost:{server.port}", trusted, options=own) as channel:
            return channel.unary_unary(METHOD)(proto([Point()]), timeout=5)

    assert export(first) == b""
    second = issue()
    assert export(second) == b""
    tls.key.write_text("half a k")
    assert export(second) == b""
    assert kept.intake.counts().traffic["otlp_grpc"].refused["certificate"] >= 1


def test_a_socket_without_tls_gets_nothing(listen, kept, files):
    tls, issue = files
    issue()
    server = listen(kept, "otlp_http", tls=tls)
    with socket.create_connection(("127.0.0.1", server.port), 5) as peer:
        peer.sendall(b"POST /v1/metrics HTTP/1.1\r\n\r\n")
        assert b"HTTP" not in peer.recv(100)
