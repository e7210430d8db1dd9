"""Ports: TLS and client certificates, ports that are taken, and an end that answers what is in flight."""

from __future__ import annotations

import socket
import ssl
import threading

import cramjam
import grpc
import httpx
import pytest
import trustme
from requests_of_decode import START_NS, Point, hec, proto, remote_write

from ebbtide.errors import ConfigError, ServiceError
from ebbtide.receive.otlp_grpc import METHOD
from ebbtide.receive.serving import serve
from ebbtide.receive.settings import Listener, Receivers, Tls

BODY = proto([Point(value=5)])
PROTO = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def tls(authority, tmp_path) -> dict[str, object]:
    issued = authority.issue_cert("127.0.0.1", "localhost")
    for name, blob in (("c", issued.cert_chain_pems[0]), ("k", issued.private_key_pem), ("ca", authority.cert_pem)):
        blob.write_to_path(str(tmp_path / f"{name}.pem"))
    return {"certificate": tmp_path / "c.pem", "key": tmp_path / "k.pem"}


@pytest.fixture
def trusted(authority) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_https(listen, kept, tls, trusted):
    server = listen(kept, "otlp_http", tls=tls)
    url = f"https://127.0.0.1:{server.port}/v1/metrics"
    assert httpx.post(url, content=BODY, headers=PROTO, verify=trusted).status_code == 200
    with pytest.raises(httpx.TransportError):
        httpx.post(url.replace("https", "http"), content=BODY, headers=PROTO)
    old = ssl.create_default_context()
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", server.port)) as raw, old.wrap_socket(raw) as secure:
        assert secure.version() == "TLSv1.2"


def test_https_with_client_certificates(listen, kept, tls, trusted, authority, tmp_path):
    server = listen(kept, "otlp_http", tls=tls | {"client_ca": tmp_path / "ca.pem"})
    url = f"https://127.0.0.1:{server.port}/v1/metrics"
    with pytest.raises(httpx.TransportError):
        httpx.post(url, content=BODY, headers=PROTO, verify=trusted)
    trustme.CA().issue_cert("stranger").configure_cert(trusted)
    with pytest.raises(httpx.TransportError):
        httpx.post(url, content=BODY, headers=PROTO, verify=trusted)
    assert kept.sum == 0
    known = ssl.create_default_context()
    authority.configure_trust(known)
    authority.issue_cert("sender").configure_cert(known)
    assert httpx.post(url, content=BODY, headers=PROTO, verify=known).status_code == 200
    assert kept.sum == 5


def test_grpc_with_tls_and_client_certificates(listen, kept, tls, authority, tmp_path):
    server = listen(kept, "otlp_grpc", tls=tls | {"client_ca": tmp_path / "ca.pem"})
    root = authority.cert_pem.bytes()
    mine = authority.issue_cert("sender")
    stranger = grpc.secure_channel(f"localhost:{server.port}", grpc.ssl_channel_credentials(root))
    with stranger, pytest.raises(grpc.RpcError):
        stranger.unary_unary(METHOD)(BODY, timeout=5)
    key, chain = mine.private_key_pem.bytes(), mine.cert_chain_pems[0].bytes()
    with grpc.secure_channel(f"localhost:{server.port}", grpc.ssl_channel_credentials(root, key, chain)) as sender:
        assert sender.unary_unary(METHOD)(BODY, timeout=5) == b""
    assert kept.sum == 5


@pytest.mark.parametrize("kind", ["otlp_http", "otlp_grpc"])
def test_certificates_that_cannot_be_used(listen, kept, tls, tmp_path, kind):
    (tmp_path / "bad.pem").write_text("no certificate")
    for wrong in ({"certificate": tmp_path / "bad.pem"}, {"key": tmp_path / "none.pem"}):
        with pytest.raises(ConfigError) as caught:
            listen(kept, kind, tls=tls | wrong)
        assert caught.value.hint


def test_all_listeners_or_none(kept):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        for kind in ("hec", "otlp_grpc"):
            receivers = Receivers.model_validate({"otlp_http": {"address": "127.0.0.1:0"}, kind: {"address": taken}})
            before = threading.active_count()
            with pytest.raises(ServiceError, match=taken) as caught:
                serve(kept.intake, receivers)
            assert "port" in caught.value.hint
            assert threading.active_count() == before


