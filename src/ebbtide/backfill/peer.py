"""One HTTP GET of a metrics server: within a deadline, of bounded size, without redirects, tried again with patience.

In comes a path with its query, out come bytes that are whole. A body cut short, a peer that drips and one that never
ends are all told apart from an answer: history with holes nobody knows of would be learned as silence.
"""

from __future__ import annotations

import http.client
import random
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from ebbtide import __version__
from ebbtide.deliver.backoff import Retry, Rng
from ebbtide.deliver.deadline import dial, http_over
from ebbtide.deliver.server import server_of
from ebbtide.errors import DataError, ServiceError
from ebbtide.finding.text import one_line
from ebbtide.series import SECOND_NS

#: A server that is asked for less at once answers sooner; more of it would not fit beside the store.
BODY_BYTES_MAX: Final = 64 << 20
_READ_BYTES: Final = 1 << 18
#: Other answers would be the same the next time.
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
#: A server that restarts is back within the minute that six attempts take at most.
PATIENCE: Final = Retry.model_validate({"first": "1s", "longest": "30s", "attempts": 6})


class TooLarge(DataError):
    """The answer is larger than what is read, or than what the server gives: ask for less."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a whole body."""

    status: int
    body: bytes


class _Unanswered(Exception):
    """No answer this time; `hint` says what may be wrong."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Peer:
    """A server and how it is asked.

    `timeout_s` bounds one request as a whole, `body_bytes` its answer. `sleep` and `rng` are there for tests.
    """

    url: str
    token: str = field(default="", repr=False)
    ca: Path | None = None
    timeout_s: float = 120.0
    body_bytes: int = BODY_BYTES_MAX
    retry: Retry = PATIENCE
    sleep: Callable[[float], None] = time.sleep
    rng: Rng = random.random

    @classmethod
    def of(cls, url: str, *, token: str = "", is_plaintext_allowed: bool = False, **settings: Any) -> Peer:
        """A peer at an address that is one. Raises UsageError. `Any`: the other fields, as they are."""
        server_of(
            url, token, example="http://prometheus:9090", plaintext_hint="use https://, or say --allow-plaintext",
            is_plaintext_allowed=is_plaintext_allowed,
        )  # fmt: skip
        return cls(url.rstrip("/"), token, **settings)

    def get(self, path: str, query: list[tuple[str, str]], *, is_refusal_answer: bool = False) -> Answer:
        """The answer; with `is_refusal_answer` also one that says no (4xx).

        Raises TooLarge, ServiceError where no answer came after all attempts or the server refuses us, DataError where
        it refuses the question.
        """
        failures = 0
        while True:
            try:
                answer = self._once(path, query)
                if answer.status in _AGAIN:
                    raise _Unanswered(f"it answered {answer.status}{_said(answer.body)}")
            except _Unanswered as error:
                failures += 1
                if failures >= self.retry.attempts:
                    message = f"{self.url} gave no answer after {failures} attempts: {error}"
                    raise ServiceError(
                        message, hint=f"{error.hint or 'is it up and not overloaded?'} {RESUME}"
                    ) from None
                self.sleep(self.retry.wait_ns(failures, self.rng) / SECOND_NS)
                continue
            if answer.status != 200 and not (is_refusal_answer and 400 <= answer.status < 500):
                raise self._refusal(answer)
            return answer

    def _refusal(self, answer: Answer) -> ServiceError | DataError:
        text = f"{self.url} answered {answer.status}{_said(answer.body)}"
        if answer.status in (401, 403):
            return ServiceError(text, hint="is the token right? Give it by --token-file or EBBTIDE_BACKFILL_TOKEN")
        if 300 <= answer.status < 400:
            return ServiceError(text, hint="redirects are not followed: give the final URL")
        if answer.status in (404, 405):
            return ServiceError(text, hint="is this the address of a Prometheus API, up to before /api/v1?")
        if answer.status == 422 and b"too many samples" in answer.body:
            return TooLarge(text)
        return DataError(text, hint="the server does not take the question: is --match a label matcher?")

    def _once(self, path: str, query: list[tuple[str, str]]) -> Answer:
        parts = urlsplit(self.url)
        deadline = time.monotonic() + self.timeout_s
        try:
            with self._dial(parts, deadline) as sock:
                return self._exchange(sock, parts, f"{parts.path}{path}?{urlencode(query)}", deadline)
        except ssl.SSLError as error:
            raise ServiceError(
                f"no TLS with {self.url}: {one_line(str(error), 200)}", hint="is its certificate signed by --ca FILE?"
            ) from None
        except TimeoutError:
            raise _Unanswered(
                f"no answer within {self.timeout_s:g} s", "is a proxy or a firewall in between?"
            ) from None
        except http.client.HTTPException as error:
            raise _Unanswered(f"the answer is not HTTP, or was cut ({type(error).__name__})") from None
        except OSError as error:
            raise _Unanswered(one_line(str(error), 200), "is the address right?") from None

    def _dial(self, parts: SplitResult, deadline: float) -> socket.socket:
        host = parts.hostname or ""
        context = ssl.create_default_context(cafile=self.ca) if parts.scheme == "https" else None
        return dial(host, parts.port or (443 if context else 80), host, context, deadline)

    def _exchange(self, sock: socket.socket, parts: SplitResult, target: str, deadline: float) -> Answer:
        connection = http_over(sock, parts.netloc, deadline)
        headers = {"User-Agent": f"ebbtide/{__version__}", "Connection": "close", "Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request("GET", target, headers=headers)
        with connection.getresponse() as response:
            body = bytearray()
            while part := response.read1(_READ_BYTES):
                body += part
                if len(body) > self.body_bytes:
                    raise TooLarge(f"an answer of {self.url} has more than {self.body_bytes:,} bytes")
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            return Answer(response.status, bytes(body))


#: What every failure says at its end.
RESUME: Final = "What is done is kept: the same command goes on from there."


def _said(body: bytes) -> str:
    """What a server says of an error, as one short line."""
    text = one_line(body[:1000].decode("utf-8", "replace"), 300).strip()
    return f": {text}" if text else ""
