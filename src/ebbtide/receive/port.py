"""One open HTTP port: uvicorn in a thread of its own, with bounds for whoever connects, and TLS where it is asked for.

In come an ASGI application and where to listen, out comes a port that is served until `stop`. The receivers and the
pages are served alike: a connection that says nothing, or a letter a minute, is hung up on, and so is one too many.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import uvicorn

from ebbtide.errors import ServiceError
from ebbtide.receive.certificates import Certificates
from ebbtide.receive.connection import bounded
from ebbtide.receive.settings import Tls

_START_S: Final = 10.0
_BACKLOG: Final = 256


class Address(Protocol):
    """Where to listen, and with which certificate."""

    @property
    def address(self) -> str:
        """As it was written, HOST:PORT."""
        ...

    @property
    def host(self) -> str:
        """The host, without brackets."""
        ...

    @property
    def port(self) -> int:
        """0 lets the system choose."""
        ...

    @property
    def tls(self) -> Tls | None:
        """None: plain HTTP."""
        ...


@dataclass(frozen=True, slots=True)
class PortBounds:
    """How long a head may take (seconds) and how large it may be, how many connections there may be, how long one may
    wait for its next request, and how long requests in flight get when the port closes."""

    header_time_s: float = 10.0
    header_bytes: int = 32 * 1024
    connections: int = 512
    idle_s: float = 75.0
    grace_s: float = 8.0


class HttpPort:
    """Serves one ASGI application; `port` is known once started.

    `count` is told what was hung up on: `connections` (one too many), `connection` (it broke), `certificate` (new files
    that cannot be used). `has_lifespan`: whether the application is told that it starts and ends.
    """

    # `Any`: ASGI applications are typed by each library for itself.
    def __init__(
        self,
        application: Any,
        where: Address,
        bounds: PortBounds,
        name: str,
        count: Callable[[str], None],
        *,
        has_lifespan: bool = False,
    ) -> None:
        self._application = application
        self._where = where
        self._bounds = bounds
        self._name = name
        self._count = count
        self._has_lifespan = has_lifespan
        self._socket: socket.socket | None = None
        self._server: _Uvicorn | None = None
        self._thread: threading.Thread | None = None
        self.port = 0

    def start(self) -> None:
        """Open the port. Raises ConfigError for a certificate that cannot be used, ServiceError for a taken port."""
        where, bounds, count = self._where, self._bounds, self._count
        certificates = Certificates(where.tls, where.address, lambda: count("certificate")) if where.tls else None
        config = uvicorn.Config(
            self._application,
            loop="asyncio",
            http=bounded(bounds.header_time_s, bounds.connections, lambda: count("connections")),
            ws="none",
            lifespan="on" if self._has_lifespan else "off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=max(1, round(bounds.idle_s)),
            timeout_graceful_shutdown=round(bounds.grace_s),
            h11_max_incomplete_event_size=bounds.header_bytes,
            ssl_context_factory=None if certificates is None else lambda _config, _default: certificates.context,
        )
        self._socket = _bind(where)
        self.port = self._socket.getsockname()[1]
        self._server = _Uvicorn(config, bounds.header_time_s, certificates, lambda: count("connection"))
        self._thread = threading.Thread(
            target=_run, args=(self._server, self._socket), name=f"ebbtide-{self._name}", daemon=True
        )
        self._thread.start()
        if not self._server.is_up.wait(_START_S) or not self._server.started:
            self.stop()
            raise ServiceError(f"the port on {where.address} did not start")

    def stop(self) -> None:
        """Answer what is in flight and close. Blocks, for some seconds at most."""
        if self._server is not None and self._thread is not None:
            self._server.end()
            self._thread.join(self._bounds.grace_s + 4)
        if self._socket is not None:
            self._socket.close()


def _run(server: _Uvicorn, bound: socket.socket) -> None:
    try:
        server.run(sockets=[bound])
    finally:
        server.is_up.set()


class _Uvicorn(uvicorn.Server):
    """Says when it is up, and counts connections that broke instead of logging each."""

    def __init__(
        self,
        config: uvicorn.Config,
        handshake_s: float,
        certificates: Certificates | None,
        count_broken: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self.is_up = threading.Event()
        self._handshake_s = handshake_s
        self._certificates = certificates
        self._count_broken = count_broken
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, with less patience than asyncio's minute for TLS that does not begin."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: self._count_broken())
        if self.config.is_ssl:
            hasty = functools.partial(loop.create_server, ssl_handshake_timeout=self._handshake_s)
            loop.create_server = hasty  # type: ignore[method-assign]  # uvicorn has no setting for it
        self._loop, self._ending = loop, asyncio.Event()
        await super().startup(sockets)
        self.is_up.set()

    async def main_loop(self) -> None:
        """As uvicorn's, but it wakes once a second, for the date and certificates, and at once when it shall end."""
        while not await self.on_tick(0):
            if self._certificates is not None:
                self._certificates.renew()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), 1.0)

    def end(self) -> None:
        """Have it end, from any thread."""
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._ending.set)


def taken(address: str, error: Exception) -> ServiceError:
    """What is said of an address that cannot be listened on."""
    return ServiceError(f"cannot listen on {address}: {error}", hint="is the port taken by another process?")


def _bind(where: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in where.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((where.host, where.port))
    except OSError as error:
        bound.close()
        raise taken(where.address, error) from error
    return bound