def test_an_open_address_without_tls_and_tokens_is_not_served(kept):
    with pytest.raises(ConfigError, match=r"hec: 0\.0\.0\.0:0"):
        serve(kept.intake, Receivers(hec=Listener(address="0.0.0.0:0")))
    for server in serve(kept.intake, Receivers(hec=Listener(address="0.0.0.0:0", insecure=True))):
        server.stop()


def test_every_kind_is_served_side_by_side(kept):
    anywhere = {"address": "127.0.0.1:0"}
    kinds = ("otlp_grpc", "otlp_http", "hec", "remote_write")
    servers = serve(kept.intake, Receivers.model_validate(dict.fromkeys(kinds, anywhere)))
    assert len({server.port for server in servers}) == 4
    for server in servers:
        server.stop()
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), 1)


def test_sources_with_other_names_share_one_intake_and_one_store(listen, kept):
    ours = listen(kept, "otlp_http").port
    coroots = listen(kept, "remote_write", preset="coroot", cluster="c2").port
    splunks = listen(kept, "hec", cluster="c3", is_cluster_pinned=True).port
    labels = {"container_id": "/k8s/shop/cart-7d9c5b6f4-x2x9q/app"}
    readings = [
        Point("container_net_tcp_bytes_sent_total", 100 + 30 * at, labels, START_NS + at * 10**9) for at in (0, 1)
    ]
    packed = bytes(cramjam.snappy.compress_raw(remote_write(readings)))
    answers = [
        httpx.post(f"http://127.0.0.1:{ours}/v1/metrics", content=BODY, headers=PROTO),
        httpx.post(f"http://127.0.0.1:{coroots}/api/v1/write", content=packed, headers=PROTO),
        httpx.post(f"http://127.0.0.1:{splunks}/services/collector", content=hec([Point(value=7)])),
    ]
    assert [answer.status_code for answer in answers] == [200, 204, 200]
    assert kept.sum == 5 + 30 + 7
    assert set(kept.intake.heard()) == {"prod-eu", "c2", "c3"}
    assert set(kept.intake.counts().traffic) == {"otlp_http", "remote_write", "hec"}


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("kind", ["otlp_http", "otlp_grpc"])
def test_ipv6(kept, kind):
    near = {"address": "[::1]:0", "ingest_without_token": ["::1/128"], "cluster": "six"}
    [server] = serve(kept.intake, Receivers.model_validate({kind: near}))
    if kind == "otlp_http":
        assert httpx.post(f"http://[::1]:{server.port}/v1/metrics", content=BODY, headers=PROTO).status_code == 200
    else:
        with grpc.insecure_channel(f"[::1]:{server.port}") as channel:
            assert channel.unary_unary(METHOD)(BODY, timeout=5) == b""
    server.stop()
    assert set(kept.intake.heard()) == {"six"}


@pytest.mark.parametrize("kind", ["otlp_http", "otlp_grpc"])
def test_what_is_in_flight_is_answered_before_the_end(listen, kept, monkeypatch, kind):
    server = listen(kept, kind)
    entered, opened, append = threading.Event(), threading.Event(), kept.store.append

    def slow(*arguments: object, **named: object) -> object:
        entered.set()
        opened.wait(10)
        return append(*arguments, **named)

    monkeypatch.setattr(kept.store, "append", slow)
    answers: list[object] = []

    def send() -> None:
        if kind == "otlp_http":
            url = f"http://127.0.0.1:{server.port}/v1/metrics"
            answers.append(httpx.post(url, content=BODY, headers=PROTO).status_code)
        else:
            with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                answers.append(channel.unary_unary(METHOD)(BODY, timeout=10))

    sender = threading.Thread(target=send)
    sender.start()
    assert entered.wait(10)
    stopping = threading.Thread(target=server.stop)
    stopping.start()
    opened.set()
    stopping.join(15)
    sender.join(15)
    assert answers == [200 if kind == "otlp_http" else b""]
    assert kept.sum == 5


def test_tls_has_no_other_keys(tls):
    with pytest.raises(ValueError, match="extra"):
        Tls(**tls, cipher="x")
