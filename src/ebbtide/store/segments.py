"""Samples in tables of six hours each, so that old ones are dropped whole.

Deleting rows returns nothing; dropping a table frees its blocks for the next one, so the file stays at its high-water
mark. A segment is made by the first sample that falls into it, in the transaction that stores the sample.
"""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

from ebbtide.series import HOUR_NS

SEGMENT_NS = 6 * HOUR_NS

_COLUMNS = """
    series INTEGER NOT NULL, sender INTEGER NOT NULL, receiver INTEGER NOT NULL, metric SMALLINT NOT NULL,
    end_ns BIGINT NOT NULL, span_ns BIGINT NOT NULL, value DOUBLE NOT NULL, reading DOUBLE NOT NULL,
    origin INTEGER NOT NULL
"""


def segment_of(time_ns: int) -> int:
    """The number of the segment in which this instant lies."""
    return time_ns // SEGMENT_NS


def table_of(segment: int) -> str:
    """The table that holds a segment."""
    return f"samples_{segment}"


class CommittedSegments:
    """The segments that others may read: made by a committed transaction, and not about to be dropped."""

    def __init__(self, known: Iterable[int]) -> None:
        self._committed = tuple(sorted(known))

    @property
    def known(self) -> tuple[int, ...]:
        """All segments, oldest first."""
        return self._committed

    def between(self, from_ns: int, to_ns: int) -> str:
        """A FROM item with the samples whose end lies in [from_ns, to_ns); an empty one if there are none.

        The bounds are integers of ours, so they stand in the text: DuckDB then skips row groups by their range.
        """
        first, last = segment_of(from_ns), segment_of(to_ns - 1)
        tables = [table_of(one) for one in self.known if first <= one <= last]
        if not tables:
            return f"(SELECT * FROM (VALUES (0,0,0,0,0,0,0.0,0.0,0)) empty({', '.join(COLUMN_NAMES)}) WHERE false)"
        span = f"WHERE end_ns >= {int(from_ns)} AND end_ns < {int(to_ns)}"
        return "(" + " UNION ALL ".join(f"SELECT * FROM {table} {span}" for table in tables) + ")"


class Segments(CommittedSegments):
    """The segments as the writer sees them, those of its running transaction included."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        super().__init__(row[0] for row in con.execute("SELECT segment FROM segments").fetchall())
        self._known = list(self._committed)
        self.committed = CommittedSegments(self._known)

    @property
    def known(self) -> tuple[int, ...]:
        """All segments, oldest first."""
        return tuple(self._known)

    def publish(self) -> None:
        """Note that the transaction that made segments was committed."""
        self.committed._committed = self.known

    def ensure(self, con: duckdb.DuckDBPyConnection, segment: int) -> None:
        """Make the table of a segment if it is not there; part of the caller's transaction."""
        if segment not in self._known:
            con.execute(f"CREATE TABLE {table_of(segment)} ({_COLUMNS})")
            con.execute("INSERT INTO segments VALUES (?)", [segment])
            self._known = sorted([*self._known, segment])

    def drop(self, con: duckdb.DuckDBPyConnection, segment: int) -> None:
        """Remove a segment with all its samples; part of the caller's transaction."""
        con.execute(f"DROP TABLE {table_of(segment)}")
        con.execute("DELETE FROM segments WHERE segment = ?", [segment])
        self._known.remove(segment)
        self.publish()


COLUMN_NAMES = tuple(line.split()[0] for line in _COLUMNS.replace("\n", " ").split(",") if line.strip())
