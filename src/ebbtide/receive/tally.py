"""The receivers' own counters, behind one lock.

Every request ends in one of them: stored, or refused by reason. The service turns a snapshot into its metrics.
"""

from __future__ import annotations

import copy
import threading
from collections import Counter

from ebbtide.receive.receipt import IntakeCounts, Traffic, Unread
from ebbtide.series import Counts


class Tally:
    """Counters by protocol and reason. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traffic: dict[str, Traffic] = {}
        self._stored = 0
        self._dropped: Counter[str] = Counter()
        self._commits = 0
        self._failures = 0
        self._failing = 0
        self._seconds = 0.0
        self._bugs = 0
        self._unread: dict[tuple[str, str], Unread] = {}

    def refuse(self, protocol: str, reason: str) -> None:
        """A request was refused."""
        with self._lock:
            self._of(protocol).refused[reason] += 1

    def answer_late(self, protocol: str) -> None:
        """A request was told to come again, because its commit took too long."""
        with self._lock:
            self._of(protocol).answered_late += 1

    def store(self, protocol: str, body_bytes: int, counts: Counts, source: tuple[str, str]) -> None:
        """A body was stored; `source` is its preset's name and its cluster."""
        with self._lock:
            self._unread.setdefault(source, Unread()).note(counts)
            traffic = self._of(protocol)
            traffic.bodies += 1
            traffic.body_bytes += body_bytes
            traffic.points.add(counts)

    def commit(self, stored: int, dropped: Counter[str], seconds: float) -> None:
        """A transaction was committed."""
        with self._lock:
            self._stored += stored
            self._dropped.update(dropped)
            self._commits += 1
            self._failing = 0
            self._seconds += seconds

    def fail(self) -> None:
        """A transaction failed."""
        with self._lock:
            self._failures += 1
            self._failing += 1

    def bug(self) -> None:
        """Something raised what it should not."""
        with self._lock:
            self._bugs += 1

    def points(self) -> Counts:
        """The points of all protocols together."""
        total = Counts()
        with self._lock:
            for traffic in self._traffic.values():
                total.add(traffic.points)
        return total

    @property
    def dropped(self) -> Counter[str]:
        """Samples that were decoded and not stored, by reason; a copy."""
        with self._lock:
            return Counter(self._dropped)

    def snapshot(
        self, *, waiting_bodies: int, held_bytes: int, readings_evicted: int, clusters_forgotten: int
    ) -> IntakeCounts:
        """Everything as of now, with what others count."""
        with self._lock:
            return IntakeCounts(
                traffic=copy.deepcopy(self._traffic),
                stored=self._stored,
                dropped=Counter(self._dropped),
                commits=self._commits,
                commit_failures=self._failures,
                commits_failing=self._failing,
                commit_seconds=self._seconds,
                bugs=self._bugs,
                waiting_bodies=waiting_bodies,
                held_bytes=held_bytes,
                readings_evicted=readings_evicted,
                clusters_forgotten=clusters_forgotten,
                unread=copy.deepcopy(self._unread),
            )

    def _of(self, protocol: str) -> Traffic:
        return self._traffic.setdefault(protocol, Traffic())
