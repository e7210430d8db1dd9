"""OTLP over HTTP: `POST /v1/metrics`, protobuf or JSON, answered in the request's own encoding.

Source: opentelemetry-proto docs/specification.md, "OTLP/HTTP". Errors are a google.rpc.Status; 503 with Retry-After is
what a sender may retry, 400 is final; partly bad data are a success that says how many points were rejected.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ebbtide.receive.dialect import Answer, Request
from ebbtide.receive.receipt import Receipt
from ebbtide.receive.refusal import Reason, Refusal
from ebbtide.receive.status import export_response, rpc_status

PATH: Final = "/v1/metrics"
_PROTO: Final = "application/x-protobuf"
_JSON: Final = "application/json"
_FORMATS: Final = {_PROTO: "otlp_proto", _JSON: "otlp_json"}
_OTHER_SIGNALS: Final = ("/v1/traces", "/v1/logs", "/v1development/profiles")


class OtlpHttp:
    """The dialect of OTLP exporters."""

    name = "otlp_http"
    scheme = "Bearer"

    def without_body(self, _request: Request) -> Answer | None:
        """OTLP knows no such requests."""
        return None

    def format_of(self, request: Request) -> str:
        """`otlp_proto` or `otlp_json`, by the content type."""
        if request.path != PATH:
            told = "only metrics are taken here" if request.path in _OTHER_SIGNALS else "no such path"
            raise Refusal(Reason.NOT_FOUND, told, hint=f"send metrics to {PATH}")
        if request.method != "POST":
            raise Refusal(Reason.METHOD, "metrics are sent with POST")
        found = _FORMATS.get(request.media_type)
        if found is None:
            raise Refusal(Reason.CONTENT_TYPE, f"the content type is neither {_PROTO} nor {_JSON}")
        return found

    def encoding_of(self, request: Request) -> str:
        """As the header says; none where it is absent."""
        return request.headers.get("content-encoding", "")

    def taken(self, request: Request, receipt: Receipt, _content: bytes) -> Answer:
        """200, with `partial_success` where points were rejected."""
        rejected, message = receipt.rejected.total(), receipt.reasons
        if request.media_type != _JSON:
            return Answer(200, export_response(rejected, message), _PROTO)
        partial = {"partialSuccess": {"rejectedDataPoints": str(rejected), "errorMessage": message}} if rejected else {}
        return Answer(200, msgspec.json.encode(partial), _JSON)

    def refused(self, request: Request, refusal: Refusal) -> Answer:
        """A google.rpc.Status."""
        reason = refusal.reason
        if request.media_type == _JSON:
            body = msgspec.json.encode({"code": reason.grpc, "message": refusal.text})
            return Answer(reason.http, body, _JSON)
        return Answer(reason.http, rpc_status(reason.grpc, refusal.text), _PROTO)
