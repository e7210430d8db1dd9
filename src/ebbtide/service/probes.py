"""`/healthz`, `/readyz` and `/metrics` in front of the pages: what an orchestrator and a scraper ask, without a log-in.

An ASGI application of a few lines, so that probes answer even where nothing else is served. `/healthz` says that the
process answers, `/readyz` that its rounds go well.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from ebbtide.telemetry import CONTENT_TYPE

# `Any`: ASGI's messages are dictionaries of whatever the protocol says.
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]


class Probes:
    """The probes, and `inner` for every other path (404 where there is none).

    `trouble` is told beside "ready": what does not make the service unready, and needs somebody all the same.
    """

    def __init__(
        self,
        is_ready: Callable[[], bool],
        metrics: Callable[[], bytes],
        inner: App | None = None,
        trouble: Callable[[], str] = str,
    ) -> None:
        self._is_ready = is_ready
        self._metrics = metrics
        self._inner = inner
        self._trouble = trouble

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = scope.get("path") if scope["type"] == "http" else None
        if path == "/healthz":
            await _answer(send, 200, b"alive\n")
        elif path == "/readyz":
            is_ready = self._is_ready()
            told = "ready" if is_ready else "nothing was judged for long"
            if trouble := self._trouble():
                told += f"; {trouble}"
            await _answer(send, 200 if is_ready else 503, f"{told}\n".encode())
        elif path == "/metrics":
            await _answer(send, 200, self._metrics(), CONTENT_TYPE)
        elif self._inner is not None:
            await self._inner(scope, receive, send)
        elif path is not None:
            await _answer(send, 404, b"nothing here; see /healthz, /readyz, /metrics\n")


async def _answer(send: Send, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
