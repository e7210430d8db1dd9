"""What waits to be delivered, per sink and in order: written with the finding's change, gone once delivered.

Rows are JSON text to this room; `deliver` knows what they mean. Without it a crash between a finding and its message
would lose the message, and a dead sink would hold up all others. Each sink's rows are bounded in number and bytes;
whatever is dropped or given up is counted, and what is given up can be listed and replayed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from ebbtide.finding.notice import HEARTBEAT
from ebbtide.store.bulk import insert
from ebbtide.store.findings import Transaction

_COLUMNS = "number, sink, uid, change, queued_ns, attempts, document"
_KINDS = ("nextval('outbox_numbers')", "VARCHAR", "VARCHAR", "VARCHAR", "BIGINT", "INTEGER", "VARCHAR")
#: Errors are kept for a person to read, not for analysis.
_LONGEST_ERROR = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one sink may hold. `rows` and `bytes` bound what waits, `dead_rows` what was given up."""

    rows: int = 10_000
    bytes: int = 256 * 1024 * 1024
    dead_rows: int = 10_000


@dataclass(frozen=True, slots=True)
class Message:
    """One change to be told: the finding's uid, the change's name, when it was noticed, and all of it as JSON."""

    uid: str
    change: str
    queued_ns: int
    document: str


@dataclass(frozen=True, slots=True)
class Row:
    """A message for one sink. `number` grows with the order of writing; `attempts` is how often it was tried."""

    number: int
    sink: str
    uid: str
    change: str
    queued_ns: int
    attempts: int
    document: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A row that was given up, when and why: `refused`, `attempts` or `age`, and the last error in words."""

    row: Row
    dead_ns: int
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class SinkState:
    """How a sink fares: failures in a row, not before when it is tried again, its last error, what it holds."""

    failures: int = 0
    next_ns: int = 0
    error: str = ""
    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Beat:
    """A sink's heartbeats: when the last was queued, and when the receiver last accepted one; 0 for never."""

    queued_ns: int = 0
    accepted_ns: int = 0


