"""One HTTP POST, to an address that was judged, within one deadline, without redirects.

The standard library's client does it: what is needed beyond it (dial this address, check that name, stop after so many
seconds in all, read at most so much) is here in a page, and any HTTP library would need the same page as a transport.
Proxies of the environment are not used: the address that was judged is the one that is dialled.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, field_validator, model_validator

from ebbtide import __version__
from ebbtide.deliver.address import Resolve, dialled, system_resolve
from ebbtide.deliver.deadline import dial, http_over
from ebbtide.deliver.sink import Permanent, Retryable, SinkSettings
from ebbtide.deliver.tls import Tls, refused
from ebbtide.finding.text import one_line
from ebbtide.series import SECOND_NS

#: More of an answer than this is never needed.
LARGEST_REPLY_BYTES = 64 * 1024
#: The peer says that this delivery is wrong. Everything else says that the peer or our settings are.
_REFUSED = frozenset({400, 406, 411, 413, 414, 415, 422, 431})
#: A peer that asks for more patience than an hour is asked again after an hour.
LONGEST_WAIT_S = 3600.0


class HttpSettings(SinkSettings):
    """Where to post to and how long to wait.

    `timeout_s` bounds a whole delivery (connect, TLS, write, answer). `allow_private` lets the host be a private or
    loopback address; metadata and link-local addresses are never dialled. `allow_plaintext` lets a secret travel over
    `http://`.
    """

    url: str
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 10.0
    allow_private: bool = True
    allow_plaintext: bool = False
    tls: Tls = Tls()

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        if not url.isascii() or any(char <= " " or char == "\x7f" for char in url):
            raise ValueError("a URL is ASCII without blanks; write others as %XX")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise ValueError("not a URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
            raise ValueError("a URL starts with https:// or http:// and names a host")
        if "@" in parts.netloc:
            raise ValueError("a URL holds no user and no password; use the sink's own keys for them")
        return url

    @model_validator(mode="after")
    def _is_covered(self) -> Self:
        if self.has_secret and not self.allow_plaintext and self.url.startswith("http://"):
            raise ValueError("a secret would travel over http://; use https:// or say `allow_plaintext: true`")
        return self

    @property
    def has_secret(self) -> bool:
        """Whether a header of the request is secret."""
        return False

    @property
    def target(self) -> str:
        """Scheme, host and port; paths of webhooks are secrets."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Reply:
    """A peer's answer: status, the first bytes of the body, and what it asked for in Retry-After."""

    status: int
    body: bytes
    retry_after_s: float | None

    @property
    def is_good(self) -> bool:
        """Whether the peer says it has it."""
        return 200 <= self.status < 300


