"""The store: batches in, windows and baselines out, one DuckDB file, one writer.

The only public face of the room. Its methods take and return records of `series` and `baseline`, NumPy columns or JSON
text, never SQL, so the same set of functions can stand over another engine. Everything that writes holds `lock`, so
several threads may write in turn; threads that read beside them take a `view` each.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

from ebbtide.errors import ConfigError, EbbtideError, ServiceError
from ebbtide.series import HOUR_NS, Batch, Counts, Entity, Int64
from ebbtide.store import append, backfill, exports, learning, retention
from ebbtide.store.arrivals import Arrivals
from ebbtide.store.backup import backup
from ebbtide.store.connection import connect, is_dead, query, transaction
from ebbtide.store.derivation import Derivation
from ebbtide.store.identity import Identity
from ebbtide.store.opened_days import OpenedCache
from ebbtide.store.outbox import Outbox
from ebbtide.store.pieces import ends_of
from ebbtide.store.segments import CommittedSegments, Segments
from ebbtide.store.view import View

#: The last instant that a column holds.
_LAST_NS = 2**63 - 1


def _silent(_: int) -> None:
    return None


class Store(View):
    """An open store. Use it as a context manager; `close` writes a checkpoint."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        path: Path | None,
        connect_again: Callable[[], duckdb.DuckDBPyConnection],
    ) -> None:
        self.path = path
        #: Held by whatever writes. Hold it to read and write as one step.
        self.lock = threading.RLock()
        #: Grows when the names are read back after a failure: numbers a view met before may mean others now.
        self.generation = 0
        self._depth = 0
        self._deriving = threading.RLock()
        self._connect_again = connect_again
        self._is_closed = False
        self._guests: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self._con = con
        self._cache = OpenedCache()
        self._load()

    @classmethod
    def open(
        cls, path: Path | None = None, *, memory_limit: str = "1GiB", threads: int = 2, is_new_allowed: bool = True
    ) -> Self:
        """Open or make a store; None keeps it in memory. Raises as `connection.connect`."""
        connected = partial(connect, path, memory_limit=memory_limit, threads=threads)
        return cls(connected(is_new_allowed=is_new_allowed), path, partial(connected, is_new_allowed=False))

    def close(self) -> None:
        """Write what is in the log into the file, and let go of it."""
        with self.lock:
            self._is_closed = True
            self._con.close()

    def view(self) -> View:
        """A view for one other thread, as of now; close it when done."""
        with self.lock:
            self.heal()
            con = self._guest()
            con.execute(query("macros"))  # they are a connection's own
            return View(con, self.identity, self._segments.committed, self._cache)

    def lane(self) -> Outbox:
        """The outbox for one thread that delivers: a connection of its own, writing in turn with all others."""
        with self.lock:
            self.heal()
            con = self._guest()

        @contextmanager
        def in_turn() -> Iterator[None]:
            with self.lock, transaction(con):
                yield

        return Outbox(con, in_turn)

    def heal(self) -> None:
        """Open the file anew if the database did not survive an error: a checkpoint that failed on a full disk.

        Every view and lane handed out before is closed; all that was acknowledged is in the file and its log. Raises
        ServiceError while it cannot be opened.
        """
        with self.lock:
            if self._is_closed:
                raise ServiceError("the store is closed")
            if self._depth or not is_dead(self._con):
                return
            for one in [self._con, *self._guests]:
                with suppress(duckdb.Error):
                    one.close()
            self._guests.clear()
            try:
                self._con = self._connect_again()
                self._load()
            except (duckdb.Error, EbbtideError) as error:
                self._con.close()
                message = f"the store cannot be opened anew: {str(error).splitlines()[0]}"
                raise ServiceError(message, hint="is the disk full? it is tried again") from error

    def _guest(self) -> duckdb.DuckDBPyConnection:
        con = self._con.cursor()
        self._guests.add(con)
        return con

    def _read_back(self) -> None:
        """Forget what a failed change left in memory; a database that is dead is read back when it is healed."""
        try:
            self._load()
        except duckdb.Error:
            if not is_dead(self._con):
                raise

    def _load(self) -> None:
        self.generation += 1
        self._segments = Segments(self._con)
        self._show(Identity.load(self._con), self._segments)
        self._dirty = {row[0] for row in self._con.execute("SELECT hour FROM dirty_hours").fetchall()}
        self._arrivals: Arrivals | None = None
        self._touched: list[Int64] = []
        self._cache.pieces.forget()

    def _touch(self, end_ns: Int64) -> None:
        """Void what is kept of the time in which samples end that this transaction changes: now, and once others see
        them, since what they read until then is of before.
        """
        self._touched.append(end_ns)
        self._cache.pieces.void(end_ns)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; one inside another belongs to the outer one.

        What the index learned meanwhile is forgotten with a transaction that fails. Raises ServiceError when the store
        could not write.
        """
        with self.lock:
            if self._depth:
                yield
                return
            self.heal()
            self._depth = 1
            try:
                with transaction(self._con):
                    yield
                self._segments.publish()
                while self._touched:
                    self._cache.pieces.void(self._touched.pop())
            except BaseException:  # also on Ctrl-C: memory must not run ahead of the file
                self._read_back()
                raise
            finally:
                self._depth = 0

    def begin(self, kind: str, name: str, unit: str = "") -> int:
        """A new origin: the import, backfill or session that samples are marked with. `unit` "" is the metric's own."""
        with self.transaction():
            origin = int(self._con.execute("SELECT coalesce(max(origin), 0) + 1 FROM provenance").fetchall()[0][0])
            self._con.execute("INSERT INTO provenance VALUES (?, ?, ?, ?, '{}')", [origin, kind, name, unit])
        return origin

    def append(self, batch: Batch, origin: int, *, oldest_ns: int = append.ANY_TIME) -> append.Appended:
        """Keep a batch: when this returns, the samples are on disk, each exactly once.

        Samples that end before `oldest_ns` are dropped as `too_late`, and with it those whose hour could not be derived
        from all of its samples any more. Raises ServiceError when nothing was written.
        """
        with self.transaction():
            arrivals = self.arrivals
            done = append.append(
                self._con,
                self.identity,
                self._segments,
                self._dirty,
                arrivals,
                batch,
                origin=origin,
                oldest_ns=oldest_ns,
            )
            self._touch(batch.end_ns)
            self.progress.add_late(done.late)
            self.identity.saved()
        return done

    @property
    def arrivals(self) -> Arrivals:
        """What has arrived, by cluster; for those who hold `lock`."""
        if not self.identity.has_series:
            self.identity.load_series(self._con, self._segments.between(*self._everything()))
        if self._arrivals is None:
            judged: dict[str, int] = {}
            for (_, cluster), reach in self.progress.reached().items():
                judged[cluster] = max(judged.get(cluster, reach.data_ns), reach.data_ns)
            late = self.progress.late().hours
            self._arrivals = Arrivals.load(self._con, self.identity, self._dirty, judged, late)
        return self._arrivals

    def begin_backfill(self, source: str, *, again: tuple[int, int] = (0, 0)) -> tuple[int, set[int]]:
        """The origin of a source's backfill, old or new, and the hours it has brought, but those of `again`."""
        with self.transaction():
            origin = backfill.origin_of(self._con, source)
            backfill.forget_done(self._con, origin, *again)
            return origin, backfill.done_hours(self._con, origin)

    def replace_hour(
        self, batch: Batch, hour: int, origin: int, *, is_continued: bool = False, is_live_replaced: bool = False
    ) -> backfill.Replaced:
        """Bring all that a backfill knows of an hour in place of what it brought before; see `store.backfill`."""
        with self.transaction():
            done = backfill.replace_hour(
                self._con, self.identity, self._segments, self._dirty, self.arrivals, batch,
                hour=hour, origin=origin, is_continued=is_continued, is_live_replaced=is_live_replaced,
            )  # fmt: skip
            self._touch(ends_of(hour))
            self.identity.saved()
        return done

    def note_hour(self, origin: int, hour: int, counts: Counts, replaced: backfill.Replaced) -> None:
        """Note that a backfill has brought all of an hour."""
        with self.transaction():
            backfill.note_done(self._con, origin, hour, counts, replaced)

    def learning(self, now_ns: int, chosen: Sequence[int] | None = None) -> list[learning.Learned]:
        """How far each entity is learned, as of a view."""
        with self.lock:
            return super().learning(now_ns, chosen)

    def counters(self) -> dict[int, tuple[int, int, float]]:
        """The last reading of each cumulative series by its key: (start_ns, end_ns, reading), for the decoder."""
        samples = self._segments.between(*self._everything())
        rows = self._con.execute(
            "SELECT key, max_by(end_ns - span_ns, end_ns), max(end_ns), max_by(reading, end_ns) "
            f"FROM {samples} JOIN series USING (series) WHERE NOT isnan(reading) GROUP BY key"
        ).fetchall()
        return {key: (start_ns, end_ns, reading) for key, start_ns, end_ns, reading in rows}

    def mask(self, entity: Entity, from_ns: int, to_ns: int, reason: str) -> None:
        """Leave [from_ns, to_ns) of an entity out of the baselines that respect masks; both end where 64 bits do."""
        with self.transaction():
            place = [entity.cluster, entity.namespace, entity.workload, entity.process]
            span = [min(max(0, one), _LAST_NS) for one in (from_ns, to_ns)]
            self._con.execute("INSERT INTO masks VALUES (?, ?, ?, ?, ?, ?, ?)", [*place, *span, reason])
        self._cache.forget()

    def unmask(self, reason: str) -> int:
        """Take away the masks of this reason; how many there were."""
        with self.transaction():
            gone = len(self._con.execute("DELETE FROM masks WHERE reason = ? RETURNING 1", [reason]).fetchall())
        self._cache.forget()
        return gone

    def finish(self, origin: int, counts: Counts, dropped: Counter[str]) -> None:
        """Note beside an origin what became of its points."""
        report = {
            "received": counts.received,
            "accepted": counts.accepted,
            "rejected": dict(counts.rejected),
            "ignored": dict(counts.ignored),
            "clipped": dict(counts.clipped),
            "dropped": dict(dropped),
        }
        with self.transaction():
            self._con.execute("UPDATE provenance SET counts = ? WHERE origin = ?", [json.dumps(report), origin])

    def export(self, table: str) -> Iterator[pa.Table]:
        """A table with names in place of numbers, in parts: entities, hours, days, edges or samples."""
        yield from exports.export(self._con, self._segments, table)

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """Rows of a question this room asks about its own tables (`check`, tests); nothing outside it speaks SQL."""
        with self.lock:
            return self._con.execute(sql).fetchall()

    @property
    def segments(self) -> tuple[int, ...]:
        """The segments of samples there are, oldest first."""
        return self._segments.known

    def totals(self) -> dict[int, float]:
        """The sum of all stored values of each series, by its key: what a sender's ledger is compared with."""
        samples = self._segments.between(*self._everything())
        rows = self.ask(
            f"SELECT key, sum(value) FROM {samples} JOIN series USING (series) WHERE NOT isnan(value) GROUP BY key"
        )
        return {int(str(key)): float(str(total)) for key, total in rows}

    @property
    def dirty_hours(self) -> int:
        """How many hours wait to be derived."""
        return len(self._dirty)

    def roll_up(self, until_ns: int | None = None, progress: Callable[[int], None] = _silent) -> None:
        """Derive every hour that changed and has passed by `until_ns` (None: all), and close the days before it.

        On a connection of its own: batches are kept meanwhile, and an hour they change is derived next time.
        """
        last = None if until_ns is None else until_ns // HOUR_NS
        with self._deriving:
            with self.lock:
                hours = {hour for hour in self._dirty if last is None or hour < last}
                self._dirty -= hours
            try:
                with self._derivation() as derivation:
                    derivation.roll_up(hours, last, progress)
            except BaseException:  # also on Ctrl-C: memory must not run ahead of the file
                with self.lock:
                    self._read_back()
                raise

    @contextmanager
    def _derivation(self) -> Iterator[Derivation]:
        with self.lock:
            con, floors = self._guest(), self.floors
            # Frozen: a segment that is made later is not in the snapshot of a transaction that has begun.
            segments = CommittedSegments(self._segments.known)
        try:
            yield Derivation(con, self.identity, segments, floors, self._cache)
        finally:
            con.close()

    def set_floors(self, floors: Mapping[str, float]) -> None:
        """Set the floors of an empty store: what is learned rests on them. Raises ConfigError where data are."""
        if self.reading.span() is not None and dict(floors) != self.floors:
            raise ConfigError("floors can only be set before data come in", hint="import into a new --db FILE")
        with self.transaction():
            self._con.execute("DELETE FROM floors")
            for metric, per_hour in floors.items():
                self._con.execute("INSERT INTO floors VALUES (?, ?)", [metric, per_hour])
        self._load()

    def retain(self, now_ns: int, policy: retention.Retention) -> Counter[str]:
        """Drop what `policy` no longer keeps at `now_ns`; how many rows of each table, and of each over the budget."""
        with self._deriving, self.lock:
            try:
                dropped = retention.apply(self._con, self._segments, now_ns, policy)
                if any(name.startswith("samples") for name in dropped):
                    self._cache.pieces.forget()
                return dropped
            except BaseException:  # also on Ctrl-C: memory must not run ahead of the file
                self._read_back()
                raise

    def backup(self, to: Path) -> None:
        """Copy everything that is committed into a new file, while others go on. Raises as `backup.backup`."""
        with self.lock:
            self.heal()
            con = self._guest()
        try:
            backup(con, to)
        finally:
            con.close()

    def checkpoint(self) -> None:
        """Write what is in the log into the file, unless somebody reads just now: then it is done another time.

        Raises ServiceError where there is no room for it; the log has everything still.
        """
        with self.lock:
            try:
                self._con.execute("CHECKPOINT")
            except duckdb.TransactionException:
                return
            except duckdb.Error as error:
                message = f"the log could not be written into the file: {str(error).splitlines()[0]}"
                raise ServiceError(message, hint="is the disk full?") from error

    def _everything(self) -> tuple[int, int]:
        known = self._segments.known
        return (known[0] * 6 * HOUR_NS, (known[-1] + 1) * 6 * HOUR_NS) if known else (0, 1)
