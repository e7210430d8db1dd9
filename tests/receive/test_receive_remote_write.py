"""Remote write by hand: what is stored, what is dropped, what is sent again."""

from __future__ import annotations

import cramjam
import httpx
import pytest
import zstandard
from requests_of_decode import END_NS, Point, remote_write

from ebbtide.errors import ServiceError
from ebbtide.receive.remote_write import PATH, RemoteWriteHttp

HEADERS = {
    "content-type": "application/x-protobuf",
    "content-encoding": "snappy",
    "x-prometheus-remote-write-version": "0.1.0",
}
LABELS = {"container_id": "/k8s/shop/checkout-7d9c5b6f4-x2x9q/app", "actual_destination": "10.0.0.1:443"}


def write(*readings: tuple[float, int]) -> bytes:
    return remote_write(
        [Point("container_net_tcp_bytes_sent_total", value, LABELS, END_NS + at * 10**9) for value, at in readings]
    )


def snappy(body: bytes) -> bytes:
    return bytes(cramjam.snappy.compress_raw(body))


@pytest.fixture
def post(listen, kept):
    port = listen(kept, "remote_write", preset="coroot").port

    def send(body: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"http://127.0.0.1:{port}{PATH}", content=body, headers=HEADERS | named)

    return send


def test_samples_are_stored_once(post, kept):
    body = snappy(write((100, 0), (130, 15)))
    for _ in range(2):
        answer = post(body)
        assert (answer.status_code, answer.content) == (204, b"")
    assert kept.sum == 30


def test_zstd_as_vmagent_packs(post, kept):
    assert post(zstandard.ZstdCompressor().compress(write((1, 0), (3, 15))), content_encoding="zstd").status_code == 204
    assert kept.sum == 2


def test_an_empty_request(post):
    assert post(snappy(b"")).status_code == 204


def test_partly_bad_is_400_and_the_good_ones_are_stored(post, kept):
    answer = post(snappy(write((100, 0), (130, 15), (-1, 20), (140, 10_000))))
    assert answer.status_code == 400
    assert answer.text == "2 stored, 2 points rejected: 1 in_future, 1 negative"
    assert kept.sum == 30


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff" * 20, {}, 400),
        (snappy(b"\xff" * 20), {}, 400),
        (write((1, 0)), {}, 400),
        (snappy(write((1, 0))), {"content_encoding": "gzip"}, 415),
        (snappy(write((1, 0))), {"content_type": "application/json"}, 415),
        (snappy(b""), {"content_type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}, 415),
        (b"\xff\xff\xff\xff\x0f" + bytes(100), {}, 413),
    ],
)
def test_what_cannot_be_read_is_not_sent_again(post, kept, body, headers, status):
    assert post(body, **headers).status_code == status
    assert kept.sum == 0


def test_pressure_is_503_and_not_429_which_prometheus_would_drop(post, kept, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ServiceError("disk full")

    body = snappy(write((100, 0), (130, 15)))
    with monkeypatch.context() as patch:
        patch.setattr(kept.store, "append", fail)
        answer = post(body)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert post(body).status_code == 204
    assert kept.sum == 30


def test_the_dialect_has_the_name_of_its_format():
    assert RemoteWriteHttp().name == "remote_write"
