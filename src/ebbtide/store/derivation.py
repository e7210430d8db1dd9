"""Everything that follows from samples, brought up to date: hours, days, peaks, learned days and their scales.

One thread at a time, on a connection of its own, so that batches can be kept meanwhile. Each step is a transaction, and
what is due is noted in tables before it is done: a crash in between loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import duckdb

from ebbtide.store import peaks, rollup
from ebbtide.store.connection import query, transaction
from ebbtide.store.identity import Identity
from ebbtide.store.learned_days import LearnedDays
from ebbtide.store.minutes import MinuteReading
from ebbtide.store.opened_days import OpenedCache
from ebbtide.store.segments import CommittedSegments


class Derivation:
    """One run over one connection."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        identity: Identity,
        segments: CommittedSegments,
        floors: Mapping[str, float],
        cache: OpenedCache,
    ) -> None:
        con.execute(query("macros"))
        self._con = con
        self._identity = identity
        self._segments = segments
        self._floors = floors
        self._cache = cache

    def roll_up(self, hours: set[int], last: int | None, progress: Callable[[int], None]) -> None:
        """Derive these hours, then all that rests on them and has passed by the hour `last` (None: all there is)."""
        rollup.derive(self._con, self._segments, hours, progress)
        rollup.close_days(self._con, self._open_days(last))
        self._learn(last)

    def _open_days(self, last: int | None) -> list[int]:
        """Days with hours that are not merged yet and have passed, except those with an hour still to derive."""
        rows = self._con.execute(
            "SELECT DISTINCT hour // 24 AS day FROM hours WHERE hour // 24 NOT IN (SELECT day FROM closed_days)"
        ).fetchall()
        waiting = {row[0] for row in self._con.execute("SELECT DISTINCT hour // 24 FROM dirty_hours").fetchall()}
        bound = max((row[0] for row in rows), default=0) if last is None else last // 24
        return sorted(day for (day,) in rows if day < bound and day not in waiting)

    def _learn(self, last: int | None) -> None:
        due = {row[0] for row in self._con.execute("SELECT DISTINCT hour FROM due_hours").fetchall()}
        before = last
        if before is None:
            newest = self._con.execute("SELECT max(hour) FROM hours").fetchall()[0][0]
            before = max(due | {newest or 0}) + 1
        due = {hour for hour in due if hour < before}  # later ones wait for their time
        learned = LearnedDays(self._con, self._identity, self._floors)
        if due:
            minutes = MinuteReading(self._con, self._identity, self._segments)
            hours = peaks.touched(due, before)
            peaks.derive(self._con, self._identity, self._segments, minutes, self._floors, hours)
            with transaction(self._con):
                learned.forget_from(min(due) // 24)
                self._con.execute("DELETE FROM due_hours WHERE hour < ?", [before])
            self._cache.forget(min(due))
        for day in learned.to_close(before):
            with transaction(self._con):
                learned.close(day)
