"""Prove a store sound: every promise the other files make about the tables, asked of the tables."""

from __future__ import annotations

from ebbtide.errors import Problem
from ebbtide.series import HOUR_NS
from ebbtide.store.segments import SEGMENT_NS, table_of
from ebbtide.store.store import Store

#: What must return no row: the promise, and the query that finds what breaks it.
_PROMISES = {
    "an entity has one number": "SELECT * EXCLUDE entity FROM entities GROUP BY ALL HAVING count(*) > 1",
    "numbers of entities are dense": "SELECT max(entity) FROM entities HAVING count(*) != max(entity) + 1",
    "numbers of endpoints are dense": "SELECT max(endpoint) FROM endpoints HAVING count(*) != max(endpoint) + 1",
    "numbers of series are dense": "SELECT max(series) FROM series HAVING count(*) != max(series) + 1",
    "a series has one key": "SELECT key FROM series GROUP BY key HAVING count(*) > 1",
    "a series belongs to known entities and endpoints": (
        "SELECT series FROM series WHERE coalesce(sender, 0) >= (SELECT count(*) FROM entities) "
        "OR coalesce(receiver, 0) >= (SELECT count(*) FROM entities) "
        "OR greatest(source, destination) >= (SELECT count(*) FROM endpoints)"
    ),
    "an entity's hour is summarised once": "SELECT entity FROM hours GROUP BY entity, metric, hour HAVING count(*) > 1",
    "an entity's day is summarised once": "SELECT entity FROM days GROUP BY entity, metric, day HAVING count(*) > 1",
    "an edge's hour is summarised once": "SELECT entity FROM edges GROUP BY entity, endpoint, hour HAVING count(*) > 1",
    "a closed day has no hour waiting": "SELECT day FROM closed_days JOIN dirty_hours ON hour // 24 = day",
    "no spread is negative": "SELECT entity FROM hours WHERE m2 < 0 OR bucket_m2 < 0",
    "a finding has one uid": "SELECT uid FROM findings GROUP BY uid HAVING count(*) > 1",
}


def check(store: Store) -> list[Problem]:
    """Every promise that does not hold, with an example; none for a sound store."""
    problems = [
        Problem("store", f"broken promise: {promise}", f"for instance {rows[0]}")
        for promise, sql in _PROMISES.items()
        if (rows := store.ask(sql))
    ]
    for segment in store.segments:
        problems += _check_segment(store, segment)
    return problems


def _check_segment(store: Store, segment: int) -> list[Problem]:
    table = table_of(segment)
    promises = {
        "samples lie in their segment": f"end_ns < {segment * SEGMENT_NS} OR end_ns >= {(segment + 1) * SEGMENT_NS}",
        "samples belong to known series": "series < 0 OR series >= (SELECT count(*) FROM series)",
        "spans are not negative": "span_ns < 0",
        "values are finite and not negative": "isinf(value) OR value < 0",
    }
    problems = [
        Problem(table, f"broken promise: {promise}", f"for instance {rows[0]}")
        for promise, breach in promises.items()
        if (rows := store.ask(f"SELECT series, end_ns FROM {table} WHERE {breach} LIMIT 1"))
    ]
    if store.ask(f"SELECT series FROM {table} GROUP BY series, end_ns HAVING count(*) > 1 LIMIT 1"):
        problems.append(Problem(table, "broken promise: a sample is stored once"))
    return problems + _check_sums(store, segment)


def _check_sums(store: Store, segment: int) -> list[Problem]:
    """Hours that are not waiting to be derived hold as many points and as much as their samples."""
    lost = store.ask(
        f"WITH told AS (SELECT entity, hour, sum(points) AS points, sum(sent) AS sent FROM hours GROUP BY ALL), "
        f"held AS (SELECT sender AS entity, end_ns // {HOUR_NS} AS hour, count(*) AS points, sum(value) AS sent "
        f"  FROM {table_of(segment)} WHERE sender >= 0 AND NOT isnan(value) GROUP BY ALL) "
        "SELECT hour FROM held LEFT JOIN told USING (entity, hour) WHERE hour NOT IN (SELECT hour FROM dirty_hours) "
        "AND (told.points IS DISTINCT FROM held.points OR abs(told.sent - held.sent) > 1e-9 * held.sent) LIMIT 1"
    )
    return (
        [Problem(table_of(segment), "broken promise: hours hold what their samples hold", f"hour {lost[0]}")]
        if lost
        else []
    )
