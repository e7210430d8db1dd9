"""A store with a month of history, written in bulk: into the store's own tables, past decoding and `append`.

Names, series and samples are what an import of the same traffic leaves behind: each entity sends every metric to one
destination, one sample every interval, whole numbers that vary evenly between half and one and a half of the usual.
A few entities send twenty times as much, ten times in the last hour. Everything follows from the numbers alone, so a
history is the same wherever it is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS
from ebbtide.store.segments import SEGMENT_NS, Segments, segment_of, table_of
from ebbtide.store.store import Store

METRICS = ("tcp.bytes", "tcp.packets", "tcp.new_sockets", "udp.bytes", "udp.packets")

#: The instant that is judged: 2025-11-25 13:00 UTC, so that the baseline has full days and parts of days.
NOW_NS = 1_764_075_600 * SECOND_NS

#: What series number `s` sends in the interval that ends at `end_ns`.
_USUAL = "(20 + hash(s) % 100000)"
_NOISE = "(0.5 + (hash(s, end_ns) % 1024) / 1024.0)"
_IS_BURST = f"s // {len(METRICS)} % 50 = 7 AND end_ns >= {{burst_ns}} AND end_ns % {{every_ns}} = 0"
_BURST = f"CASE WHEN {_IS_BURST} THEN 20 ELSE 1 END"


@dataclass(frozen=True, slots=True)
class History:
    """How much history: entities x 5 metrics over `days` before `now_ns`, a sample every `interval_s`."""

    entities: int
    days: int = 30
    interval_s: int = 10
    now_ns: int = NOW_NS

    @property
    def series(self) -> int:
        """How many series that is."""
        return self.entities * len(METRICS)

    @property
    def from_ns(self) -> int:
        """Its first instant."""
        return self.now_ns - self.days * DAY_NS


def write_samples(path: Path, history: History, *, threads: int = 2) -> int:
    """A store with every sample of the history, its hours still to be derived; returns how many samples."""
    with _opened(path, history, threads) as con:
        samples = _write_segments(con, history, history.from_ns)
        _wait_for_roll_up(con, history.from_ns, history.now_ns)
    return samples


def write_summaries(path: Path, history: History, *, threads: int = 2) -> int:
    """A store with real samples of the last hour only, and summaries of the rest made up; returns how many samples.

    What is made up has the distribution of the samples that `write_samples` would have written.
    """
    with _opened(path, history, threads) as con:
        first, last = history.from_ns // HOUR_NS, history.now_ns // HOUR_NS - 1
        made = {"series": history.series, "metrics": len(METRICS), "points": 3600 // history.interval_s}
        for start in range(first, last, 24):
            con.execute(_HOURS.format(first=start, last=min(start + 24, last), **made))
        whole = (-(-first // 24), last // 24)
        con.execute(_DAYS.format(first=whole[0], last=whole[1]))
        con.execute(f"INSERT INTO closed_days SELECT unnest(range({whole[0]}, {whole[1]}))")
        con.execute(
            f"INSERT INTO coverage SELECT 'prod', unnest(range({first}, {last})), 0, {2**60 - 1}, {history.interval_s}"
        )
        samples = _write_segments(con, history, history.now_ns - HOUR_NS)
        _wait_for_roll_up(con, history.now_ns - HOUR_NS, history.now_ns)
    return samples


def _opened(path: Path, history: History, threads: int) -> duckdb.DuckDBPyConnection:
    Store.open(path).close()
    con = duckdb.connect(str(path), config={"threads": threads})  # keeps the order of rows: interval by interval
    con.execute(
        "INSERT INTO entities SELECT i, 'prod', 'team-' || i % 31, 'workload-' || i // 3, 'process-' || i % 3 "
        f"FROM range({history.entities}) t(i)"
    )
    con.execute(
        "INSERT INTO endpoints SELECT entity, cluster, namespace, workload, process, 'internal' FROM entities "
        f"UNION ALL SELECT {history.entities} + i, '', '', 'api' || i || '.example.com', '', 'external' "
        "FROM range(97) t(i)"
    )
    con.executemany("INSERT INTO metrics VALUES (?, ?)", list(enumerate(METRICS)))
    con.execute(
        f"INSERT INTO series SELECT s, s * 7919 + 1, s % {len(METRICS)}, s // {len(METRICS)}, NULL, "
        f"s // {len(METRICS)}, {history.entities} + s // {len(METRICS)} % 97, '', '{{}}' "
        f"FROM range({history.series}) t(s)"
    )
    con.execute("INSERT INTO provenance VALUES (1, 'import', 'benchmark', '', '{}')")
    return con


def _write_segments(con: duckdb.DuckDBPyConnection, history: History, from_ns: int) -> int:
    segments, step, metrics, samples = Segments(con), history.interval_s * SECOND_NS, len(METRICS), 0
    burst = _BURST.format(burst_ns=history.now_ns - HOUR_NS, every_ns=6 * 60 * SECOND_NS)
    for segment in range(segment_of(from_ns), segment_of(history.now_ns - 1) + 1):
        start, end = max(segment * SEGMENT_NS, from_ns), min((segment + 1) * SEGMENT_NS, history.now_ns)
        segments.ensure(con, segment)
        samples += con.execute(
            f"INSERT INTO {table_of(segment)} "
            f"SELECT s, s // {metrics}, -1, s % {metrics}, end_ns, {step}, "
            f"floor({_USUAL} * {_NOISE}) * {burst}, 'nan'::DOUBLE, 1 "
            f"FROM (SELECT i % {history.series} AS s, {start} + i // {history.series} * {step} AS end_ns "
            f"FROM range({(end - start) // step * history.series}) t(i))"
        ).fetchall()[0][0]
    return samples


def _wait_for_roll_up(con: duckdb.DuckDBPyConnection, from_ns: int, to_ns: int) -> None:
    con.execute(f"INSERT INTO dirty_hours SELECT unnest(range({from_ns // HOUR_NS}, {to_ns // HOUR_NS}))")


_HOURS = """
    INSERT INTO hours
    WITH made AS (
        SELECT s, hour, {points} AS n, (20 + hash(s) % 100000) AS usual,
               1 + ((hash(s, hour) % 1024) / 1024.0 - 0.5) / sqrt(n) AS wobble
        FROM range({first}, {last}) t(hour), range({series}) u(s)
    ),
    moments AS (
        SELECT s, hour, n, round(n * usual * wobble) / n AS mean, n * usual * usual * wobble / 12 AS m2,
               floor(usual * 0.501) AS low, floor(usual * 1.499) AS high
        FROM made
    )
    SELECT s // {metrics}, s % {metrics}, hour, n, mean, m2, low, high,
           n, mean * n / 3600, m2 * (n / 3600) ** 2, low * n / 3600, high * n / 3600,
           round(mean * n), 0, 1, 1
    FROM moments ORDER BY hour, hash(s)
"""

_DAYS = """
    INSERT INTO days
    SELECT entity, metric, hour // 24, sum(points), avg(mean), sum(m2), min(minimum), max(maximum),
           sum(buckets), avg(bucket_mean), sum(bucket_m2), min(bucket_minimum), max(bucket_maximum),
           sum(sent), sum(received), count(*) FILTER (points > 0)
    FROM hours WHERE hour // 24 >= {first} AND hour // 24 < {last} GROUP BY ALL
"""
