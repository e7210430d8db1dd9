"""One accepted batch, one transaction: after it returns, kill -9 loses nothing of it.

Duplicates are found by series and end. A sample later than everything stored of its series is new without a look; only
the others (late data, retries) are looked up in the file.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ebbtide.series import HOUR_NS, MINUTE_NS, Batch, Heartbeat, Int32, Int64
from ebbtide.store.arrivals import Arrivals
from ebbtide.store.identity import Identity
from ebbtide.store.progress import LateHour
from ebbtide.store.segments import SEGMENT_NS, Segments, table_of
from ebbtide.store.settled import is_settled, reopen, reopened_segments

#: As `oldest_ns`: nothing is too late.
ANY_TIME: Final = -(2**63)


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a batch's samples: stored, or dropped by reason (`duplicate`, `too_late`, `settled`).

    `late` are hours that are late because of them: judged before, and not known to be late yet. What ended before
    `oldest_ns` was too late.
    """

    stored: int
    dropped: Counter[str]
    late: list[LateHour] = field(default_factory=list)
    oldest_ns: int = ANY_TIME


def append(
    con: duckdb.DuckDBPyConnection,
    identity: Identity,
    segments: Segments,
    dirty: set[int],
    arrivals: Arrivals,
    batch: Batch,
    *,
    origin: int,
    oldest_ns: int,
    is_replacing: bool = False,
) -> Appended:
    """Store a batch inside the caller's transaction; `dirty` gains the hours that must be derived again.

    Samples that end before `oldest_ns` are dropped as `too_late`: their segment is gone, so their hour could not be
    derived from all of its samples any more. So are those of a segment that the disk budget gave up earlier than that.
    With `ANY_TIME` (an import) only what falls into such an hour of its sender or receiver is dropped, as `settled`;
    `is_replacing`: nothing is, what was there of these hours was taken away (a backfill).
    """
    if oldest_ns != ANY_TIME:
        oldest_ns = max(oldest_ns, _given_up_ns(con, segments, batch.end_ns[batch.end_ns >= oldest_ns]))
    numbers = identity.series(batch.series)[batch.ref]
    in_time = batch.end_ns >= oldest_ns
    settled = np.zeros(len(numbers), bool)
    if oldest_ns == ANY_TIME and not is_replacing:
        ends = identity.sender_of(numbers), identity.receiver_of(numbers)
        settled = is_settled(con, segments, *ends, batch.end_ns)
    wanted = in_time & ~settled
    fresh = wanted & ~_is_repeated(numbers, batch.end_ns)
    fresh[fresh] = ~_is_stored(con, identity, segments, numbers[fresh], batch.end_ns[fresh])
    dropped = Counter(
        too_late=int((~in_time).sum()), settled=int(settled.sum()), duplicate=int((wanted & ~fresh).sum())
    )
    identity.save_new(con)
    rows = _rows(identity, numbers[fresh], batch, fresh, origin)
    _insert_samples(con, segments, rows, batch.end_ns[fresh])
    start, end = batch.start_ns[fresh], batch.end_ns[fresh]
    mark(con, dirty, set(np.unique(np.concatenate([start // HOUR_NS, end // HOUR_NS])).tolist()))
    _beat(con, batch.heartbeats)
    identity.advance(numbers[fresh], batch.end_ns[fresh])
    stored = numbers[fresh]
    late = arrivals.note(
        identity.sender_of(stored), identity.receiver_of(stored), batch.end_ns[fresh], batch.heartbeats
    )
    return Appended(int(fresh.sum()), +dropped, late, oldest_ns)


def _given_up_ns(con: duckdb.DuckDBPyConnection, segments: Segments, end_ns: Int64) -> int:
    """The end of the latest segment of these instants whose samples went before its summaries; ANY_TIME if none."""
    there = set(segments.known) - reopened_segments(con)
    absent = sorted(set(np.unique(end_ns // SEGMENT_NS).tolist()) - there)
    if not absent:
        return ANY_TIME
    hours = SEGMENT_NS // HOUR_NS
    rows = con.execute(
        "SELECT DISTINCT hour // $hours FROM hours WHERE hour >= $first AND hour < $end",
        {"hours": hours, "first": absent[0] * hours, "end": (absent[-1] + 1) * hours},
    ).fetchall()
    gone = {segment for (segment,) in rows} & set(absent)
    return (max(gone) + 1) * SEGMENT_NS if gone else ANY_TIME


def _is_repeated(numbers: Int32, end_ns: Int64) -> NDArray[np.bool_]:
    """Which rows repeat an earlier row of the same batch."""
    order = np.lexsort((end_ns, numbers))
    same = (np.diff(numbers[order]) == 0) & (np.diff(end_ns[order]) == 0)
    repeated = np.zeros(len(numbers), bool)
    repeated[order[1:]] = same
    return repeated


def _is_stored(
    con: duckdb.DuckDBPyConnection, identity: Identity, segments: Segments, numbers: Int32, end_ns: Int64
) -> NDArray[np.bool_]:
    stored = np.zeros(len(numbers), bool)
    suspects = np.flatnonzero(end_ns <= identity.last_end(numbers))
    if not len(suspects):
        return stored
    ends = end_ns[suspects]
    con.register("suspects", pa.table({"row": suspects, "series": numbers[suspects], "end_ns": ends}))
    try:
        samples = segments.between(int(ends.min()), int(ends.max()) + 1)
        found = con.sql(f"SELECT DISTINCT row FROM suspects JOIN {samples} USING (series, end_ns)").fetchnumpy()["row"]
    finally:
        con.unregister("suspects")
    stored[np.asarray(found, np.int64)] = True
    return stored


def _rows(identity: Identity, numbers: Int32, batch: Batch, fresh: NDArray[np.bool_], origin: int) -> pa.Table:
    end = batch.end_ns[fresh]
    return pa.table(
        {
            "series": numbers,
            "sender": identity.sender_of(numbers),
            "receiver": identity.receiver_of(numbers),
            "metric": identity.metric_of(numbers).astype(np.int16),
            "end_ns": end,
            "span_ns": end - batch.start_ns[fresh],
            "value": batch.value[fresh],
            "reading": batch.reading[fresh],
            "origin": np.full(len(end), origin, np.int32),
        }
    )


def _insert_samples(con: duckdb.DuckDBPyConnection, segments: Segments, rows: pa.Table, end_ns: Int64) -> None:
    segment = end_ns // SEGMENT_NS
    touched = [int(one) for one in np.unique(segment)]
    for one in touched:
        reopen(con, segments, one)
        segments.ensure(con, one)
        part = rows if len(touched) == 1 else rows.filter(pa.array(segment == one))
        con.register("incoming", part)
        try:
            con.execute(f"INSERT INTO {table_of(one)} SELECT * FROM incoming")
        finally:
            con.unregister("incoming")


def mark(con: duckdb.DuckDBPyConnection, dirty: set[int], hours: set[int]) -> None:
    """Note that these hours are to be derived again, and their days closed again."""
    new = sorted(hours - dirty)
    if not new:
        return
    dirty.update(new)
    con.executemany("INSERT INTO dirty_hours VALUES (?)", [[hour] for hour in new])
    days = sorted({hour // 24 for hour in new})
    con.execute("DELETE FROM closed_days WHERE list_contains(?, day)", [days])


def _beat(con: duckdb.DuckDBPyConnection, heartbeats: tuple[Heartbeat, ...]) -> None:
    bits: dict[tuple[str, int], int] = {}
    for beat in heartbeats:
        first = max(beat.start_ns, beat.end_ns - HOUR_NS) // MINUTE_NS
        for minute in range(first, (beat.end_ns - 1) // MINUTE_NS + 1):
            at = (beat.cluster, minute // 60)
            bits[at] = bits.get(at, 0) | 1 << minute % 60
    for (cluster, hour), heard in bits.items():
        known = con.execute(
            "UPDATE coverage SET heartbeats = heartbeats | ? WHERE cluster = ? AND hour = ? RETURNING 1",
            [heard, cluster, hour],
        ).fetchall()
        if not known:
            con.execute("INSERT INTO coverage VALUES (?, ?, ?, 0, 0)", [cluster, hour, heard])
