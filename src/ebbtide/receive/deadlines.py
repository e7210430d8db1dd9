"""Time limits for threads that wait where nothing can be told to stop waiting.

A worker says what to call if it is not back in time; one thread looks after all of them. Without it a sender that
announces a message and never sends it would keep a worker for ever.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final

#: How often those who take too long are looked for.
_LOOK_S: Final = 0.25


class Deadlines:
    """Cancels reads that take too long; one thread looks after all of them while there are any.

    `over` is entered by a worker before it waits for a sender.
    """

    def __init__(self, limit_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._running: dict[int, tuple[float, Callable[[], object]]] = {}
        self._changed = threading.Condition()
        self._next = 0
        self._is_open = True
        self._thread = threading.Thread(target=self._watch, name="ebbtide-grpc-deadlines", daemon=True)
        self._thread.start()

    def over(self, cancel: Callable[[], object]) -> _Deadline:
        """A context manager; `cancel` is called from another thread when it is not left in time."""
        return _Deadline(self, cancel)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        self._thread.join()

    def add(self, cancel: Callable[[], object]) -> int:
        """Begin one; its number."""
        with self._changed:
            self._next += 1
            self._running[self._next] = (self._clock() + self._limit_s, cancel)
            if len(self._running) == 1:
                self._changed.notify_all()
            return self._next

    def remove(self, number: int) -> None:
        """It was left in time, or not any more."""
        with self._changed:
            self._running.pop(number, None)

    def _watch(self) -> None:
        while True:
            with self._changed:
                if self._is_open:
                    self._changed.wait(_LOOK_S if self._running else None)
                if not self._is_open:
                    return
                now = self._clock()
                late = [number for number, (until, _) in self._running.items() if until <= now]
                cancels = [self._running.pop(number)[1] for number in late]
            for cancel in cancels:
                cancel()


class _Deadline:
    def __init__(self, deadlines: Deadlines, cancel: Callable[[], object]) -> None:
        self._deadlines = deadlines
        self._cancel = cancel
        self._number = 0

    def __enter__(self) -> None:
        self._number = self._deadlines.add(self._cancel)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.remove(self._number)
