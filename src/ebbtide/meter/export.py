"""Sends bodies to an OTLP receiver, and keeps them in order while it is away.

In: bodies of one interval after another. Out: requests over HTTP (standard library) or gRPC (extra). The buffer is
memory with a limit in bytes; when it is full the oldest body leaves and is counted. Nothing is sent twice on purpose;
a request whose answer was lost is sent again with the same times, which a receiver de-duplicates.
"""

from __future__ import annotations

import gzip
import http.client
import random
import ssl
import urllib.parse
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from ebbtide.errors import ServiceError, UsageError
from ebbtide.meter.otlp import Body, rejected_points

_RETRY_STATUS = frozenset({408, 429, 502, 503, 504})
_GRPC_METHOD = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
_GRPC_RETRY = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
GRPC_HINT = "pip install grpcio, or give an http:// address (OTLP/HTTP, port 4318)"


class Outcome(Enum):
    """What became of a request."""

    SENT = "sent"
    LATER = "later"  # worth another try
    REFUSED = "refused"  # will never be taken


@dataclass(frozen=True, slots=True)
class Answer:
    """Outcome of one request, points refused in an answer of success, and what was wrong."""

    outcome: Outcome
    rejected: int = 0
    error: str = ""
    retry_after_s: float | None = None


class Sender(Protocol):
    """One request. Called from the meter's thread; must not raise for anything the network does."""

    def send(self, packed: bytes) -> Answer:
        """Send an encoded request, compressed with gzip, and say what became of it."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send. `endpoint` is http://, https:// (path /v1/metrics unless it has one), or grpc:// and grpcs://."""

    endpoint: str
    headers: tuple[tuple[str, str], ...] = ()
    ca_path: str | None = None
    timeout_s: float = 10.0


def sender_for(target: Target) -> Sender:
    """The sender for an endpoint's scheme. Raises UsageError for any other, ServiceError without grpcio."""
    scheme = urllib.parse.urlsplit(target.endpoint).scheme
    if scheme in ("http", "https"):
        return HttpSender(target)
    if scheme in ("grpc", "grpcs"):
        return GrpcSender(target)
    raise UsageError(
        f"not an OTLP endpoint: {target.endpoint!r}", hint="for example http://ebbtide:4318 or grpc://collector:4317"
    )


