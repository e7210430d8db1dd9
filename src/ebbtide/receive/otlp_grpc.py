"""OTLP over gRPC: `MetricsService/Export`, raw bytes through a generic handler, status with RetryInfo.

The library would unpack messages before anything could bound them, so it is told not to: a packed message is known by
its first bytes and unpacked here. The request is read as a stream of one, because only so the sender can be looked at,
and its time limited, before its message is in memory. Source: opentelemetry-proto docs/specification.md, "OTLP/gRPC".
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, Final
from urllib.parse import unquote

import grpc

from ebbtide.errors import EbbtideError
from ebbtide.receive.bounded import magic_of, unpack
from ebbtide.receive.deadlines import Deadlines
from ebbtide.receive.intake import Intake
from ebbtide.receive.receipt import Receipt
from ebbtide.receive.refusal import Reason, Refusal, not_stored
from ebbtide.receive.settings import Listener
from ebbtide.receive.source import Source, sources_of
from ebbtide.receive.status import export_response, rpc_status
from ebbtide.receive.tokens import Gate

METHOD: Final = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
PROTOCOL: Final = "otlp_grpc"
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class MetricsHandler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Serves Export of one listener, from the threads of the server's pool."""

    def __init__(self, intake: Intake, listener: Listener) -> None:
        self._intake = intake
        self._limits = listener.limits
        self._gate = Gate(listener)
        self._sources = sources_of(listener)
        self.deadlines = Deadlines(listener.limits.body_time)

    def service(self, handler_call_details: Any) -> Any:
        """The handler of a method; None lets the library answer UNIMPLEMENTED."""
        if handler_call_details.method != METHOD:
            return None
        return grpc.stream_unary_rpc_method_handler(self.export)

    def export(self, messages: Iterator[bytes], context: Any) -> bytes:
        """One request: an encoded ExportMetricsServiceResponse, or b"" with the context's code set."""
        try:
            receipt = self._export(messages, context)
        except Refusal as refusal:
            self._intake.tally.refuse(PROTOCOL, refusal.reason.word)
            self._refuse(context, refusal)
            return b""
        except Exception as error:  # noqa: BLE001  a request's border: a bug must not look like success
            self._intake.tally.bug()
            self._intake.tally.refuse(PROTOCOL, Reason.INTERNAL.word)
            self._refuse(context, not_stored(error))
            return b""
        return export_response(receipt.rejected.total(), receipt.reasons)

    def _export(self, messages: Iterator[bytes], context: Any) -> Receipt:
        metadata = {key.lower(): value for key, value in context.invocation_metadata()}
        sender = self._gate.admit(_text(metadata.get("authorization")), _peer(context.peer()))
        with self.deadlines.over(context.cancel):
            message = next(messages, None)
        if message is None:
            raise Refusal(Reason.TOO_SLOW, "no message came, or none that could be taken")
        with self._intake.room.hold() as hold:
            hold.take(len(message))
            content = unpack(message, magic_of(message), self._limits.body, hold.take)
        return self._receipt(content, self._sources[sender.cluster], context)

    def _receipt(self, content: bytes, source: Source, context: Any) -> Receipt:
        future: Future[Receipt] = self._intake.submit(content, "otlp_proto", source, PROTOCOL)
        remaining = context.time_remaining()
        wait_s = self._limits.answer_time if remaining is None else min(self._limits.answer_time, remaining)
        try:
            return future.result(max(wait_s, 0))
        except (TimeoutError, EbbtideError) as error:
            if isinstance(error, TimeoutError):
                future.cancel()
                self._intake.tally.answer_late(PROTOCOL)
            raise not_stored(error) from error

    def _refuse(self, context: Any, refusal: Refusal) -> None:
        reason = refusal.reason
        context.set_code(_CODES[reason.grpc])
        context.set_details(refusal.text)
        wait_s = self._limits.retry_after if reason.is_retryable else None
        context.set_trailing_metadata((("grpc-status-details-bin", rpc_status(reason.grpc, refusal.text, wait_s)),))


def _text(value: str | bytes | None) -> str | None:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _peer(peer: str) -> str:
    """The address in `ipv4:10.0.0.1:4242` or `ipv6:%5B::1%5D:4242`; "" where there is none."""
    kind, _, rest = unquote(peer).partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    return rest.rpartition(":")[0].strip("[]")
