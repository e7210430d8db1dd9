"""The run of a backfill: hour after hour, each kept before the next is asked for, then the summaries.

What is done is noted with the hour, in the transaction that keeps it, so a run that was stopped at any point goes on
where it was, and the result is the same to the last byte as that of a run that was not.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

import numpy as np

from ebbtide.backfill.readings import Readings, hour_batch
from ebbtide.decode.files import BadLine
from ebbtide.decode.session import Session
from ebbtide.errors import DecodeError, UsageError
from ebbtide.series import HOUR_NS, MINUTE_NS, Batch, Counts, joined_batches
from ebbtide.store.backfill import Replaced
from ebbtide.store.store import Store

#: An hour is over for a server only when its last scrapes have come in.
SETTLE_NS: Final = 5 * MINUTE_NS
#: Samples of a file that are kept at once.
COMMIT_SAMPLES: Final = 50_000


class HourSource(Protocol):
    """Where hours come from."""

    def hour(self, hour: int) -> list[Readings]:
        """All readings of an hour and some minutes before it. Raises EbbtideError; what is done stays done."""
        ...


@dataclass(slots=True)
class Backfilled:
    """What became of every point of a run.

    `hours` brought, `skipped` because an earlier run had brought them, `firsts` stored samples that are only the first
    reading of a counter, `removed` samples that were there before.
    """

    counts: Counts = field(default_factory=Counts)
    stored: int = 0
    firsts: int = 0
    removed: int = 0
    hours: int = 0
    skipped: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, counts: Counts, batch: Batch, replaced: Replaced) -> None:
        """Add an hour, or a part of one."""
        self.counts.add(counts)
        self.stored += replaced.stored
        self.removed += replaced.removed
        self.dropped.update(replaced.dropped)
        self.firsts += int(np.count_nonzero(np.isnan(batch.value)))

    def as_object(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "hours": self.hours,
            "hours_done_before": self.skipped,
            "received": self.counts.received,
            "stored": self.stored,
            "first_readings": self.firsts,
            "removed": self.removed,
            "rejected": dict(self.counts.rejected),
            "ignored": dict(self.counts.ignored),
            "clipped": dict(self.counts.clipped),
            "dropped": dict(self.dropped),
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


def hours_between(from_ns: int, to_ns: int, now_ns: int) -> range:
    """The whole hours of [from_ns, to_ns) that are over at `now_ns`. Raises UsageError if there is none."""
    last = min(to_ns, now_ns - SETTLE_NS) // HOUR_NS
    hours = range(max(0, -(-from_ns // HOUR_NS)), last)
    if not hours:
        raise UsageError("no whole hour lies between --from and --to", hint="the running hour is not backfilled")
    return hours


def backfill_hours(
    store: Store,
    session: Session,
    source: HourSource,
    name: str,
    hours: range,
    *,
    is_again: bool = False,
    is_live_replaced: bool = False,
    progress: Callable[[int], None] = lambda _: None,
    summaries: Callable[[int], None] = lambda _: None,
) -> Backfilled:
    """Bring these hours of a source called `name`; `progress` and `summaries` are told how many hours are done.

    `is_again`: also those that are done already. Summaries are derived at the end, also where the source fails: on each
    of them rests the day after it, so what is derived at once is derived once.
    """
    origin, done = store.begin_backfill(name, again=(hours[0], hours[-1] + 1) if is_again else (0, 0))
    found = Backfilled()
    began = time.perf_counter()
    try:
        for hour in hours:
            if hour in done:
                found.skipped += 1
            else:
                readings = source.hour(hour)
                batch = hour_batch(session, readings, hour * HOUR_NS, (hour + 1) * HOUR_NS)
                with store.transaction():
                    replaced = store.replace_hour(batch, hour, origin, is_live_replaced=is_live_replaced)
                    store.note_hour(origin, hour, batch.counts, replaced)
                found.add(batch.counts, batch, replaced)
                found.hours += 1
            progress(1)
    finally:
        store.roll_up(progress=summaries)
        found.seconds = time.perf_counter() - began
        store.finish(origin, found.counts, found.dropped)
    return found


def backfill_files(
    store: Store,
    session: Session,
    files: Iterable[Path],
    name: str,
    *,
    format_name: str | None = None,
    is_live_replaced: bool = False,
    opened: Callable[[Path], BinaryIO],
    bad_line: Callable[[Path, BadLine], None],
    progress: Callable[[int], None] = lambda _: None,
) -> Backfilled:
    """Bring all hours in these files, read once in order: an hour is replaced when the first of its samples comes.

    A file that cannot be read is noted and the rest goes on. A run that was stopped is begun again from the first file:
    it replaces what the stopped one brought.
    """
    origin, _ = store.begin_backfill(name)
    found = Backfilled()
    began = time.perf_counter()
    begun: set[int] = set()
    try:
        for path in files:
            try:
                with opened(path) as file:
                    reader = session.reader(file, format_name)
                    for batch in joined_batches(reader, COMMIT_SAMPLES):
                        _bring(store, batch, origin, begun, found, is_live_replaced)
                for line in reader.bad_lines:
                    bad_line(path, line)
            except (DecodeError, OSError) as error:
                found.failed.append(f"{path}: {error}")
    finally:
        found.hours = len(begun)
        store.roll_up(progress=progress)
        found.seconds = time.perf_counter() - began
        store.finish(origin, found.counts, found.dropped)
    return found


def _bring(store: Store, batch: Batch, origin: int, begun: set[int], found: Backfilled, is_live_replaced: bool) -> None:
    """The samples of one batch, hour by hour, in one transaction."""
    counts = batch.counts
    hour_of = batch.end_ns // HOUR_NS
    hours = np.unique(hour_of).tolist()
    done = []
    with store.transaction():
        for hour in hours:
            part = rows_of(batch, np.flatnonzero(hour_of == hour))
            replaced = store.replace_hour(
                part, hour, origin, is_continued=hour in begun, is_live_replaced=is_live_replaced
            )
            done.append((part, replaced))
    begun.update(hours)
    found.counts.add(counts)
    for part, replaced in done:
        found.add(Counts(), part, replaced)


def rows_of(batch: Batch, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Batch:
    """Some rows of a batch with the series they refer to; no counts."""
    used, ref = np.unique(batch.ref[rows], return_inverse=True)
    return Batch(
        tuple(batch.series[at] for at in used.tolist()),
        ref.astype(np.int32),
        batch.start_ns[rows],
        batch.end_ns[rows],
        batch.value[rows],
        batch.reading[rows],
        batch.heartbeats,
    )
