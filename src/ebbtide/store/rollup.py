"""Samples to summaries: the hours that changed are derived again, whole, and closed days merged from their hours.

Summaries are never added to. An hour is deleted and derived from all of its samples, so late data, retries and crashes
leave the same bytes as data in order; only where the samples are gone a summary stays as it is (`settled`). A day is
merged only when every hour of it has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import duckdb
import numpy as np
import pyarrow as pa

from ebbtide.baseline.moments import Moments, merge_rows
from ebbtide.series import HOUR_NS, SECOND_NS, Int64
from ebbtide.store.connection import query, transaction
from ebbtide.store.segments import SEGMENT_NS, CommittedSegments, table_of
from ebbtide.store.settled import find_settled

#: Intervals a source can have; the median span of its samples is snapped to the nearest. All divide an hour.
INTERVALS_S = (10, 12, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600)

_SEGMENT_HOURS = SEGMENT_NS // HOUR_NS
#: Segments are derived together while they have no more samples than this, and no longer than a day: what a statement
#: costs by itself is then paid once.
_RUN_SAMPLES, _RUN_HOURS = 1_000_000, 24
_KINDS = {"points": ("points", "mean", "m2", "minimum", "maximum")}
_KINDS["buckets"] = ("buckets", "bucket_mean", "bucket_m2", "bucket_minimum", "bucket_maximum")


def snap_interval_s(span_ns: int) -> int:
    """The nearest known interval (by ratio) to a span, at least 10 s.

    >>> snap_interval_s(29_800_000_000), snap_interval_s(1_000_000_000)
    (30, 10)
    """
    span_s = max(span_ns / SECOND_NS, INTERVALS_S[0])
    return min(INTERVALS_S, key=lambda one: abs(np.log(one / span_s)))


def derive(
    con: duckdb.DuckDBPyConnection, segments: CommittedSegments, hours: Iterable[int], progress: Callable[[int], None]
) -> None:
    """Derive these hours again, in transactions of some segments; `progress` is told how many are done."""
    known = set(segments.known)

    def size_of(segment: int) -> int:
        return int(con.execute(f"SELECT count(*) FROM {table_of(segment)}").fetchall()[0][0]) if segment in known else 0

    for first, last in _runs(sorted(hours), size_of):
        with transaction(con):
            _derive_run(con, segments, first, last)
        progress(last - first)


def _runs(hours: list[int], size_of: Callable[[int], int]) -> Iterator[tuple[int, int]]:
    """Consecutive hours as [first, last): of one segment, of more where those together are small (`size_of`)."""
    first = last = None
    held = 0
    for hour in hours:
        if first is None or last is None:
            first, last = hour, hour + 1
            continue
        if hour == last and hour % _SEGMENT_HOURS == 0:
            held = (held or size_of((hour - 1) // _SEGMENT_HOURS)) + size_of(hour // _SEGMENT_HOURS)
        if hour != last or held > _RUN_SAMPLES or hour - first >= _RUN_HOURS:
            yield first, last
            first, held = hour, 0
        last = hour + 1
    if first is not None and last is not None:
        yield first, last


def _derive_run(con: duckdb.DuckDBPyConnection, segments: CommittedSegments, first: int, last: int) -> None:
    span = {"first": first, "last": last}
    find_settled(con, segments, first, last)
    _derive_coverage(con, segments, first, last)
    con.execute(
        "CREATE OR REPLACE TEMP TABLE revisions AS SELECT entity, metric, hour, revision FROM hours "
        "WHERE hour >= $first AND hour < $last",
        span,
    )
    for table in ("hours", "edges"):
        con.execute(
            f"DELETE FROM {table} WHERE hour >= $first AND hour < $last "
            "AND (entity, hour) NOT IN (SELECT entity, hour FROM settled)",
            span,
        )
    samples = segments.between(first * HOUR_NS, last * HOUR_NS)
    con.execute(query("hours").replace("{samples}", samples))
    con.execute(query("edges").replace("{samples}", samples))
    con.execute(
        "INSERT INTO due_hours SELECT DISTINCT hour FROM dirty_hours WHERE hour >= $first AND hour < $last", span
    )
    con.execute("DELETE FROM dirty_hours WHERE hour >= $first AND hour < $last", span)


def _derive_coverage(con: duckdb.DuckDBPyConnection, segments: CommittedSegments, first: int, last: int) -> None:
    sql = query("coverage").replace("{samples}", segments.between(first * HOUR_NS, (last + 1) * HOUR_NS))
    heard = con.execute(sql, {"from_hour": first, "to_hour": last}).fetchall()
    settled = "(SELECT cluster, hour FROM settled JOIN entities USING (entity))"
    con.execute(
        "UPDATE coverage SET samples = 0, interval_s = 0 WHERE hour >= ? AND hour < ? "
        f"AND (cluster, hour) NOT IN {settled}",
        [first, last],
    )
    # What is settled was heard in minutes that no sample tells of any more, at an interval that was known then.
    kept = {(row[0], row[1]): row[2:] for row in con.execute(
        f"SELECT cluster, hour, samples, interval_s FROM coverage WHERE (cluster, hour) IN {settled}"
    ).fetchall()}  # fmt: skip
    told: list[tuple[str, int, int, int]] = []
    for cluster, hour, bits, span_ns in heard:
        before, interval_s = kept.get((cluster, hour), (0, 0))
        told.append((cluster, hour, bits | before, interval_s or (0 if span_ns < 0 else snap_interval_s(span_ns))))
    if told:
        _keep_coverage(con, told)


def _keep_coverage(con: duckdb.DuckDBPyConnection, told: list[tuple[str, int, int, int]]) -> None:
    """Write rows (cluster, hour, minutes by samples, interval), two statements for however many: hours are few rows
    each, and a statement costs more than what it does.
    """
    names = ("cluster", "hour", "samples", "interval_s")
    con.register("told", pa.table(dict(zip(names, zip(*told, strict=True), strict=True))))
    try:
        con.execute(
            "UPDATE coverage SET samples = told.samples, interval_s = told.interval_s FROM told "
            "WHERE coverage.cluster = told.cluster AND coverage.hour = told.hour"
        )
        con.execute(
            "INSERT INTO coverage SELECT cluster, hour, 0, samples, interval_s FROM told "
            "ANTI JOIN coverage USING (cluster, hour)"
        )
    finally:
        con.unregister("told")


def close_days(con: duckdb.DuckDBPyConnection, days: Iterable[int]) -> None:
    """Merge the hours of these days, each in a transaction of its own."""
    for day in days:
        rows = con.sql(
            "SELECT * FROM hours WHERE hour >= ? AND hour < ? ORDER BY hour", params=[day * 24, day * 24 + 24]
        ).fetchnumpy()
        merged = _merged_day({name: np.asarray(column) for name, column in rows.items()}, day)
        with transaction(con):
            con.execute("DELETE FROM days WHERE day = ?", [day])
            con.register("incoming", merged)
            try:
                con.execute("INSERT INTO days SELECT * FROM incoming")
            finally:
                con.unregister("incoming")
            con.execute("INSERT INTO closed_days VALUES (?)", [day])


def _merged_day(rows: dict[str, Int64], day: int) -> pa.Table:
    pair = rows["entity"].astype(np.int64) << 16 | rows["metric"].astype(np.int64)
    pairs, group = np.unique(pair, return_inverse=True)
    columns = {
        "entity": (pairs >> 16).astype(np.int32),
        "metric": (pairs & 0xFFFF).astype(np.int16),
        "day": np.full(len(pairs), day, np.int32),
    }
    for names in _KINDS.values():
        merged = merge_rows(moments_of(rows, names), group, len(pairs))
        parts = (merged.count, merged.mean, merged.m2, merged.minimum, merged.maximum)
        columns.update(zip(names, parts, strict=True))
    for name in ("sent", "received"):
        columns[name] = np.bincount(group, rows[name], len(pairs))
    columns["hours"] = np.bincount(group, rows["points"] > 0, len(pairs)).astype(np.int32)
    return pa.table(columns)


def moments_of(rows: dict[str, Int64], names: tuple[str, ...]) -> Moments:
    """Moments from columns with these five names."""
    count, mean, m2, minimum, maximum = (np.asarray(rows[name]) for name in names)
    return Moments(
        count.astype(np.int64),
        mean.astype(np.float64),
        m2.astype(np.float64),
        minimum.astype(np.float64),
        maximum.astype(np.float64),
    )


def moment_columns(of: str) -> tuple[str, ...]:
    """The columns of `hours` and `days` that hold moments of raw `points` or of `buckets`."""
    return _KINDS[of]