class Outbox:
    """The rows of all sinks in one open store.

    `write` belongs into the caller's transaction, beside the findings' change. Each other method that writes has its
    own. One outbox is used from one thread; a thread that delivers has one of its own (`Store.lane`).
    """

    def __init__(self, con: duckdb.DuckDBPyConnection, transaction: Transaction) -> None:
        self._con = con
        self._transaction = transaction

    def write(self, messages: Iterable[Message], sink: str, bounds: Bounds | None = None) -> None:
        """Queue messages for a sink, in order. No transaction of its own: they live and die with the caller's.

        Where the sink then holds more than its bounds, its oldest updates go first, then its oldest rows of any kind;
        each is counted as dropped.
        """
        rows = [(sink, one.uid, one.change, one.queued_ns, 0, one.document) for one in messages]
        if rows:
            insert(self._con, "outbox", _KINDS, rows)
            self._count(sink, {"queued": len(rows)})
            self._shrink(sink, bounds or Bounds())

    def beat(self, message: Message, sink: str, bounds: Bounds | None = None) -> None:
        """Queue a heartbeat in place of one that still waits, which is counted as superseded; as `write`."""
        gone = self._con.execute("DELETE FROM outbox WHERE sink = ? AND change = ? RETURNING 1", [sink, message.change])
        self._count(sink, {"superseded": len(gone.fetchall())})
        self.write([message], sink, bounds)
        self._note(sink, Beat(message.queued_ns, self.heartbeat(sink).accepted_ns))

    def heartbeat(self, sink: str) -> Beat:
        """A sink's heartbeats so far."""
        rows = self._con.execute("SELECT queued_ns, accepted_ns FROM heartbeats WHERE sink = ?", [sink]).fetchall()
        return Beat(*rows[0]) if rows else Beat()

    def _note(self, sink: str, beat: Beat) -> None:
        values = [beat.queued_ns, beat.accepted_ns, sink]
        changed = self._con.execute(
            "UPDATE heartbeats SET queued_ns = ?, accepted_ns = ? WHERE sink = ? RETURNING 1", values
        ).fetchall()
        if not changed:
            self._con.execute("INSERT INTO heartbeats (queued_ns, accepted_ns, sink) VALUES (?, ?, ?)", values)

    def head(self, sink: str, most: int) -> list[Row]:
        """A sink's oldest rows, at most `most`."""
        return self._select("WHERE sink = ? ORDER BY number LIMIT ?", [sink, most])

    def row(self, number: int) -> list[Row]:
        """The row of that number; none where it is gone."""
        return self._select("WHERE number = ?", [number])

    def older(self, sink: str, before_ns: int) -> list[Row]:
        """A sink's rows that were queued before an instant, oldest first."""
        return self._select("WHERE sink = ? AND queued_ns < ? ORDER BY number", [sink, before_ns])

    def delivered(self, rows: Sequence[Row], now_ns: int, *, is_well: bool = True) -> None:
        """Rows of one sink have arrived, in one transaction: they go. `is_well`: the sink's failures are over too.

        `now_ns` is kept of a heartbeat.
        """
        if not rows:
            return
        sink = rows[0].sink
        with self._transaction():
            self._con.execute("DELETE FROM outbox WHERE number IN (SELECT unnest(?))", [[row.number for row in rows]])
            if is_well:
                self._set_state(sink, 0, 0, "")
            self._count(sink, {"delivered": len(rows)})
            if any(row.change == HEARTBEAT.id for row in rows):
                self._note(sink, Beat(self.heartbeat(sink).queued_ns, now_ns))

    def failed(self, row: Row, error: str, next_ns: int) -> None:
        """An attempt failed: the row stays first in line, and the sink is left alone until `next_ns`."""
        with self._transaction():
            self._con.execute("UPDATE outbox SET attempts = attempts + 1 WHERE number = ?", [row.number])
            self._set_state(row.sink, self.state(row.sink).failures + 1, next_ns, error)
            self._count(row.sink, {"failed": 1})

    def give_up(self, rows: Sequence[Row], now_ns: int, reason: str, error: str, bounds: Bounds | None = None) -> None:
        """Rows of one sink become dead letters; the oldest dead ones over the bound are dropped and counted.

        The sink's own state stays as it is: that a peer refuses one row does not make it well or unwell.
        """
        if not rows:
            return
        most, sink = (bounds or Bounds()).dead_rows, rows[0].sink
        with self._transaction():
            for row in rows:
                self._con.execute("DELETE FROM outbox WHERE number = ?", [row.number])
                kept = [row.number, sink, row.uid, row.change, row.queued_ns, row.attempts, row.document]
                dead = [now_ns, reason, error[:_LONGEST_ERROR]]
                self._con.execute("INSERT INTO dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", kept + dead)
            self._count(sink, {f"dead_{reason}": len(rows)})
            self._count(sink, {"dropped_dead": self._drop_dead(sink, most)})

    def _drop_dead(self, sink: str, most: int) -> int:
        gone = self._con.execute(
            "SELECT number FROM dead_letters WHERE sink = ? ORDER BY dead_ns DESC, number DESC OFFSET ?", [sink, most]
        ).fetchall()
        for (number,) in gone:
            self._con.execute("DELETE FROM dead_letters WHERE number = ?", [number])
        return len(gone)

    def dead(self, sink: str | None = None) -> list[DeadLetter]:
        """Dead letters, of one sink or of all, in their order."""
        rows = self._con.execute(
            f"SELECT {_COLUMNS}, dead_ns, reason, error FROM dead_letters "
            "WHERE $sink IS NULL OR sink = $sink ORDER BY sink, number",
            {"sink": sink},
        ).fetchall()
        return [DeadLetter(Row(*row[:7]), *row[7:]) for row in rows]

    def replay(
        self, now_ns: int, sink: str | None = None, numbers: Sequence[int] | None = None, bounds: Bounds | None = None
    ) -> int:
        """Queue dead letters again, in their old order, behind what waits already; how many.

        Of one sink or of all; with `numbers` only those. Their attempts and age start anew, and so does the sink.
        """
        chosen = [one.row for one in self.dead(sink) if numbers is None or one.row.number in numbers]
        with self._transaction():
            for row in chosen:
                self._con.execute("DELETE FROM dead_letters WHERE number = ?", [row.number])
                self._count(row.sink, {"replayed": 1})
                self.write([Message(row.uid, row.change, now_ns, row.document)], row.sink, bounds)
            for name in sorted({row.sink for row in chosen}):
                self._set_state(name, 0, 0, "")
        return len(chosen)

    def state(self, sink: str) -> SinkState:
        """How a sink fares; a sink that never failed is well."""
        found = self._con.execute("SELECT failures, next_ns, error FROM sink_states WHERE sink = ?", [sink]).fetchall()
        failures, next_ns, error = found[0] if found else (0, 0, "")
        return SinkState(failures, next_ns, error, self._rows("outbox", sink), self._rows("dead_letters", sink))

    def sinks(self) -> list[str]:
        """Every sink that something is or was kept for, whether or not it is still configured."""
        return [row[0] for row in self._con.execute("SELECT DISTINCT sink FROM outbox_counts ORDER BY sink").fetchall()]

    def counts(self, sink: str) -> Counter[str]:
        """What became of a sink's deliveries since the store was made."""
        rows = self._con.execute("SELECT name, count FROM outbox_counts WHERE sink = ?", [sink]).fetchall()
        return Counter(dict(rows))

    def _select(self, where: str, values: list[object]) -> list[Row]:
        return [Row(*row) for row in self._con.execute(f"SELECT {_COLUMNS} FROM outbox {where}", values).fetchall()]

    def _rows(self, table: str, sink: str) -> int:
        return int(self._con.execute(f"SELECT count(*) FROM {table} WHERE sink = ?", [sink]).fetchall()[0][0])

    def _set_state(self, sink: str, failures: int, next_ns: int, error: str) -> None:
        values = [failures, next_ns, error[:_LONGEST_ERROR], sink]
        changed = self._con.execute(
            "UPDATE sink_states SET failures = ?, next_ns = ?, error = ? WHERE sink = ? RETURNING 1", values
        ).fetchall()
        if not changed:
            self._con.execute("INSERT INTO sink_states (failures, next_ns, error, sink) VALUES (?, ?, ?, ?)", values)

    def _count(self, sink: str, more: Mapping[str, int]) -> None:
        for name, count in more.items():
            values = [count, sink, name]
            changed = (
                count == 0
                or self._con.execute(
                    "UPDATE outbox_counts SET count = count + ? WHERE sink = ? AND name = ? RETURNING 1", values
                ).fetchall()
            )
            if not changed:
                self._con.execute("INSERT INTO outbox_counts (count, sink, name) VALUES (?, ?, ?)", values)

    def _shrink(self, sink: str, limits: Bounds) -> None:
        """Drop what exceeds the bounds: from the oldest update on, then from the oldest row on."""
        count, size = self._con.execute(
            "SELECT count(*), coalesce(sum(strlen(document)), 0) FROM outbox WHERE sink = ?", [sink]
        ).fetchall()[0]
        if count <= limits.rows and size <= limits.bytes:
            return
        rows = self._con.execute(
            "SELECT number, strlen(document), change FROM outbox WHERE sink = ? ORDER BY change <> 'updated', number",
            [sink],
        ).fetchall()
        dropped: Counter[str] = Counter()
        for number, length, change in rows:
            if count <= limits.rows and size <= limits.bytes:
                break
            self._con.execute("DELETE FROM outbox WHERE number = ?", [number])
            dropped[f"dropped_{change}"] += 1
            count, size = count - 1, size - length
        self._count(sink, dropped)
