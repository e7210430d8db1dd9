"""The one keeper: bodies from every listener, decoded and committed together, each answered after its commit.

In come bodies with a source, out go receipts through futures. One thread alone calls the decoders and `Store.append`;
it takes what waits, up to a bound, into one transaction. A body that cannot be decoded fails alone. When a transaction
fails, all of its bodies fail with an error that says "again", and the counters are what they were before, so that the
same bodies give the same deltas when they come again. Without a keeper every request would be a commit of its own.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from ebbtide.decode.catalog import KEY_BYTES_MAX, SERIES_MAX
from ebbtide.decode.session import Session
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import DecodeError, EbbtideError, ServiceError
from ebbtide.receive.heard import Clusters
from ebbtide.receive.order import time_of
from ebbtide.receive.receipt import Heard, IntakeCounts, Receipt
from ebbtide.receive.refusal import Reason, Refusal
from ebbtide.receive.room import Room
from ebbtide.receive.settings import IntakeSettings
from ebbtide.receive.source import Source
from ebbtide.receive.tally import Tally
from ebbtide.series import SECOND_NS, Batch, Counts
from ebbtide.store.store import Store

#: Of each source, however many there are.
_KEY_BYTES_MIN: Final = 32 * 1024 * 1024
#: How long a commit waits for bodies that are expected.
_LINGER_S: Final = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One uncompressed request on its way to disk. `order_ns`: when its points ended, as far as a glance can tell."""

    content: bytes
    format_name: str
    source: Source
    protocol: str
    order_ns: int
    future: Future[Receipt]


@dataclass(slots=True, eq=False)
class _Group:
    """Bodies of one transaction with what was decoded from each."""

    bodies: list[Body] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    points: int = 0


#: What a batch passes before it is stored, with the time: see `guard`.
Admit: TypeAlias = Callable[[Batch, int], Batch]


def _all(batch: Batch, _: int) -> Batch:
    return batch


def _unheard(_: int) -> None:
    return None


