"""Summaries whose samples are gone: an hour of an entity that was summarised and then outlived what it was made from.

Retention drops samples after a day and keeps summaries for a month. When a backfill brings other samples into such an
hour, or next to it, the hour is derived again, and what cannot be derived again must stay as it is. Without this a
backfill of one entity would wipe what was learned live of all others, and an import into such an hour of an entity
would leave a summary of what it brought alone.
"""

from __future__ import annotations

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ebbtide.series import HOUR_NS, Int32, Int64
from ebbtide.store.connection import query
from ebbtide.store.segments import SEGMENT_NS, CommittedSegments, table_of

_SEGMENT_HOURS = SEGMENT_NS // HOUR_NS


def reopened_segments(con: duckdb.DuckDBPyConnection) -> set[int]:
    """Segments into which samples came after their own were dropped: some of their hours have summaries only."""
    return {row[0] for row in con.execute("SELECT segment FROM reopened_segments").fetchall()}


def reopen(con: duckdb.DuckDBPyConnection, segments: CommittedSegments, segment: int) -> None:
    """Note that samples come into this segment, where its own were dropped; part of the caller's transaction."""
    if segment in segments.known:
        return
    first = segment * _SEGMENT_HOURS
    con.execute("DELETE FROM reopened_segments WHERE segment = ?", [segment])
    con.execute(
        "INSERT INTO reopened_segments SELECT DISTINCT ?::INTEGER FROM hours WHERE hour >= ? AND hour < ?",
        [segment, first, first + _SEGMENT_HOURS],
    )


def oldest_hour(con: duckdb.DuckDBPyConnection) -> int | None:
    """Hours before this one cannot be learned from any more; None: all can.

    Days after a replaced hour are learned again from their hours' peaks, and closed again from their hours. Where those
    were dropped already and the days kept, a replaced hour would cost days that nothing can bring back.
    """
    bounds = []
    # A day of which an hour waits is not closed: what of its hours is missing is yet to come.
    closed = "days JOIN closed_days USING (day)"
    for days, hours in (("learned_days", "peaks"), (closed, "hours")):
        sql = f"SELECT (SELECT min(day) FROM {days}), (SELECT min(hour) FROM {hours})"
        first_day, first_hour = con.execute(sql).fetchall()[0]
        if first_day is not None and (first_hour is None or first_day < first_hour // 24):
            bounds.append(first_day * 24 if first_hour is None else (first_hour // 24 + 1) * 24)
    return max(bounds, default=None)


def is_settled(
    con: duckdb.DuckDBPyConnection, segments: CommittedSegments, sender: Int32, receiver: Int32, end_ns: Int64
) -> NDArray[np.bool_]:
    """Which samples fall into an hour of their sender or receiver, (samples,), that has outlived its own samples.

    Such an hour cannot be derived from all of its samples any more; nor can one before `oldest_hour`.
    """
    hour = end_ns // HOUR_NS
    oldest = oldest_hour(con)
    found = np.zeros(len(hour), bool) if oldest is None else hour < oldest
    there = np.array(sorted(set(segments.known) - reopened_segments(con)), np.int64)
    open_rows = np.flatnonzero(~found & ~np.isin(hour // _SEGMENT_HOURS, there))
    if not len(open_rows):
        return found
    asked = hour[open_rows]
    if find_settled(con, segments, int(asked.min()), int(asked.max()) + 1):
        rows = pa.table({"row": open_rows, "sender": sender[open_rows], "receiver": receiver[open_rows], "hour": asked})
        con.register("asked", rows)
        try:
            hits = con.execute(
                "SELECT DISTINCT row FROM asked JOIN settled ON settled.hour = asked.hour "
                "AND settled.entity IN (asked.sender, asked.receiver)"
            ).fetchnumpy()["row"]
        finally:
            con.unregister("asked")
        found[np.asarray(hits, np.int64)] = True
    return found


def find_settled(con: duckdb.DuckDBPyConnection, segments: CommittedSegments, first: int, last: int) -> int:
    """Fill the temporary table `settled (entity, hour)` for the hours [first, last); how many rows it has."""
    con.execute("CREATE OR REPLACE TEMP TABLE settled (entity INTEGER, hour INTEGER)")
    reopened = reopened_segments(con)
    known = set(segments.known)
    rows = con.execute("SELECT DISTINCT hour FROM hours WHERE hour >= ? AND hour < ?", [first, last]).fetchall()
    for segment in sorted({hour // _SEGMENT_HOURS for (hour,) in rows}):
        start, end = max(first, segment * _SEGMENT_HOURS), min(last, (segment + 1) * _SEGMENT_HOURS)
        if segment not in known:
            _fill(con, start, end, "")
        elif segment in reopened:
            _fill(con, start, end, f"AND (entity, hour) NOT IN (SELECT entity, hour FROM ({_sampled(segment)}))")
    return int(con.execute("SELECT count(*) FROM settled").fetchall()[0][0])


def find_frozen(con: duckdb.DuckDBPyConnection, segments: CommittedSegments, first: int, last: int, reach: int) -> None:
    """Fill the temporary table `frozen (entity, hour)`: what rests on settled hours and cannot be derived any more.

    That is an hour of [first, last) up to `reach` hours after a settled one. In a segment whose samples were dropped,
    unless the entity has samples in that very hour; in one that is there, unless the entity has samples in an hour of
    such a segment that changed (`due_hours`) within reach: late data are derived from what there is.
    """
    con.execute("CREATE OR REPLACE TEMP TABLE frozen (entity INTEGER, hour INTEGER)")
    if not find_settled(con, segments, first - reach, last):
        return
    reopened = reopened_segments(con)
    there = set(segments.known) - reopened
    at = [[hour for hour in range(first, last) if (hour // _SEGMENT_HOURS in there) == is_there] for is_there in (0, 1)]
    con.execute(
        query("frozen"),
        {"dropped": at[0], "there": at[1], "segments": sorted(there), "reach": reach, "first": first, "last": last},
    )


def _fill(con: duckdb.DuckDBPyConnection, start: int, end: int, unless: str) -> None:
    con.execute(
        f"INSERT INTO settled SELECT DISTINCT entity, hour FROM hours WHERE hour >= ? AND hour < ? {unless}",
        [start, end],
    )


def _sampled(segment: int) -> str:
    """The hours of entities that have samples in a segment; a first reading of a counter is in no summary."""
    own = f"FROM {table_of(segment)} WHERE NOT isnan(value) AND"
    hour = "(end_ns // 3600000000000)::INTEGER AS hour"
    return (
        f"SELECT DISTINCT sender AS entity, {hour} {own} sender >= 0 "
        f"UNION SELECT DISTINCT receiver, {hour} {own} receiver >= 0"
    )