class HttpSender:
    """OTLP/HTTP, protobuf, gzip, one connection kept open."""

    def __init__(self, target: Target) -> None:
        parts = urllib.parse.urlsplit(target.endpoint)
        self._target = target
        self._path = parts.path if parts.path not in ("", "/") else "/v1/metrics"
        self._host = parts.hostname or "localhost"
        self._port = parts.port or 4318
        self._tls = ssl.create_default_context(cafile=target.ca_path) if parts.scheme == "https" else None
        self._connection: http.client.HTTPConnection | None = None

    def send(self, packed: bytes) -> Answer:
        """POST once; a connection that fails is opened anew next time."""
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **dict(self._target.headers)}
        try:
            connection = self._connected()
            connection.request("POST", self._path, packed, headers)
            response = connection.getresponse()
            data = response.read(1 << 20)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(Outcome.LATER, error=f"{type(error).__name__}: {error}")
        if response.will_close or not response.isclosed():
            self.close()
        return _answer(response.status, response.getheader("Retry-After"), data)

    def close(self) -> None:
        """Close the connection; the next request opens one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            timeout_s = self._target.timeout_s
            if self._tls is not None:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=timeout_s, context=self._tls
                )
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        return self._connection


def _answer(status: int, retry_after: str | None, data: bytes) -> Answer:
    if 200 <= status < 300:
        return Answer(Outcome.SENT, rejected_points(data))
    error = f"HTTP {status}"
    if status in _RETRY_STATUS:
        wait = float(retry_after) if retry_after and retry_after.isdecimal() else None
        return Answer(Outcome.LATER, error=error, retry_after_s=wait)
    return Answer(Outcome.REFUSED, error=error)


class GrpcSender:
    """OTLP/gRPC with the optional grpcio; bodies are already encoded, so no generated stubs are needed."""

    def __init__(self, target: Target) -> None:
        try:
            import grpc  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise ServiceError("sending over gRPC needs grpcio", hint=GRPC_HINT) from None
        parts = urllib.parse.urlsplit(target.endpoint)
        address = f"{parts.hostname or 'localhost'}:{parts.port or 4317}"
        options = [("grpc.default_compression_algorithm", 2)]
        self._target = target
        self._error: Any = grpc.RpcError
        if parts.scheme == "grpcs":
            root = None
            if target.ca_path:
                with open(target.ca_path, "rb") as file:  # noqa: PTH123
                    root = file.read()
            self._channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(root), options)
        else:
            self._channel = grpc.insecure_channel(address, options)
        self._export = self._channel.unary_unary(_GRPC_METHOD)

    def send(self, packed: bytes) -> Answer:
        """Call once; gRPC compresses in its own framing."""
        try:
            data = self._export(gzip.decompress(packed), timeout=self._target.timeout_s, metadata=self._target.headers)
        except self._error as error:
            code = error.code().name
            outcome = Outcome.LATER if code in _GRPC_RETRY else Outcome.REFUSED
            return Answer(outcome, error=f"gRPC {code}")
        return Answer(Outcome.SENT, rejected_points(data))

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()


@dataclass(slots=True)
class ExportCounts:
    """Points by what became of them: each that came in is sent, dropped, or still waiting."""

    sent: int = 0
    rejected: int = 0  # of those sent, refused by the receiver
    dropped_full: int = 0
    dropped_refused: int = 0
    failures: int = 0
    last_error: str = ""


@dataclass(slots=True)
class Exporter:
    """Sends what waits, oldest first. `flush` does what can be done now and never waits by itself.

    `limit_bytes` bounds what waits (32 MiB: an hour of a node with 1,500 points an interval, before any is dropped).
    """

    sender: Sender
    limit_bytes: int = 32 << 20
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    chance: Callable[[], float] = random.random
    counts: ExportCounts = field(default_factory=ExportCounts)
    _waiting: deque[tuple[bytes, int]] = field(default_factory=deque)
    _waiting_bytes: int = 0
    _failed_in_row: int = 0
    _next_at_s: float = float("-inf")

    @property
    def waiting_bytes(self) -> int:
        """Compressed bytes that wait."""
        return self._waiting_bytes

    @property
    def waiting_points(self) -> int:
        """Points that wait."""
        return sum(points for _, points in self._waiting)

    def put(self, body: Body) -> None:
        """Queue a body; the oldest leave when there is no room."""
        packed = gzip.compress(body.data, 5, mtime=0)
        self._waiting.append((packed, body.points))
        self._waiting_bytes += len(packed)
        while self._waiting_bytes > self.limit_bytes:
            self.counts.dropped_full += self._take()

    def flush(self, now_s: float, limit: int = 32) -> None:
        """Send up to `limit` waiting bodies, until one fails; after a failure not before the wait is over."""
        while self._waiting and limit > 0 and now_s >= self._next_at_s:
            limit -= 1
            answer = self.sender.send(self._waiting[0][0])
            if answer.outcome is Outcome.LATER:
                self._back_off(now_s, answer)
                return
            points = self._take()
            self._failed_in_row = 0
            if answer.outcome is Outcome.SENT:
                self.counts.sent += points
                self.counts.rejected += answer.rejected
            else:
                self.counts.dropped_refused += points
                self.counts.failures += 1
                self.counts.last_error = answer.error

    def _back_off(self, now_s: float, answer: Answer) -> None:
        self.counts.failures += 1
        self.counts.last_error = answer.error
        wait = min(self.longest_wait_s, self.first_wait_s * 2**self._failed_in_row) * (0.5 + self.chance() / 2)
        self._failed_in_row = min(self._failed_in_row + 1, 30)
        self._next_at_s = now_s + max(wait, min(answer.retry_after_s or 0.0, self.longest_wait_s))

    def _take(self) -> int:
        packed, points = self._waiting.popleft()
        self._waiting_bytes -= len(packed)
        return points
