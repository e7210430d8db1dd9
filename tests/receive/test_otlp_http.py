"""OTLP over HTTP: answers in the request's own encoding, as the specification has them."""

from __future__ import annotations

import gzip
import json
import zlib

import httpx
import pytest
import zstandard
from google.rpc import status_pb2
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from requests_of_decode import Point, otlp_json, proto

from ebbtide.receive.otlp_http import PATH, OtlpHttp

GOOD, BAD = Point(value=5), Point(value=-1)
TYPES = {"application/x-protobuf": proto, "application/json": otlp_json}
PACKERS = {
    "": bytes,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


@pytest.fixture
def server(listen, kept):
    return listen(kept, "otlp_http")


@pytest.fixture
def post(server):
    def send(kind: str, body: bytes, encoding: str = "") -> httpx.Response:
        headers = {"content-type": kind} | ({"content-encoding": encoding} if encoding else {})
        return httpx.post(f"http://127.0.0.1:{server.port}{PATH}", content=body, headers=headers)

    return send


def test_success_says_nothing_in_every_encoding(post, kept):
    for kind, encode in TYPES.items():
        for encoding, pack in PACKERS.items():
            answer = post(kind, pack(encode([GOOD])), encoding)
            assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
            assert answer.content == (b"" if kind == "application/x-protobuf" else b"{}")
    assert kept.sum == 5
    assert kept.intake.counts().dropped == {"duplicate": 7}


def test_an_empty_request_is_a_success(post):
    assert post("application/x-protobuf", b"").status_code == 200
    assert post("application/json", b"{}").status_code == 200


def test_partly_bad_is_a_success_that_says_what_was_rejected(post, kept):
    answer = post("application/x-protobuf", proto([GOOD, BAD, BAD]))
    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_data_points) == (200, 2)
    assert partial.error_message == "2 points rejected: 2 negative"
    answer = post("application/json", otlp_json([GOOD, BAD, BAD]))
    assert answer.json() == {
        "partialSuccess": {"rejectedDataPoints": "2", "errorMessage": "2 points rejected: 2 negative"}
    }
    assert kept.sum == 5


def test_errors_are_a_status_in_the_requests_encoding(post):
    answer = post("application/x-protobuf", b"\xff" * 9)
    status = status_pb2.Status.FromString(answer.content)
    assert (answer.status_code, status.code) == (400, 3)
    assert "not an OTLP metrics request" in status.message
    answer = post("application/json", b"[")
    assert (answer.status_code, json.loads(answer.content)["code"]) == (400, 3)
    assert "retry-after" not in answer.headers


def test_other_signals_are_named():
    class Other:
        path, method, headers, media_type = "/v1/traces", "POST", {}, "application/json"

    with pytest.raises(Exception, match="only metrics"):
        OtlpHttp().format_of(Other())
