"""Summaries whose samples are gone: an hour of an entity that was summarised and then outlived what it was made from.

Retention drops samples after a day and keeps summaries for a month. When a backfill brings other samples into such an
hour, or next to it, the hour is derived again, and what cannot be derived again must stay as it is. Without this a
backfill of one entity would wipe what was learned live of all others.
"""

from __future__ import annotations

import duckdb

from ebbtide.series import HOUR_NS
from ebbtide.store.connection import query
from ebbtide.store.segments import SEGMENT_NS, CommittedSegments, table_of

_SEGMENT_HOURS = SEGMENT_NS // HOUR_NS


def find_settled(con: duckdb.DuckDBPyConnection, segments: CommittedSegments, first: int, last: int) -> int:
    """Fill the temporary table `settled (entity, hour)` for the hours [first, last); how many rows it has."""
    con.execute("CREATE OR REPLACE TEMP TABLE settled (entity INTEGER, hour INTEGER)")
    reopened = {row[0] for row in con.execute("SELECT segment FROM reopened_segments").fetchall()}
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
    reopened = {row[0] for row in con.execute("SELECT segment FROM reopened_segments").fetchall()}
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
