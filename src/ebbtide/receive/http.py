"""One HTTP listener: requests in, bodies to the intake, answers out; the same care for every dialect.

An ASGI application without a framework. The order is the point: path, token and announced size are looked at before a
byte of the body is kept; what is kept counts in the intake's room; reading has a deadline; unpacking stops at the
limit. A request that is refused before its body was read costs the sender its connection, so that nothing left in it
can be taken for a next request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any, Final

from ebbtide.errors import EbbtideError
from ebbtide.receive.bounded import unpack
from ebbtide.receive.dialect import Answer, Dialect, Request
from ebbtide.receive.hec import HecHttp
from ebbtide.receive.intake import Intake
from ebbtide.receive.otlp_http import OtlpHttp
from ebbtide.receive.receipt import Receipt
from ebbtide.receive.refusal import Reason, Refusal, not_stored
from ebbtide.receive.remote_write import RemoteWriteHttp
from ebbtide.receive.room import Hold
from ebbtide.receive.settings import Kind, Listener
from ebbtide.receive.source import Source, sources_of
from ebbtide.receive.tokens import Gate

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

#: Larger packed bodies are unpacked beside the event loop.
_INLINE_BYTES: Final = 16 * 1024
#: How long what a refused sender still sends is read and thrown away, so that it gets to read the answer.
_LINGER_S: Final = 1.0


class _Gone(Exception):
    """The sender hung up before its request was whole."""


def app(intake: Intake, listener: Listener, kind: Kind) -> Application:
    """The ASGI application of a listener. Raises ConfigError or NotFoundError for its preset."""
    return Application(intake, listener, _dialect(kind, intake))


def _dialect(kind: Kind, intake: Intake) -> Dialect:
    if kind == "otlp_http":
        return OtlpHttp()
    if kind == "remote_write":
        return RemoteWriteHttp()
    if kind == "hec":
        return HecHttp(lambda: intake.is_alive and intake.room.held < intake.room.size // 2)
    raise ValueError(f"{kind} is not spoken over HTTP")


class Application:
    """Answers the requests of one listener."""

    def __init__(self, intake: Intake, listener: Listener, dialect: Dialect) -> None:
        self._intake = intake
        self._limits = listener.limits
        self._dialect = dialect
        self._gate = Gate(listener)
        self._sources = sources_of(listener)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request of the server's event loop."""
        if scope["type"] != "http":
            return
        request = _request(scope)
        body = _Body(receive)
        try:
            answer = self._dialect.without_body(request)
            if answer is None:
                format_name, source = self._admit(request, scope)
                content = await self._content(request, body)
                answer = self._dialect.taken(request, await self._receipt(content, format_name, source), content)
        except Refusal as refusal:
            self._intake.tally.refuse(self._dialect.name, refusal.reason.word)
            answer = self._refused(request, refusal)
        except _Gone:
            self._intake.tally.refuse(self._dialect.name, "gone")
            return
        except Exception as error:  # noqa: BLE001  a request's border: a bug must end neither in success nor the server
            self._intake.tally.bug()
            self._intake.tally.refuse(self._dialect.name, Reason.INTERNAL.word)
            answer = self._refused(request, not_stored(error))
        must_close = not body.is_whole and request.method not in ("GET", "HEAD")
        if must_close and request.headers.get("expect", "").lower() != "100-continue":
            await body.throw_away()
        await _send(send, answer, must_close=must_close)

    def _refused(self, request: Request, refusal: Refusal) -> Answer:
        answer = self._dialect.refused(request, refusal)
        if refusal.reason.is_retryable:
            answer.headers["retry-after"] = str(max(1, round(self._limits.retry_after)))
        elif refusal.reason is Reason.METHOD:
            answer.headers["allow"] = "POST"
        elif answer.status == 401:
            answer.headers["www-authenticate"] = self._dialect.scheme
        return answer

    def _admit(self, request: Request, scope: Scope) -> tuple[str, Source]:
        """Everything that can be said before the body is read: the format, and whose names are used."""
        format_name = self._dialect.format_of(request)
        peer = scope.get("client")
        sender = self._gate.admit(
            request.headers.get("authorization"), peer[0] if peer else "", scheme=self._dialect.scheme
        )
        if "content-length" in request.headers and "transfer-encoding" in request.headers:
            raise Refusal(Reason.BAD_REQUEST, "the request has both a length and chunks")
        return format_name, self._sources[sender.cluster]

    async def _content(self, request: Request, body: _Body) -> bytes:
        """The unpacked body. What it takes meanwhile is held in the intake's room."""
        encoding = self._dialect.encoding_of(request)
        is_packed = encoding.strip().lower() not in ("", "identity")
        limit = self._limits.compressed if is_packed else self._limits.body
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise Refusal(Reason.TOO_LARGE, f"the body has more than {limit} bytes", hint="send smaller batches")
        with self._intake.room.hold() as hold:
            try:
                async with asyncio.timeout(self._limits.body_time):
                    raw = await body.read(hold, limit)
            except TimeoutError:
                raise Refusal(Reason.TOO_SLOW, "the body did not come in time") from None
            if not is_packed:
                return raw
            if len(raw) <= _INLINE_BYTES:
                return unpack(raw, encoding, self._limits.body, hold.take)
            return await asyncio.to_thread(unpack, raw, encoding, self._limits.body, hold.take)

    async def _receipt(self, content: bytes, format_name: str, source: Source) -> Receipt:
        """What became of the body, once it is on disk. Raises Refusal where it is not."""
        future: Future[Receipt] = self._intake.submit(content, format_name, source, self._dialect.name)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._limits.answer_time)
        except (TimeoutError, EbbtideError) as error:
            if isinstance(error, TimeoutError):
                self._intake.tally.answer_late(self._dialect.name)
            raise not_stored(error) from error


def _request(scope: Scope) -> Request:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), value.decode("latin-1"))
    return Request(scope["method"], scope["path"], headers)


class _Body:
    """The body of one request on its way in. `is_whole` once its last byte was read."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.is_whole = False

    async def read(self, hold: Hold, limit: int) -> bytes:
        """All of it, of at most `limit` bytes. Raises Refusal, or _Gone."""
        parts: list[bytes] = []
        size = 0
        while not self.is_whole:
            part = await self._next()
            size += len(part)
            if size > limit:
                raise Refusal(Reason.TOO_LARGE, f"the body has more than {limit} bytes", hint="send smaller batches")
            hold.take(len(part))
            parts.append(part)
        return b"".join(parts)

    async def throw_away(self) -> None:
        """Read on for a while, so that the sender comes to reading the answer."""
        try:
            async with asyncio.timeout(_LINGER_S):
                while not self.is_whole:
                    await self._next()
        except (TimeoutError, _Gone):
            pass

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        self.is_whole = not message.get("more_body")
        part: bytes = message.get("body", b"")
        return part


async def _send(send: Send, answer: Answer, *, must_close: bool) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
    if answer.status != 204:
        headers.append((b"content-type", answer.media_type.encode()))
        headers.append((b"content-length", str(len(answer.body)).encode()))
    if must_close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
