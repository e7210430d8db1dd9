"""A connection of an HTTP listener that has to get on with it: the time for a request's head is limited.

uvicorn limits idle connections between requests, but a sender that opens one and says nothing, or a letter a minute,
would hold it for ever. Some hundred of them would be all connections there may be.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_QUIET = logging.Logger("ebbtide.receive.connection", logging.CRITICAL + 1)


class Connection(H11Protocol):
    """uvicorn's h11 connection with a deadline for each head, and a bound for their number.

    The server makes one for each connection; all methods are called from its event loop. What stands here as class
    attributes is set by `bounded` for each listener.
    """

    header_time_s: float = 10.0
    connections_max: int = 1024
    count_refused: Callable[[], None] = staticmethod(lambda: None)
    _deadline: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        # Its messages are about what strangers send, one line each: they are refused, that is enough.
        self.logger = _QUIET

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """A sender connected: its first head is awaited. One too many is hung up on unheard."""
        super().connection_made(transport)
        if len(self.connections) > self.connections_max:
            self.count_refused()
            transport.abort()
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        """Bytes came. Between two requests they begin a next head, which from then on has its time."""
        is_between = self.cycle is not None and self.cycle.response_complete
        if is_between and self._deadline is None:
            self._await_head()
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """The sender or the server hung up."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._deadline = self.loop.call_later(self.header_time_s, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.abort()


def bounded(header_time_s: float, connections_max: int, count_refused: Callable[[], None]) -> type[Connection]:
    """The connection class of a listener; `count_refused` is called for each connection too many."""
    members: dict[str, Any] = {
        "header_time_s": header_time_s,
        "connections_max": connections_max,
        "count_refused": staticmethod(count_refused),
    }
    return type("Connection", (Connection,), members)
