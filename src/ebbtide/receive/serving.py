"""The receivers' open ports: an HTTP port or a grpc server for each listener.

In come settings and a started intake, out come servers with `port` and `stop`. Stopping is gentle: no new requests,
those in flight are answered, which needs the intake; so servers stop first, then the intake.
"""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import grpc

from ebbtide.receive.certificates import Certificates
from ebbtide.receive.http import app
from ebbtide.receive.intake import Intake
from ebbtide.receive.otlp_grpc import MetricsHandler
from ebbtide.receive.port import HttpPort, PortBounds, taken
from ebbtide.receive.settings import Kind, Listener, Receivers
from ebbtide.receive.tokens import check_bind

#: Longer than an answer may take: whoever is in flight gets one.
_GRACE_S: Final = 8.0
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
    except BaseException:  # all or none, also on Ctrl-C
        for server in servers:
            server.stop()
        raise
    return servers


def open_listener(intake: Intake, listener: Listener, kind: Kind) -> Server:
    """Open one listener. Raises as `serve`."""
    if kind == "otlp_grpc":
        return GrpcServer(intake, listener)
    limits = listener.limits
    bounds = PortBounds(limits.header_time, limits.header_bytes, limits.connections, limits.idle_time, _GRACE_S)
    port = HttpPort(app(intake, listener, kind), listener, bounds, kind, lambda why: intake.tally.refuse(kind, why))
    port.start()
    return port


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
            if listener.tls is None:
                self.port: int = self._server.add_insecure_port(listener.address)
            else:
                refuse = functools.partial(intake.tally.refuse, "otlp_grpc", "certificate")
                certificates = Certificates(listener.tls, listener.address, refuse)
                self.port = self._server.add_secure_port(listener.address, certificates.credentials())
        except RuntimeError as error:
            self._close()
            raise taken(listener.address, error) from error
        except BaseException:  # whatever it was, also Ctrl-C: no thread of the pool is left
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
