"""Splunk HEC: `POST /services/collector`, answered with `{"text", "code"}` as Splunk does.

Source: Splunk Enterprise, "Troubleshoot HTTP Event Collector", possible error codes. A body with some bad points is
stored as far as it is good and answered 400 (code 6) with what was wrong: HEC has no word for "partly".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from ebbtide.receive.dialect import Answer, Request
from ebbtide.receive.receipt import Receipt
from ebbtide.receive.refusal import Reason, Refusal

_DATA: Final = frozenset(
    f"/services/collector{end}" for end in ("", "/", "/1.0", "/event", "/event/1.0", "/metrics", "/metrics/1.0")
)
_HEALTH: Final = frozenset(("/services/collector/health", "/services/collector/health/1.0"))
_TEXTS: Final = {
    2: "Token is required",
    3: "Invalid authorization",
    4: "Invalid token",
    5: "No data",
    6: "Invalid data format",
    8: "Internal server error",
    9: "Server is busy",
    12: "Event field is required",
}
_EVENT_REQUIRED: Final = 12
#: Where Splunk's own status is another than the reason's.
_STATUS: Final = {Reason.UNKNOWN_TOKEN: 403}


class HecHttp:
    """The dialect of Splunk's forwarders and the collector's splunk_hec exporter."""

    name = "hec"
    scheme = "Splunk"

    def __init__(self, is_healthy: Callable[[], bool]) -> None:
        self._is_healthy = is_healthy

    def without_body(self, request: Request) -> Answer | None:
        """Health: code 17, or 18 where nothing would be taken; without a token, as Splunk answers."""
        if request.path not in _HEALTH:
            return None
        if request.method not in ("GET", "HEAD"):
            raise Refusal(Reason.METHOD, "health is asked for with GET")
        if not self._is_healthy():
            return _answer(503, 18, "HEC is unhealthy, queues are full")
        return _answer(200, 17, "HEC is healthy")

    def format_of(self, request: Request) -> str:
        """`hec`, whatever the content type: forwarders send many or none."""
        if request.path not in _DATA:
            raise Refusal(Reason.NOT_FOUND, "no such path", hint="metrics are sent to /services/collector")
        if request.method != "POST":
            raise Refusal(Reason.METHOD, "events are sent with POST")
        return "hec"

    def encoding_of(self, request: Request) -> str:
        """As the header says; none where it is absent."""
        return request.headers.get("content-encoding", "")

    def taken(self, _request: Request, receipt: Receipt, content: bytes) -> Answer:
        """Code 0; 5 for a body without events, 6 where some points were bad."""
        if not receipt.is_clean:
            if not receipt.accepted and _lacks_event(content):
                return _answer(400, _EVENT_REQUIRED, _TEXTS[_EVENT_REQUIRED])
            return _answer(400, 6, f"{_TEXTS[6]}: {receipt.accepted} stored, {receipt.reasons}")
        if not receipt.accepted and not receipt.ignored:
            return _answer(400, 5, _TEXTS[5])
        return _answer(200, 0, "Success")

    def refused(self, _request: Request, refusal: Refusal) -> Answer:
        """Splunk's code and text for the reason, with ours behind it."""
        reason = refusal.reason
        code = reason.hec
        text = _TEXTS.get(code)
        told = refusal.text if text is None else text if code in (2, 3, 4, 5, 9) else f"{text}: {refusal.text}"
        return _answer(_STATUS.get(reason, reason.http), code, told)


def _lacks_event(content: bytes) -> bool:
    """Whether the body is one JSON object that is no event."""
    try:
        one = msgspec.json.decode(content)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return isinstance(one, dict) and "event" not in one and "fields" not in one


def _answer(status: int, code: int, text: str) -> Answer:
    return Answer(status, msgspec.json.encode({"text": text, "code": code}), "application/json")
