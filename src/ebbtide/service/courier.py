"""One thread per sink: takes what waits for it from the store and hands it over; one that hangs holds up nobody.

What could not be handed over stays in the store, and is tried again after a restart.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from ebbtide.deliver.backoff import Rng
from ebbtide.deliver.pump import Lane, pump
from ebbtide.deliver.sink import Sink, SinkSettings
from ebbtide.series import SECOND_NS
from ebbtide.store.outbox import Bounds, Outbox
from ebbtide.store.store import Store
from ebbtide.telemetry import Log

#: How often is looked for what others queued (replays, other processes' work).
LOOK_S = 5.0


class Courier:
    """Delivers to one sink. `wake` says that something was queued; `stop` ends after the delivery under way."""

    def __init__(
        self,
        store: Store,
        name: str,
        settings: SinkSettings,
        bounds: Bounds,
        now: Callable[[], int],
        rng: Rng,
        log: Log,
    ) -> None:
        self.name = name
        self.settings = settings
        self._store, self._now, self._rng, self._log = store, now, rng, log
        self._sink: Sink = settings.open()
        self._lane = Lane(self._sink, settings.retry, bounds)
        self._changed = threading.Event()
        self._is_stopping = False
        self._error = ""
        self._thread = threading.Thread(target=self._run, name=f"ebbtide-sink-{name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once."""
        self._changed.set()

    def stop(self, patience_s: float = 30.0) -> bool:
        """Deliver nothing more; whether it ended in time. A sink that hangs is left: its delivery comes again."""
        self._is_stopping = True
        self._changed.set()
        self._thread.join(patience_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        outbox: Outbox | None = None
        try:
            while not self._is_stopping:
                self._changed.clear()
                try:
                    outbox = outbox or self._store.lane()
                    wait_s = self._once(outbox)
                except Exception as error:  # noqa: BLE001  the border of this thread: the store's fault must not end deliveries
                    self._log("error", "sink_store_failed", sink=self.name, error=str(error))
                    outbox, wait_s = None, LOOK_S  # its connection may be gone for good
                if wait_s > 0:
                    self._changed.wait(wait_s)
        finally:
            self._sink.close()

    def _once(self, outbox: Outbox) -> float:
        """One call of the pump; seconds to wait before the next."""
        now_ns = self._now()
        report = pump(outbox, {self.name: self._lane}, now_ns, self._rng)[self.name]
        if report.error != self._error:
            self._error = report.error
            event = ("warning", "sink_failed") if report.error else ("info", "sink_recovered")
            self._log(event[0], event[1], sink=self.name, error=report.error, waiting=report.waiting)  # type: ignore[arg-type]
        if report.next_ns is None:
            return LOOK_S
        return min(LOOK_S, max(0.0, (report.next_ns - now_ns) / SECOND_NS))