class Client:
    """Posts to one URL, from one thread. A connection per delivery, unless it is `kept` over several.

    Findings are few, and a fresh connection is never half-dead; only while many wait is one kept between them.
    """

    def __init__(self, settings: HttpSettings, *, path: str = "", resolve: Resolve = system_resolve) -> None:
        self._settings = settings
        self._parts = urlsplit(settings.url.rstrip("/") + path if path else settings.url)
        self._context = settings.tls.context() if self._parts.scheme == "https" else None
        self._resolve = resolve
        self._is_keeping = False
        self._line: socket.socket | None = None

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Within it one connection is used for all posts, as long as the peer keeps it open too."""
        self._is_keeping = True
        try:
            yield
        finally:
            self._is_keeping = False
            self._hang_up()

    def post(self, body: bytes, headers: Mapping[str, str], now_ns: int) -> Reply:
        """The answer, whatever its status. Raises Retryable where there is none within the time."""
        settings = self._settings
        deadline = time.monotonic() + settings.timeout_s
        try:
            return self._post(body, headers, now_ns, deadline)
        except ssl.SSLError as error:
            raise refused(settings.target, error) from None
        except TimeoutError:
            raise Retryable(f"{settings.target} did not answer within {settings.timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise Retryable(f"{settings.target}: {_words(error)}") from None

    def _post(self, body: bytes, headers: Mapping[str, str], now_ns: int, deadline: float) -> Reply:
        """Over the kept connection; over a new one where there is none, or the peer closed it between two posts."""
        if self._line is not None and not _has_spoken(self._line):
            try:
                return self._over(self._line, body, headers, now_ns, deadline)
            except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):  # closed as we wrote
                pass
        self._hang_up()
        parts = self._parts
        host, port = parts.hostname or "", parts.port or (443 if self._context else 80)
        allow_private = self._settings.allow_private
        address = dialled(host, port, allow_private=allow_private, resolve=self._resolve)
        self._line = dial(address, port, host, self._context, deadline)
        return self._over(self._line, body, headers, now_ns, deadline)

    def _over(
        self, line: socket.socket, body: bytes, headers: Mapping[str, str], now_ns: int, deadline: float
    ) -> Reply:
        is_good = False
        try:
            reply, may_stay = _exchange(line, deadline, self._parts, body, self._fixed | dict(headers), now_ns)
            is_good = may_stay and self._is_keeping
        finally:
            if not is_good:
                self._hang_up()
        return reply

    @property
    def _fixed(self) -> dict[str, str]:
        connection = "keep-alive" if self._is_keeping else "close"
        return {"User-Agent": f"ebbtide/{__version__}", "Connection": connection}

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def deliver(self, body: bytes, headers: Mapping[str, str], now_ns: int) -> Reply:
        """A good answer. Raises Permanent where the peer refuses this body, Retryable for everything else."""
        reply = self.post(body, headers, now_ns)
        if not reply.is_good:
            raise self._refusal(reply)
        return reply

    def _refusal(self, reply: Reply) -> Retryable | Permanent:
        """What an answer that is not good means. Its body is not repeated: it may echo the payload."""
        text = f"{self._settings.target} answered {reply.status}"
        if reply.status in _REFUSED:
            return Permanent(text)
        hints = {401: "is the token right?", 403: "is the token right?", 404: "is the URL's path right?"}
        hint = "redirects are not followed: give the final URL" if 300 <= reply.status < 400 else ""
        return Retryable(text, retry_after_s=reply.retry_after_s, hint=hints.get(reply.status, hint))


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionError):  # RemoteDisconnected is one, and an HTTPException too
        return "the connection was refused or cut"
    if isinstance(error, http.client.HTTPException):
        return "the answer is not HTTP, or was cut"
    return one_line(str(error), 200)


def _has_spoken(line: socket.socket) -> bool:
    """Whether a connection on which nothing is awaited has something to read: it was closed, or is out of step."""
    look = select.poll()
    look.register(line, select.POLLIN)
    return bool(look.poll(0))


def _exchange(
    line: socket.socket, deadline: float, parts: SplitResult, body: bytes, headers: Mapping[str, str], now_ns: int
) -> tuple[Reply, bool]:
    """The answer, and whether another request may follow on this connection."""
    connection = http_over(line, parts.netloc, deadline)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("POST", path, body, dict(headers))
    with connection.getresponse() as response:
        wait_s = _retry_after_s(response.headers.get("Retry-After", ""), now_ns)
        said = response.read(LARGEST_REPLY_BYTES)
        if response.length and len(said) < LARGEST_REPLY_BYTES:
            raise http.client.IncompleteRead(said, response.length)  # `read` with a limit takes a cut body for a whole
        return Reply(response.status, said, wait_s), response.isclosed() and not response.will_close


def _retry_after_s(text: str, now_ns: int) -> float | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3), at most `LONGEST_WAIT_S`; None where it is neither."""
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), LONGEST_WAIT_S)
    try:
        wait_s = parsedate_to_datetime(text).timestamp() - now_ns / SECOND_NS
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait_s, 0.0), LONGEST_WAIT_S)
