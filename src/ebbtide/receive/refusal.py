"""Why a request was not taken, once for all protocols: each says it in its own codes.

A `Refusal` is raised by whatever reads a request and caught at its border. Whether the sender should come again is part
of the reason: a wrong choice here either loses data or has it sent for ever.
"""

from __future__ import annotations

from enum import Enum

from ebbtide.errors import DecodeError, EbbtideError


class Reason(Enum):
    """(name in counters, HTTP status, google.rpc.Code, Splunk HEC code); what each code means is its protocol's.

    HTTP 429, 502, 503 and 504 are what OTLP senders retry, 5xx what Prometheus retries; so pressure is 503, and so is
    a body that came too slowly: 408 would have it dropped.
    """

    NOT_FOUND = ("not_found", 404, 12, 404)
    METHOD = ("method", 405, 12, 405)
    CONTENT_TYPE = ("content_type", 415, 3, 6)
    ENCODING = ("encoding", 415, 3, 6)
    NO_TOKEN = ("no_token", 401, 16, 2)
    BAD_AUTHORIZATION = ("bad_authorization", 401, 16, 3)
    UNKNOWN_TOKEN = ("unknown_token", 401, 16, 4)
    FORBIDDEN = ("forbidden", 403, 7, 4)
    TOO_LARGE = ("too_large", 413, 8, 6)
    TOO_SLOW = ("too_slow", 503, 14, 9)
    NO_DATA = ("no_data", 400, 3, 5)
    BAD_BODY = ("bad_body", 400, 3, 6)
    BAD_REQUEST = ("bad_request", 400, 3, 6)
    BUSY = ("busy", 503, 14, 9)
    INTERNAL = ("internal", 503, 14, 8)

    def __init__(self, word: str, http: int, grpc: int, hec: int) -> None:
        self.word = word
        self.http = http
        self.grpc = grpc
        self.hec = hec

    @property
    def is_retryable(self) -> bool:
        """Whether the same request may be taken later."""
        return self in (Reason.BUSY, Reason.INTERNAL, Reason.TOO_SLOW)


class Refusal(EbbtideError):
    """A request that was not taken, and why."""

    def __init__(self, reason: Reason, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason

    @property
    def text(self) -> str:
        """Message and hint, for the sender's log."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


def not_stored(error: Exception) -> Refusal:
    """What the sender hears of an error of the intake's future: its body was bad, or may come again."""
    if isinstance(error, DecodeError):
        return Refusal(Reason.BAD_BODY, error.message, hint=error.hint)
    if isinstance(error, TimeoutError):
        return Refusal(Reason.BUSY, "the data is not stored yet", hint="send it again; nothing counts twice")
    return Refusal(Reason.INTERNAL, str(error), hint="send it again later")