class Intake:
    """Takes bodies from any thread. `start` before, `stop` after; `stop` commits what waits.

    `witness` is told, for each body, when one of its points ended.
    """

    def __init__(
        self,
        store: Store,
        settings: IntakeSettings | None = None,
        *,
        clock: Callable[[], int] = time.time_ns,
        admit: Admit = _all,
        witness: Callable[[int], None] = _unheard,
    ) -> None:
        self.settings = settings or IntakeSettings()
        self.room = Room(self.settings.waiting)
        self.tally = Tally()
        self._store = store
        self._clock = clock
        self._admit = admit
        self._witness = witness
        self._state = CounterState()
        self._sessions: dict[tuple[str, str], Session] = {}
        self._waiting: deque[Body] = deque()
        self._changed = threading.Condition()
        self._is_open = False
        self._origin = 0
        self._clusters = Clusters()
        self._last_size = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the last counters from the store and begin to take bodies. Raises ServiceError."""
        self._state.restore(self._store.counters().items())
        self._origin = self._store.begin("live", "receivers")
        self._is_open = True
        self._thread = threading.Thread(target=self._run, name="ebbtide-intake", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more, commit what waits, and note in the store what became of all points.

        On a disk that takes nothing more the note is missing; it is counted as a failed commit.
        """
        with self._changed:
            self._is_open = False
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            try:
                self._store.finish(self._origin, self.tally.points(), self.tally.dropped)
            except ServiceError:
                self.tally.fail()

    @property
    def is_alive(self) -> bool:
        """Whether the keeper runs."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, content: bytes, format_name: str, source: Source, protocol: str) -> Future[Receipt]:
        """Have a body stored; the future resolves to its receipt once it is on disk.

        Raises a Refusal (busy) when too much waits or the intake is not open. The future raises DecodeError when the
        body is not of its format, ServiceError when it could not be stored: the same body may be sent again. One that
        is cancelled before its turn is left out.
        """
        self.room.take(len(content))
        end_ns = time_of(content, format_name)
        if end_ns is not None:
            self._witness(end_ns)
        order_ns = end_ns or self._clock()
        body = Body(content, format_name, source, protocol, order_ns, Future())
        with self._changed:
            is_full = len(self._waiting) >= self.settings.waiting_bodies
            if self._is_open and not is_full:
                self._waiting.append(body)
                self._changed.notify()
                return body.future
        self.room.give(len(content))
        raise Refusal(Reason.BUSY, "too many bodies are waiting" if is_full else "the service is stopping")

    def heard(self) -> dict[str, Heard]:
        """For each cluster the newest sample stored and when it arrived."""
        return self._clusters.snapshot()

    def counts(self) -> IntakeCounts:
        """All counters as of now, a copy."""
        return self.tally.snapshot(
            waiting_bodies=len(self._waiting),
            held_bytes=self.room.held,
            readings_evicted=self._state.evicted,
            clusters_forgotten=self._clusters.forgotten,
        )

    # -- the keeper's thread

    def _run(self) -> None:
        while (body := self._next()) is not None:
            group = _Group()
            try:
                self._gather(body, group)
                if group.bodies:
                    self._commit(group)
            except Exception as error:  # noqa: BLE001  the border of this thread: one commit's error must not end the keeper
                self._state.undo()
                self._fail(group, error)
            finally:
                self._state.keep()

    def _next(self) -> Body | None:
        """The next body in line, None when the intake was stopped and nothing waits."""
        with self._changed:
            while not self._waiting and self._is_open:
                self._changed.wait()
            return self._waiting.popleft() if self._waiting else None

    def _gather(self, first: Body, group: _Group) -> None:
        """Decode what waits into `group`, in the order of time, until it is worth a commit."""
        self._state.mark()
        together = sorted(self._together(first), key=lambda body: body.order_ns)
        for at, body in enumerate(together, start=1):
            self._decode(body, group)
            if group.points >= self.settings.commit_points:
                with self._changed:
                    self._waiting.extendleft(reversed(together[at:]))
                break

    def _together(self, first: Body) -> list[Body]:
        """The next bodies of one commit. Where several came together the last time, those to come are waited for
        a moment: senders that were answered together come back together.
        """
        taken, size = [first], len(first.content)
        with self._changed:
            if self._last_size > 1 and self._is_open:
                self._changed.wait_for(lambda: len(self._waiting) + 1 >= self._last_size, _LINGER_S)
            while self._waiting and size < self.settings.commit:
                taken.append(self._waiting.popleft())
                size += len(taken[-1].content)
        self._last_size = len(taken)
        return taken

    def _decode(self, body: Body, group: _Group) -> None:
        if not body.future.set_running_or_notify_cancel():
            self.room.give(len(body.content))
            return
        batch = self._batch(body)
        if batch is None:
            return
        group.bodies.append(body)
        group.batches.append(batch)
        group.points += batch.counts.received

    def _batch(self, body: Body) -> Batch | None:
        """What a body holds; None if it holds nothing that can be read, which its sender was told."""
        place = self._state.mark()
        latest_ns = self._clock() + round(self.settings.ahead * SECOND_NS)
        try:
            return self._session(body.source).decode(body.format_name, body.content, not_after_ns=latest_ns)
        except Exception as error:  # noqa: BLE001  hostile bytes that find a bug in a decoder must cost no other body
            self._state.undo(place)
            known = isinstance(error, EbbtideError)
            if not known:
                self.tally.bug()
            self._resolve(body, error if known else DecodeError(f"the body could not be read: {error!r}"))
            return None

    def _session(self, source: Source) -> Session:
        found = self._sessions.get(source.key)
        if found is None:
            found = Session(source.preset, default_cluster=source.cluster, state=self._state)
            self._sessions[source.key] = found
            for session in self._sessions.values():
                session.catalog.key_bytes_max = max(KEY_BYTES_MAX // len(self._sessions), _KEY_BYTES_MIN)
        # All catalogs together remember as many series as one may; who needs more forgets and parses again.
        others = sum(len(session.catalog) for session in self._sessions.values()) - len(found.catalog)
        found.catalog.series_max = max(SERIES_MAX // len(self._sessions), SERIES_MAX - others)
        return found

    def _commit(self, group: _Group) -> None:
        began = time.perf_counter()
        now_ns = self._clock()
        oldest_ns = now_ns - round(self.settings.late * SECOND_NS)
        try:
            batch = self._admit(Batch.concat(group.batches), now_ns)
            dropped: Counter[str] = Counter()
            stored = 0
            if len(batch) or batch.heartbeats:
                appended = self._store.append(batch, self._origin, oldest_ns=oldest_ns)
                stored, dropped, oldest_ns = appended.stored, appended.dropped, appended.oldest_ns
        except Exception as error:  # noqa: BLE001  whatever went wrong, nothing of this group is stored and all may come again
            self._state.undo()
            if isinstance(error, ServiceError) or len(group.bodies) == 1:
                self._fail(group, error)
            else:
                self._one_by_one(group)
            return
        self._state.keep()
        self._clusters.note(batch, now_ns)
        self.tally.commit(stored, dropped, time.perf_counter() - began)
        for body, part in zip(group.bodies, group.batches, strict=True):
            late = int((part.end_ns < oldest_ns).sum()) if dropped["too_late"] else 0
            duplicates = dropped["duplicate"] if len(group.bodies) == 1 or not dropped["duplicate"] else None
            source = body.source.preset.name, body.source.cluster
            self.tally.store(body.protocol, len(body.content), part.counts, source)
            self._resolve(body, _receipt(part.counts, late, duplicates))

    def _one_by_one(self, group: _Group) -> None:
        """The store choked on something in this group: find out on whose."""
        for body in group.bodies:
            self._state.keep()
            self._state.mark()
            batch = self._batch(body)
            if batch is not None:
                self._commit(_Group([body], [batch]))

    def _fail(self, group: _Group, error: Exception) -> None:
        self.tally.fail()
        told = error if isinstance(error, ServiceError) else ServiceError(f"the data could not be stored: {error!r}")
        for body in group.bodies:
            if not body.future.done():
                self._resolve(body, told)

    def _resolve(self, body: Body, outcome: Receipt | Exception) -> None:
        self.room.give(len(body.content))
        if isinstance(outcome, Exception):
            body.future.set_exception(outcome)
        else:
            body.future.set_result(outcome)


def _receipt(counts: Counts, late: int, duplicates: int | None) -> Receipt:
    rejected = Counter(counts.rejected)
    if late:
        rejected["too_late"] += late
    return Receipt(counts.accepted - late, +rejected, Counter(counts.ignored), duplicates)
