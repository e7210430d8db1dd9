"""One bound for all memory that bodies take, whoever reads or holds them.

Listeners take room before they keep bytes and give it back when these are stored or refused; when there is none, the
sender hears "try again". Without one bound for all, sixty connections could each be within theirs and the process out
of memory.
"""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from ebbtide.receive.refusal import Reason, Refusal


class Room:
    """A number of bytes, shared by threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._held = 0
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        """Bytes taken at the moment."""
        return self._held

    def take(self, many: int) -> None:
        """Take bytes. Raises a Refusal that says "busy" when there is not so much left."""
        with self._lock:
            if self._held + many > self.size:
                raise Refusal(Reason.BUSY, "more data is waiting than there is room for", hint="try again later")
            self._held += many

    def give(self, many: int) -> None:
        """Give bytes back."""
        with self._lock:
            self._held -= many

    def hold(self) -> Hold:
        """Something that gives back all it took when it is left."""
        return Hold(self)


class Hold:
    """What one reader took of a room."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._taken = 0

    def take(self, many: int) -> None:
        """Take more. Raises as `Room.take`."""
        self._room.take(many)
        self._taken += many

    def give_all(self) -> None:
        """Give everything back that was taken so far."""
        self._room.give(self._taken)
        self._taken = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_all()
