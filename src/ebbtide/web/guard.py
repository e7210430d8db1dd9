"""What every request passes before anything of ours runs: the host it asks for, its origin, its size; and the headers
that every answer carries.

Checking the host stops a foreign name that was pointed at this address; checking the origin stops another site's page
from sending requests in its visitor's name, also where there is no log-in.
"""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE = ("GET", "HEAD", "OPTIONS")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
#: Probes come to the address of a pod, under no name of ours.
_ANY_HOST = ("/healthz", "/readyz")

#: So long a body may take to come, whatever it is.
_BODY_TIME_S = 15.0
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: Not `no-referrer`: with that a browser sends `Origin: null` from our own forms, as it does for another site.
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


class _Refused(HTTPException):
    """More bytes came than are taken, or too slowly. A kind that FastAPI passes on from where it reads a body."""


class Guard:
    """ASGI middleware. `hosts` are names without a port that are ours beside loopback."""

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str], most_body_bytes: int, body_time_s: float = _BODY_TIME_S
    ) -> None:
        self._app = app
        self._body_time_s = body_time_s
        self._hosts = hosts | _LOOPBACK
        self._most = most_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_begun = False

        async def answering(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if "cache-control" not in headers:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            try:
                await self._app(scope, self._counting(receive), answering)
                return
            except _Refused as error:
                if has_begun:
                    raise
                refusal = (error.status_code, error.detail, "send less at once")
        await _refuse(answering, *refusal)

    def _counting(self, receive: Receive) -> Receive:
        taken, is_whole = 0, False
        deadline_s = asyncio.get_running_loop().time() + self._body_time_s

        async def counted() -> Message:
            nonlocal taken, is_whole
            if is_whole:  # what is awaited now is that the visitor leaves
                return await receive()
            try:
                async with asyncio.timeout_at(deadline_s):
                    message = await receive()
            except TimeoutError:
                raise _Refused(408, f"the request was not here after {self._body_time_s:g} s") from None
            taken += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if taken > self._most:
                raise _Refused(413, f"a request of more than {self._most} bytes")
            return message

        return counted

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if scope["path"] not in _ANY_HOST and name_of(host) not in self._hosts:
            return 421, "this host is not served here", "set the public address, or add the name to the allowed hosts"
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > self._most:
            return 413, f"a request of more than {self._most} bytes", "send less at once"
        if scope["method"] not in _SAFE:
            origin = headers.get("origin")
            is_foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
            if is_foreign or headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return 403, "the request comes from another site", "use this site's own pages, or a token"
        return None


def name_of(host: str) -> str:
    """The name in a Host header, without its port, in small letters.

    >>> name_of("Ebbtide.example:8443"), name_of("[::1]:80")
    ('ebbtide.example', '[::1]')
    """
    name = host.strip().lower()
    return name[: name.find("]") + 1] if name.startswith("[") else name.partition(":")[0]


async def _refuse(send: Send, status: int, message: str, hint: str) -> None:
    body = json.dumps({"message": message, "hint": hint, "where": "", "problems": []}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
