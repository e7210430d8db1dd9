"""Sinks without a world: one that remembers, and its faulty twin. For tests, of this package and of plug-ins."""

from __future__ import annotations

from collections.abc import Iterable

from ebbtide.deliver.sink import Delivery


class MemorySink:
    """Keeps what it is given, in order, with the time of each call."""

    def __init__(self) -> None:
        self.received: list[tuple[Delivery, int]] = []
        self.is_closed = False

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Remember it."""
        self.received.append((delivery, now_ns))

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True

    @property
    def deliveries(self) -> list[Delivery]:
        """What arrived, repetitions included."""
        return [delivery for delivery, _ in self.received]


class FaultySink(MemorySink):
    """Fails as it is told: one fault per call, None for a call that works; after the last it works for ever.

    `arrives`: a delivery that fails has nevertheless arrived, as when the answer is lost on the way.
    """

    def __init__(self, faults: Iterable[Exception | None], *, arrives: bool = False) -> None:
        super().__init__()
        self._faults = iter(faults)
        self._arrives = arrives
        self.calls = 0

    def send(self, delivery: Delivery, now_ns: int) -> None:
        """Fail, or remember it."""
        self.calls += 1
        fault = next(self._faults, None)
        if fault is None or self._arrives:
            super().send(delivery, now_ns)
        if fault is not None:
            raise fault
