"""Signals as calls from a thread of their own.

Python runs a handler in the main thread, between two of its instructions. Where that thread is just inside
`Event.wait`, with the event's lock in its hand, a handler that sets the event would wait for itself for ever.
"""

from __future__ import annotations

import _thread
import signal
from collections.abc import Callable, Iterable

#: What asks a process to end.
STOP = (signal.SIGTERM, signal.SIGINT)


def on_signals(numbers: Iterable[int], act: Callable[[], object]) -> None:
    """Call `act` at each of these signals, from another thread. For the main thread."""

    def handle(*_: object) -> None:
        _thread.start_new_thread(act, ())  # no lock of Python's own on the way, unlike `threading.Thread.start`

    for number in numbers:
        signal.signal(number, handle)
