"""Open ports: a thread with uvicorn for each HTTP listener, a grpc server for each gRPC one.

In come settings and a started intake, out come servers with `port` and `stop`. Stopping is gentle: no new requests,
those in flight are answered, which needs the intake; so servers stop first, then the intake.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import grpc
import uvicorn

from ebbtide.errors import ServiceError
from ebbtide.receive.certificates import Certificates
from ebbtide.receive.connection import bounded
from ebbtide.receive.http import app
from ebbtide.receive.intake import Intake
from ebbtide.receive.otlp_grpc import MetricsHandler
from ebbtide.receive.settings import Kind, Listener, Receivers
from ebbtide.receive.tokens import check_bind

#: Longer than an answer may take: whoever is in flight gets one.
_GRACE_S: Final = 8.0
_START_S: Final = 10.0
_BACKLOG: Final = 256
#: A gRPC connection is asked to come anew after this; what still hangs in it then is cut.
_AGE_MS: Final = 600_000
_AGE_GRACE_MS: Final = 10_000


class Server(Protocol):
    """An open port."""

    port: int

    def stop(self) -> None:
        """Answer what is in flight and close. Blocks, for some seconds at most."""
        ...


def serve(intake: Intake, receivers: Receivers) -> list[Server]:
    """Open every listener; the intake is started. All or none.

    Raises ConfigError for what may not or cannot be opened as written, ServiceError for a port that is taken.
    """
    for kind, listener in receivers.listeners():
        check_bind(listener, where=kind)
    servers: list[Server] = []
    try:
        for kind, listener in receivers.listeners():
            servers.append(open_listener(intake, listener, kind))
    except BaseException:
        for server in servers:
            server.stop()
        raise
    return servers


def open_listener(intake: Intake, listener: Listener, kind: Kind) -> Server:
    """Open one listener. Raises as `serve`."""
    if kind == "otlp_grpc":
        return GrpcServer(intake, listener)
    return HttpServer(intake, listener, kind)


class HttpServer:
    """A listener of OTLP/HTTP, remote write or HEC, served by uvicorn in a thread of its own."""

    def __init__(self, intake: Intake, listener: Listener, kind: Kind) -> None:
        limits = listener.limits
        application = app(intake, listener, kind)
        count = intake.tally.refuse
        certificates = _certificates(intake, listener, kind)
        config = uvicorn.Config(
            application,
            loop="asyncio",
            http=bounded(limits.header_time, limits.connections, lambda: count(kind, "connections")),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=max(1, round(limits.idle_time)),
            timeout_graceful_shutdown=round(_GRACE_S),
            h11_max_incomplete_event_size=limits.header_bytes,
            ssl_context_factory=None if certificates is None else lambda _config, _default: certificates.context,
        )
        self._socket = _bind(listener)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Uvicorn(config, limits.header_time, certificates, lambda: count(kind, "connection"))
        self._thread = threading.Thread(target=self._run, name=f"ebbtide-{kind}", daemon=True)
        self._thread.start()
        if not self._server.is_up.wait(_START_S) or not self._server.started:
            self.stop()
            raise ServiceError(f"the listener on {listener.address} did not start")

    def stop(self) -> None:
        """Answer what is in flight and close."""
        self._server.end()
        self._thread.join(_GRACE_S + 4)
        self._socket.close()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._server.is_up.set()


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


class GrpcServer:
    """A listener of OTLP/gRPC, served by a pool of threads."""

    def __init__(self, intake: Intake, listener: Listener) -> None:
        self._handler = MetricsHandler(intake, listener)
        limits = listener.limits
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="ebbtide-otlp-grpc")
        options: list[tuple[str, Any]] = [
            ("grpc.max_receive_message_length", limits.body),
            ("grpc.per_message_decompression", 0),  # ours stops at the limit
            ("grpc.max_metadata_size", limits.header_bytes),
            ("grpc.absolute_max_metadata_size", limits.header_bytes),
            ("grpc.max_concurrent_streams", max(limits.workers * 4, 100)),
            ("grpc.server_handshake_timeout_ms", round(limits.header_time * 1000)),
            ("grpc.max_connection_age_ms", _AGE_MS),
            ("grpc.max_connection_age_grace_ms", _AGE_GRACE_MS),
            ("grpc.so_reuseport", 0),
        ]
        self._server = grpc.server(self._pool, handlers=[self._handler], options=options)
        try:
            certificates = _certificates(intake, listener, "otlp_grpc")
            if certificates is None:
                self.port: int = self._server.add_insecure_port(listener.address)
            else:
                self.port = self._server.add_secure_port(listener.address, certificates.credentials())
        except RuntimeError as error:
            self._close()
            raise _taken(listener, error) from error
        except BaseException:
            self._close()
            raise
        self._server.start()

    def stop(self) -> None:
        """Answer what is in flight and close."""
        self._server.stop(_GRACE_S).wait()
        self._close()

    def _close(self) -> None:
        self._pool.shutdown()
        self._handler.deadlines.close()


def _bind(listener: Listener) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((listener.host, listener.port))
    except OSError as error:
        bound.close()
        raise _taken(listener, error) from error
    return bound


def _taken(listener: Listener, error: Exception) -> ServiceError:
    return ServiceError(f"cannot listen on {listener.address}: {error}", hint="is the port taken by another process?")


def _certificates(intake: Intake, listener: Listener, kind: Kind) -> Certificates | None:
    if listener.tls is None:
        return None
    return Certificates(listener.tls, listener.address, lambda: intake.tally.refuse(kind, "certificate"))
