"""Prometheus remote write 1.0: `POST /api/v1/write`, a snappy block of a WriteRequest, answered by status alone.

Source: prometheus/docs docs/specs/prw/remote_write_spec.md. Senders retry 5xx and drop what got 400; 429 is dropped too
unless they are told otherwise, so pressure is 503. Partly bad data are stored as far as they are good and answered 400.
VictoriaMetrics' agent packs with zstd first and falls back to snappy; both are read.
"""

from __future__ import annotations

from typing import Final

from ebbtide.receive.dialect import Answer, Request
from ebbtide.receive.receipt import Receipt
from ebbtide.receive.refusal import Reason, Refusal

PATH: Final = "/api/v1/write"
_PROTO: Final = "application/x-protobuf"
_ENCODINGS: Final = ("snappy", "zstd")


class RemoteWriteHttp:
    """The dialect of Prometheus and vmagent."""

    name = "remote_write"
    scheme = "Bearer"

    def without_body(self, _request: Request) -> Answer | None:
        """Remote write knows no such requests."""
        return None

    def format_of(self, request: Request) -> str:
        """`remote_write`; version 2.0 is refused with 415, upon which senders fall back."""
        if request.path != PATH:
            raise Refusal(Reason.NOT_FOUND, "no such path", hint=f"the remote write URL ends in {PATH}")
        if request.method != "POST":
            raise Refusal(Reason.METHOD, "samples are sent with POST")
        kind = request.headers.get("content-type", "")
        if request.media_type != _PROTO or "io.prometheus.write.v2" in kind:
            raise Refusal(Reason.CONTENT_TYPE, f"the content type is not {_PROTO} of remote write 1.0")
        return "remote_write"

    def encoding_of(self, request: Request) -> str:
        """The specification wants snappy always."""
        found = request.headers.get("content-encoding", "").strip().lower() or "snappy"
        if found not in _ENCODINGS:
            raise Refusal(Reason.ENCODING, f"the content encoding is not one of: {', '.join(_ENCODINGS)}")
        return found

    def taken(self, _request: Request, receipt: Receipt, _content: bytes) -> Answer:
        """204, or 400 where some samples were bad: the others are stored all the same."""
        if receipt.is_clean:
            return Answer(204)
        return Answer(400, f"{receipt.accepted} stored, {receipt.reasons}".encode())

    def refused(self, _request: Request, refusal: Refusal) -> Answer:
        """The status, and a line for the sender's log."""
        return Answer(refusal.reason.http, refusal.text.encode())
