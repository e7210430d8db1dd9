"""Splunk HEC by hand: paths, tokens, and every code it answers with."""

from __future__ import annotations

import gzip
import json

import httpx
import pytest
from requests_of_decode import END_NS, Point, hec

from ebbtide.errors import ServiceError
from ebbtide.receive.hec import HecHttp
from ebbtide.receive.settings import IntakeSettings, Token
from ebbtide.receive.tokens import digest_of

GOOD = hec([Point(value=5)])
AUTHORIZED = {"authorization": "Splunk secret"}


@pytest.fixture
def server(listen, kept):
    return listen(kept, "hec", tokens=[Token(name="a", sha256=digest_of("secret"))])


@pytest.fixture
def post(server):
    def send(body: bytes, path: str = "/services/collector", **options: object) -> tuple[int, int]:
        headers = options.pop("headers", AUTHORIZED)
        answer = httpx.post(f"http://127.0.0.1:{server.port}{path}", content=body, headers=headers, **options)
        said = answer.json()
        assert set(said) == {"text", "code"} and said["text"]
        return answer.status_code, said["code"]

    return send


def test_success(post, kept):
    for path in ("/services/collector", "/services/collector/event", "/services/collector/event/1.0"):
        assert post(GOOD, path) == (200, 0)
    assert post(gzip.compress(GOOD), headers=AUTHORIZED | {"content-encoding": "gzip"}) == (200, 0)
    assert kept.sum == 5


def test_several_metrics_in_one_event(post, kept):
    fields = {"metric_name:tcp.bytes": 7, "metric_name:udp.bytes": 3, "source.workload.name": "a", "x": 1}
    event = {"time": END_NS / 1e9, "event": "metric", "fields": fields | {"source.process.name": "p"}}
    assert post(json.dumps(event).encode()) == (200, 0)
    assert kept.sum == 10


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (401, 2)),
        ({"authorization": "Bearer secret"}, (401, 3)),
        ({"authorization": "Splunk wrong"}, (403, 4)),
    ],
)
def test_tokens(post, headers, expected):
    assert post(GOOD, headers=headers) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, 5)),
        (b"   ", (400, 5)),
        (b"{", (400, 6)),
        (b"[]", (400, 6)),
        (b'{"time": 1}', (400, 12)),
        (b'{"event": "metric", "fields": 3}', (400, 6)),
        (b'{"event": "hello"}', (200, 0)),  # no metric: not ours, and no reason to send it again
        (hec([Point(value=-1)]), (400, 6)),
    ],
)
def test_bodies(post, body, expected):
    assert post(body) == expected


def test_partly_bad_is_stored_as_far_as_it_is_good(post, kept):
    assert post(GOOD + hec([Point(value=-1)])) == (400, 6)
    assert kept.sum == 5


def test_other_paths_and_methods(server, post):
    assert post(GOOD, "/services/collector/raw")[0] == 404
    assert httpx.get(f"http://127.0.0.1:{server.port}/services/collector").status_code == 405


def test_a_store_that_fails_is_told_as_come_again(post, kept, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise ServiceError("disk full")

    monkeypatch.setattr(kept.store, "append", fail)
    assert post(GOOD) == (503, 8)


def test_pressure_is_code_9_and_bad_health(listen, make_kept):
    kept = make_kept(IntakeSettings(waiting=len(GOOD)))
    url = f"http://127.0.0.1:{listen(kept, 'hec').port}/services/collector"
    health = httpx.get(url + "/health")
    assert (health.status_code, health.json()["code"]) == (200, 17)
    kept.intake.room.take(len(GOOD))
    answer = httpx.post(url, content=GOOD)
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (
        503,
        {"text": "Server is busy", "code": 9},
        "5",
    )
    health = httpx.get(url + "/health/1.0")
    assert (health.status_code, health.json()["code"]) == (503, 18)
    assert httpx.post(url + "/health").status_code == 405
    kept.intake.room.give(len(GOOD))


def test_the_scheme_is_splunks():
    assert HecHttp(lambda: True).scheme == "Splunk"
