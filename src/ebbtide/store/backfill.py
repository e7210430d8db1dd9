"""A backfill replaces whole hours: what it brought before goes, what it brings now comes, in one transaction.

It never adds to an hour of an entity, and it never touches one that others (live data, an import, another backfill)
have brought unless told to: then it replaces theirs. Without this a second run would count every byte twice, and a
history from a coarser source would overwrite what was seen live.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ebbtide.series import HOUR_NS, Batch, Counts, Int32
from ebbtide.store import append
from ebbtide.store.arrivals import Arrivals
from ebbtide.store.identity import Identity
from ebbtide.store.segments import Segments, segment_of, table_of
from ebbtide.store.settled import oldest_hour, reopen

KIND: Final = "backfill"


@dataclass(frozen=True, slots=True)
class Replaced:
    """What became of one hour: samples stored, dropped by reason, and how many of others' or own earlier ones went.

    Dropped are `kept_live` (the sender or the receiver has live or imported data in this hour), `kept_backfill` (it has
    another backfill's), `settled` (the hour can no longer be derived) and `duplicate`.
    """

    stored: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    removed: int = 0


def origin_of(con: duckdb.DuckDBPyConnection, source: str) -> int:
    """The origin of this source's backfill, new if need be; part of the caller's transaction."""
    known = con.execute("SELECT origin FROM provenance WHERE kind = ? AND name = ?", [KIND, source]).fetchall()
    if known:
        return int(known[0][0])
    origin = int(con.execute("SELECT coalesce(max(origin), 0) + 1 FROM provenance").fetchall()[0][0])
    con.execute("INSERT INTO provenance VALUES (?, ?, ?, '', '{}')", [origin, KIND, source])
    return origin


def done_hours(con: duckdb.DuckDBPyConnection, origin: int) -> set[int]:
    """The hours this backfill has brought in full."""
    return {row[0] for row in con.execute("SELECT hour FROM backfilled WHERE origin = ?", [origin]).fetchall()}


def forget_done(con: duckdb.DuckDBPyConnection, origin: int, first: int, last: int) -> None:
    """Note that the hours [first, last) are to be brought again; part of the caller's transaction."""
    con.execute("DELETE FROM backfilled WHERE origin = ? AND hour >= ? AND hour < ?", [origin, first, last])


def note_done(con: duckdb.DuckDBPyConnection, origin: int, hour: int, counts: Counts, replaced: Replaced) -> None:
    """Note that this hour was brought in full, and what became of its points; part of the caller's transaction."""
    forget_done(con, origin, hour, hour + 1)
    points = {"accepted": counts.accepted, "rejected": dict(counts.rejected), "ignored": dict(counts.ignored)}
    points["dropped"] = dict(replaced.dropped)
    con.execute("INSERT INTO backfilled VALUES (?, ?, ?, ?)", [origin, hour, replaced.stored, json.dumps(points)])


def replace_hour(
    con: duckdb.DuckDBPyConnection,
    identity: Identity,
    segments: Segments,
    dirty: set[int],
    arrivals: Arrivals,
    batch: Batch,
    *,
    hour: int,
    origin: int,
    is_continued: bool,
    is_live_replaced: bool,
) -> Replaced:
    """Bring samples that end in this hour, inside the caller's transaction; `dirty` gains what is to be derived.

    `is_continued`: what this run has brought of the hour stays. Raises ValueError for a sample of another hour.
    """
    if len(batch) and (batch.end_ns // HOUR_NS != hour).any():
        raise ValueError(f"a sample lies outside the hour {hour}")
    oldest = oldest_hour(con)
    if oldest is not None and hour < oldest:
        return Replaced(0, +Counter(settled=len(batch)))
    numbers = identity.series(batch.series)[batch.ref]
    ends = (identity.sender_of(numbers), identity.receiver_of(numbers))
    before = Counter[str]()
    if not is_continued:
        before += _remove(con, segments, hour, f"origin = {origin}", None)
    if is_live_replaced:
        before += _remove(con, segments, hour, f"origin != {origin}", np.unique(np.concatenate(ends)))
    if before:  # a sample that is gone may have told of minutes of the hour before
        append.mark(con, dirty, {hour - 1, hour})
    others = _others(con, segments, hour, origin)
    live, backfilled = (_touches(ends, others[name]) for name in ("live", KIND))
    free = ~(live | backfilled)
    reopen(con, segments, segment_of(hour * HOUR_NS))
    done = append.append(
        con, identity, segments, dirty, arrivals, _take(batch, free), origin=origin, oldest_ns=append.ANY_TIME,
        is_replacing=True,
    )  # fmt: skip
    kept = Counter(kept_live=int(live.sum()), kept_backfill=int((backfilled & ~live).sum()))
    return Replaced(done.stored, +(kept + done.dropped), before["samples"])


def _touches(ends: tuple[Int32, Int32], entities: Int32) -> NDArray[np.bool_]:
    return np.isin(ends[0], entities) | np.isin(ends[1], entities)


def _take(batch: Batch, rows: NDArray[np.bool_]) -> Batch:
    return Batch(
        batch.series, batch.ref[rows], batch.start_ns[rows], batch.end_ns[rows], batch.value[rows], batch.reading[rows],
        batch.heartbeats, batch.counts,
    )  # fmt: skip


def _others(con: duckdb.DuckDBPyConnection, segments: Segments, hour: int, origin: int) -> dict[str, Int32]:
    """The entities of which others than `origin` brought something in this hour: `live` and `backfill`."""
    samples = segments.between(hour * HOUR_NS, (hour + 1) * HOUR_NS)
    rows = con.execute(
        f"WITH own AS (SELECT DISTINCT sender, receiver, origin FROM {samples} WHERE origin != $origin), "
        "found AS (SELECT sender AS entity, origin FROM own UNION SELECT receiver, origin FROM own "
        "UNION SELECT entity, origin FROM hours WHERE hour = $hour AND origin != $origin) "
        "SELECT DISTINCT entity, kind = $kind AS is_backfill FROM found JOIN provenance USING (origin) "
        "WHERE entity >= 0",
        {"origin": origin, "hour": hour, "kind": KIND},
    ).fetchnumpy()
    entity, is_backfill = np.asarray(rows["entity"], np.int32), np.asarray(rows["is_backfill"], bool)
    return {"live": entity[~is_backfill], KIND: entity[is_backfill]}


def _remove(
    con: duckdb.DuckDBPyConnection, segments: Segments, hour: int, whose: str, entities: Int32 | None
) -> Counter[str]:
    """Delete an hour's samples `whose` (SQL), and the summaries they are in; only those of `entities`, if given."""
    among = pa.array([] if entities is None else entities[entities >= 0], pa.int32())
    con.register("scope", pa.table({"entity": among}))
    scope = "(SELECT entity FROM scope)"
    both = "" if entities is None else f"AND (sender IN {scope} OR receiver IN {scope})"
    one = "" if entities is None else f"AND entity IN {scope}"
    has_samples = segment_of(hour * HOUR_NS) in segments.known
    rows = (
        f"FROM {table_of(segment_of(hour * HOUR_NS))} WHERE end_ns >= {hour * HOUR_NS} "
        f"AND end_ns < {(hour + 1) * HOUR_NS} AND {whose} {both}"
    )
    touched = f"SELECT entity FROM hours WHERE hour = {hour} AND {whose} {one}"
    if has_samples:
        touched += f" UNION SELECT sender {rows} UNION SELECT receiver {rows}"
    removed: Counter[str] = Counter()
    try:
        con.execute(f"CREATE OR REPLACE TEMP TABLE touched AS {touched}")
        if has_samples:
            removed["samples"] = int(con.execute(f"DELETE {rows}").fetchall()[0][0])
    finally:
        con.unregister("scope")
    for table in ("hours", "edges"):
        gone = con.execute(f"DELETE FROM {table} WHERE hour = {hour} AND entity IN (SELECT entity FROM touched)")
        removed[table] = int(gone.fetchall()[0][0])
    return +removed
