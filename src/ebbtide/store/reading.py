"""Windows, baselines and evidence, read as of an instant: nothing later than it is looked at.

Entities are numbers here (`identity`); a `Grouping` says which of them are judged as one. Memory is bounded by the
grouping the caller passes: one shard of entities at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa

from ebbtide.baseline.moments import Moments, merge_rows
from ebbtide.series import HOUR_NS, SECOND_NS, Entity, Int32, Int64, Window
from ebbtide.store.identity import Identity
from ebbtide.store.pairs import masked_hours
from ebbtide.store.rollup import moment_columns, moments_of, snap_interval_s
from ebbtide.store.segments import SEGMENT_NS, CommittedSegments


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """Which entities are read, and as what: entity `numbers[i]` (int32, ascending) counts to `labels[group[i]]`."""

    numbers: Int32
    group: Int64
    labels: tuple[Entity, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def lookup(self) -> tuple[int, int, Int64]:
        """Lowest and highest number, and the group of each number between them (-1: not read)."""
        if not len(self.numbers):
            return 0, -1, np.empty(0, np.int64)
        low, high = int(self.numbers[0]), int(self.numbers[-1])
        table = np.full(high - low + 1, -1, np.int64)
        table[self.numbers - low] = self.group
        return low, high, table


class Reading:
    """Everything that is read from the store."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def span(self) -> tuple[int, int] | None:
        """The earliest and latest end of all samples, None for an empty store."""
        known = self._segments.known
        if not known:
            return None
        first = self._segments.between(*_bounds(known[0]))
        last = self._segments.between(*_bounds(known[-1]))
        sql = f"SELECT (SELECT min(end_ns) FROM {first}), (SELECT max(end_ns) FROM {last})"
        start, end = self._con.execute(sql).fetchall()[0]
        return None if start is None or end is None else (int(start), int(end))

    def horizon(self, now_ns: int) -> int:
        """Up to when one looks: now, or the end of what is stored where nothing came for an hour (a recording)."""
        span = self.span()
        if span is None or now_ns - span[1] < HOUR_NS:
            return now_ns
        return (span[1] // (10 * SECOND_NS) + 1) * 10 * SECOND_NS

    def senders(self, from_ns: int, to_ns: int) -> Int32:
        """The entities (ascending) with a sample of their own that ends in [from_ns, to_ns)."""
        samples = self._segments.between(from_ns, to_ns)
        found = self._con.execute(f"SELECT DISTINCT sender FROM {samples} WHERE sender >= 0").fetchnumpy()
        return np.sort(np.asarray(found["sender"], np.int32))

    def intervals_s(self, at_ns: int) -> dict[str, int]:
        """The interval of each cluster's source as known at an instant: of the last full hour it was heard in.

        A cluster first heard of in the running hour has the interval of what it sent so far.
        """
        full = self._con.execute(
            "SELECT cluster, max_by(interval_s, hour) FROM coverage WHERE hour < ? AND interval_s > 0 GROUP BY cluster",
            [at_ns // HOUR_NS],
        ).fetchall()
        new = {entity.cluster for entity in self._identity.entities} - {cluster for cluster, _ in full}
        if not new:
            return dict(full)
        samples = self._segments.between(at_ns // HOUR_NS * HOUR_NS, max(at_ns, 1))
        running = self._con.execute(
            f"SELECT cluster, quantile_disc(span_ns, 0.5) FROM {samples} JOIN entities ON entity = sender "
            "WHERE span_ns > 0 AND list_contains(?, cluster) GROUP BY cluster",
            [sorted(new)],
        ).fetchall()
        return dict(full) | {cluster: snap_interval_s(span_ns) for cluster, span_ns in running}

    def window(self, grouping: Grouping, metrics: tuple[str, ...], from_ns: int, to_ns: int, bucket_ns: int) -> Window:
        """What the grouping sent with ends in [from_ns, to_ns), on the grid of `bucket_ns` since the epoch."""
        start = from_ns // bucket_ns * bucket_ns
        shape = (len(grouping), len(metrics), max(0, -(-(to_ns - start) // bucket_ns)))
        size = math.prod(shape)
        metric_at = self._metric_positions(metrics)
        low, high, group_at = grouping.lookup()
        samples = self._segments.between(from_ns, to_ns)
        rows = self._con.sql(
            f"SELECT sender, metric, (end_ns - {start}) // {bucket_ns} AS bucket, value FROM {samples} "
            f"WHERE sender BETWEEN {low} AND {high} AND NOT isnan(value)"
        ).to_arrow_table()
        entity, metric, bucket, value = (column.to_numpy() for column in rows.columns)
        # What is not wanted gets a place so far below 0 that it stays there whatever is added.
        row_at = np.where(group_at < 0, -4 * size - 1, group_at * shape[1] * shape[2])
        column_at = np.where(metric_at < 0, -2 * size - 1, metric_at * shape[2])
        at = row_at[entity - low]
        at += column_at[metric]
        at += bucket
        if len(at) and at.min() < 0:
            wanted = at >= 0
            at, value = at[wanted], value[wanted]
        total = np.bincount(at, value.astype(np.float64, copy=False), size).reshape(shape)
        points = np.bincount(at, minlength=size).astype(np.int32).reshape(shape)
        return Window(grouping.labels, metrics, start, bucket_ns, np.asarray(total, np.float64), points)

    def moments(
        self, grouping: Grouping, metrics: tuple[str, ...], from_ns: int, to_ns: int, *, of: str, is_masked: bool
    ) -> Moments:
        """Moments (groups, metrics) over samples with ends in [from_ns floored to its hour, to_ns).

        `of` is `points` (raw samples, in the metric's unit) or `buckets` (sums at the source's interval, per second).
        Full hours come from summaries, closed days at once; only a last part of an hour is read from samples. With
        `is_masked`, hours an analyst has masked are left out.
        """
        low, high, group_at = grouping.lookup()
        metric_at = self._metric_positions(metrics)
        parts = [self._summaries(low, high, from_ns // HOUR_NS, to_ns // HOUR_NS, of, is_masked)]
        if to_ns % HOUR_NS:
            parts.append(self._partial_hour(low, high, to_ns, of, is_masked))
        names = moment_columns(of)
        rows = {name: np.concatenate([part[name] for part in parts]) for name in ("entity", "metric", *names)}
        group, metric = group_at[rows["entity"] - low], metric_at[rows["metric"]]
        wanted = np.flatnonzero((group >= 0) & (metric >= 0) & (rows[names[0]] > 0))
        at = group[wanted] * len(metrics) + metric[wanted]
        merged = merge_rows(moments_of(rows, names).take(wanted), at, len(grouping) * len(metrics))
        shape = (len(grouping), len(metrics))
        return Moments(
            merged.count.reshape(shape),
            merged.mean.reshape(shape),
            merged.m2.reshape(shape),
            merged.minimum.reshape(shape),
            merged.maximum.reshape(shape),
        )

    def usual_hours(self, numbers: Int32, from_ns: int, to_ns: int) -> dict[tuple[int, str], float]:
        """By entity and metric, the mean of what was sent in an hour in which anything was, over full hours."""
        if not len(numbers):
            return {}
        first, last = from_ns // HOUR_NS, to_ns // HOUR_NS
        whole = self._closed_days(first, last)
        among = f"entity IN ({', '.join(map(str, numbers.tolist()))})"
        days = ", ".join(map(str, whole)) or "NULL"
        parts = [f"SELECT entity, metric, sent, hours FROM days WHERE day IN ({days}) AND {among}"]
        for start, end in _without(whole, first, last):
            own = f"hour >= {start} AND hour < {end} AND {among}"
            parts.append(f"SELECT entity, metric, sent, (points > 0)::INTEGER FROM hours WHERE {own}")
        rows = self._con.execute(
            "SELECT entity, metrics.name, sum(sent) / sum(hours) "
            f"FROM ({' UNION ALL '.join(parts)}) JOIN metrics USING (metric) GROUP BY ALL HAVING sum(hours) > 0"
        ).fetchall()
        return {(entity, metric): float(sent) for entity, metric, sent in rows}

    def _summaries(self, low: int, high: int, first: int, last: int, of: str, is_masked: bool) -> dict[str, Int64]:
        columns = ", ".join(("entity", "metric", *moment_columns(of)))
        masked = self._masked_hours(first, last) if is_masked else []
        self._con.register(
            "masked", pa.table({"entity": _int32(a for a, _ in masked), "hour": _int32(b for _, b in masked)})
        )
        whole = self._closed_days(first, last)
        days = ", ".join(map(str, whole)) or "NULL"
        mask_day = "(SELECT DISTINCT entity, hour // 24 FROM masked)"
        not_day = f"AND (entity, day) NOT IN {mask_day}" if masked else ""
        not_hour = "AND (entity, hour) NOT IN (SELECT entity, hour FROM masked)" if masked else ""
        # One range for each part, as text: DuckDB then skips all other row groups of a month.
        hours = [f"hour >= {a} AND hour < {b}" for a, b in _without(whole, first, last)]
        if masked:
            hours.append(f"hour // 24 IN ({days}) AND (entity, hour // 24) IN {mask_day}")
        among = f"entity BETWEEN {low} AND {high}"
        parts = [f"SELECT hour AS at, {columns} FROM hours WHERE {part} AND {among} {not_hour}" for part in hours]
        # A range that begins with the range asked for lies before the days, any other after: almost in order already.
        place = 1 if hours and hours[0].startswith(f"hour >= {first} ") else 0
        parts.insert(place, f"SELECT day * 24 AS at, {columns} FROM days WHERE day IN ({days}) AND {among} {not_day}")
        try:
            found = self._con.sql(" UNION ALL ".join(parts)).to_arrow_table()
        finally:
            self._con.unregister("masked")
        return _in_order({name: found.column(name).to_numpy() for name in found.column_names})

    def _partial_hour(self, low: int, high: int, to_ns: int, of: str, is_masked: bool) -> dict[str, Int64]:
        hour = to_ns // HOUR_NS
        samples = self._segments.between(hour * HOUR_NS, to_ns)
        masked = [number for number, at in self._masked_hours(hour, hour + 1) if at == hour] if is_masked else []
        source = f"SELECT sender AS entity, metric, value AS x, 1 AS per FROM {samples} WHERE NOT isnan(value)"
        if of == "buckets":
            intervals = self.intervals_s(to_ns)
            self._con.register(
                "intervals",
                pa.table({"cluster": pa.array(intervals, pa.string()), "interval_s": _int32(intervals.values())}),
            )
            source = (
                f"SELECT sender AS entity, metric, sum(value) AS x, any_value(interval_s) AS per FROM {samples} "
                "JOIN entities ON entities.entity = sender JOIN intervals USING (cluster) WHERE NOT isnan(value) "
                "GROUP BY sender, metric, end_ns // (interval_s * 1000000000::BIGINT)"
            )
        count, mean, m2, minimum, maximum = moment_columns(of)
        skip = f"AND entity NOT IN ({', '.join(map(str, masked))})" if masked else ""
        try:
            found = self._con.execute(
                f"SELECT entity, metric, count(*) AS {count}, mean_of(x) / per AS {mean}, "
                f"m2_of(x) / per / per AS {m2}, min(x) / per AS {minimum}, max(x) / per AS {maximum} FROM ({source}) "
                f"WHERE entity BETWEEN {low} AND {high} {skip} GROUP BY entity, metric, per"
            ).fetchnumpy()
        finally:
            if of == "buckets":
                self._con.unregister("intervals")
        return {name: np.asarray(column) for name, column in found.items()}

    def _metric_positions(self, metrics: tuple[str, ...]) -> Int64:
        """For each metric number its place in `metrics`, -1 where it is not wanted."""
        places = {name: at for at, name in enumerate(metrics)}
        return np.array([places.get(name, -1) for name in self._identity.metrics] or [-1], np.int64)

    def _closed_days(self, first: int, last: int) -> list[int]:
        days = f"day >= {-(-first // 24)} AND day < {last // 24}"
        rows = self._con.execute(f"SELECT day FROM closed_days WHERE {days}").fetchall()
        return sorted(row[0] for row in rows)

    def _masked_hours(self, first: int, last: int) -> list[tuple[int, int]]:
        masks = masked_hours(self._con, first, last)
        return sorted(
            {(entity, hour) for entity, start, end in masks for hour in range(max(start, first), min(end, last))}
        )


def _in_order(rows: dict[str, Int64]) -> dict[str, Int64]:
    """Rows by time (column `at`), so that a sum over them comes out the same wherever they lie in the file."""
    at = rows["at"]
    if (at[1:] >= at[:-1]).all():
        return rows
    order = np.argsort(at, kind="stable")
    return {name: column[order] for name, column in rows.items()}


def _without(days: list[int], first: int, last: int) -> list[tuple[int, int]]:
    """The hours [first, last) without these days (ascending, whole within them), as ranges [from, to)."""
    starts = [first, *(day * 24 + 24 for day in days)]
    ends = [*(day * 24 for day in days), last]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if start < end]


def _bounds(segment: int) -> tuple[int, int]:
    return segment * SEGMENT_NS, (segment + 1) * SEGMENT_NS


def _int32(values: Iterable[int]) -> pa.Int32Array:
    return pa.array(list(values), pa.int32())
