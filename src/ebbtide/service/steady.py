"""The time by which the service lives: the machine's, but a jump is followed only once the data bear it out.

By a clock that jumps a day ahead every cluster is silent, samples are too late to be kept, and retention drops what it
should keep; by one that jumps back all samples lie in the future. So the clock goes on as it went, until what arrives
ends near the new time (a machine that slept, a clock that is set right), or nothing arrives that could tell.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS

#: Smaller steps are followed at once: clocks are set right by so much now and then.
STEP_NS: Final = MINUTE_NS
#: Data that end so near to a time speak for it.
NEAR_NS: Final = 10 * MINUTE_NS
#: A jump that nothing speaks against is followed after so long.
PATIENCE_NS: Final = HOUR_NS


class SteadyClock:
    """Call it for the time, Unix nanoseconds. Safe to use from any thread."""

    def __init__(
        self, wall: Callable[[], int] = time.time_ns, monotonic: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._ahead_ns = wall() - monotonic()
        self._doubted_ns: int | None = None

    def __call__(self) -> int:
        """The time."""
        with self._lock:
            return self._look()[0]

    @property
    def step_s(self) -> float:
        """How far the machine's clock is ahead of this one, seconds; 0 while it is followed."""
        with self._lock:
            steady_ns, wall_ns = self._look()
            return (wall_ns - steady_ns) / SECOND_NS

    def witness(self, end_ns: int) -> None:
        """Something arrived that ends at `end_ns`: while the clocks differ it speaks for the one it is near to."""
        with self._lock:
            steady_ns, wall_ns = self._look()
            if steady_ns == wall_ns:
                return
            if abs(end_ns - steady_ns) <= NEAR_NS:
                self._doubted_ns = self._monotonic()
            elif abs(end_ns - wall_ns) <= NEAR_NS:
                self._follow(wall_ns)

    def _look(self) -> tuple[int, int]:
        """This time and the machine's, which are the same unless the machine's has jumped."""
        since_ns, wall_ns = self._monotonic(), self._wall()
        steady_ns = since_ns + self._ahead_ns
        if abs(wall_ns - steady_ns) > STEP_NS:
            if self._doubted_ns is None:
                self._doubted_ns = since_ns
            if since_ns - self._doubted_ns < PATIENCE_NS:
                return steady_ns, wall_ns
        self._follow(wall_ns)
        return wall_ns, wall_ns

    def _follow(self, wall_ns: int) -> None:
        self._ahead_ns, self._doubted_ns = wall_ns - self._monotonic(), None
