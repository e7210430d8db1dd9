"""The largest trailing sums within each hour: what records are made of.

In: samples. Out: one row per entity, metric and hour in which anything was sent or received in the 24 hours before.
Trailing sums are taken on a fixed grid, never at instants of evaluation, so live and replay learn the same. They are
not mergeable: a late sample derives the next 24 hours again. Where samples are gone a row stays as it is (`settled`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ebbtide.baseline.trailing import block_last, block_max
from ebbtide.baseline.trailing_inbound import inbound_volume
from ebbtide.baseline.trailing_statistics import HOURS, Float32, Statistic, trailing_statistics
from ebbtide.series import HOUR_NS, MINUTE_NS, Float64, Int32
from ebbtide.store.connection import transaction
from ebbtide.store.identity import Identity
from ebbtide.store.minutes import MinuteReading
from ebbtide.store.reading import Grouping
from ebbtide.store.segments import CommittedSegments
from ebbtide.store.settled import find_frozen

#: The grid of trailing sums. A finer one finds peaks of one-hour sums at most 5/60 higher.
STEP_NS = 5 * MINUTE_NS
STEPS_PER_HOUR = HOUR_NS // STEP_NS
#: Columns of the table beside entity, metric and hour.
COLUMNS = ("ratio_1h", "ratio_6h", "volume_1h", "volume_6h", "volume_24h", "inbound", "ratio_end")
#: Entities whose steps are in memory at once.
CHUNK = 256
#: Hours derived in one go: long runs read less twice, short ones hold less memory.
_RUN_HOURS = 24


def touched(hours: set[int], last: int) -> list[int]:
    """The hours up to, not including, `last` whose trailing sums reach into any of these."""
    return sorted({hour + later for hour in hours for later in range(HOURS + 1) if hour + later < last})


def derive(
    con: duckdb.DuckDBPyConnection,
    identity: Identity,
    segments: CommittedSegments,
    minutes: MinuteReading,
    floors: Mapping[str, float],
    hours: list[int],
) -> None:
    """Derive the peaks of these hours (ascending) again, in a transaction for each run of them."""
    metrics = tuple(name for name in identity.metrics if name in floors)
    for first, last in _runs(hours):
        with transaction(con):
            find_frozen(con, segments, first, last, HOURS)
            con.execute(
                "DELETE FROM peaks WHERE hour >= ? AND hour < ? AND (entity, hour) NOT IN (SELECT * FROM frozen)",
                [first, last],
            )
            for numbers in _chunks(_active(con, segments, metrics, first, last)):
                each = Grouping(
                    numbers, np.arange(len(numbers)), tuple(identity.entities[at] for at in numbers.tolist())
                )
                found = minutes.of(each, metrics, (first - HOURS) * HOUR_NS, last * HOUR_NS, STEP_NS)
                for at, metric in enumerate(metrics):
                    number = identity.metric(metric)
                    _insert(con, each.numbers, number, found.sent[:, at], found.received[:, at], floors[metric], first)


def _runs(hours: list[int]) -> list[tuple[int, int]]:
    if not hours:
        return []
    cuts = [0]
    for at, (a, b) in enumerate(pairwise(hours)):
        if b != a + 1 or at + 1 - cuts[-1] >= _RUN_HOURS:
            cuts.append(at + 1)
    cuts.append(len(hours))
    return [(hours[a], hours[b - 1] + 1) for a, b in pairwise(cuts)]


def _active(
    con: duckdb.DuckDBPyConnection, segments: CommittedSegments, metrics: tuple[str, ...], first: int, last: int
) -> Int32:
    """Entities that sent or received any of these metrics in the run or the 24 hours before."""
    samples = segments.between((first - HOURS) * HOUR_NS, last * HOUR_NS + 1)
    rows = con.execute(
        f"WITH own AS (SELECT sender, receiver FROM {samples} JOIN metrics USING (metric) "
        "WHERE list_contains(?, name) AND value > 0 GROUP BY ALL) "
        "SELECT sender AS entity FROM own WHERE sender >= 0 UNION SELECT receiver FROM own WHERE receiver >= 0 "
        "ORDER BY 1",
        [list(metrics)],
    ).fetchnumpy()
    return np.asarray(rows["entity"], np.int32)


def _chunks(numbers: Int32) -> Iterable[Int32]:
    return (numbers[at : at + CHUNK] for at in range(0, len(numbers), CHUNK))


def _insert(
    con: duckdb.DuckDBPyConnection,
    numbers: Int32,
    metric: int,
    sent: Float64,
    received: Float64,
    floor: float,
    first: int,
) -> None:
    busy = np.flatnonzero(np.nansum(sent, axis=1) + np.nansum(received, axis=1) > 0)
    if not len(busy):
        return
    columns, known = _peaks(sent[busy], received[busy], floor)
    row, hour = np.nonzero(known)
    table = {
        "entity": numbers[busy][row],
        "metric": np.full(len(row), metric, np.int16),
        "hour": (first + hour).astype(np.int32),
    }
    table |= {name: columns[name][row, hour] for name in COLUMNS}
    con.register("incoming", pa.table(table))
    try:
        con.execute("INSERT INTO peaks SELECT * FROM incoming WHERE (entity, hour) NOT IN (SELECT * FROM frozen)")
    finally:
        con.unregister("incoming")


def _peaks(sent: Float64, received: Float64, floor: float) -> tuple[dict[str, Float32], NDArray[np.bool_]]:
    """Columns (entities, hours) and where anything happened in the 24 hours before."""
    found = trailing_statistics(sent, received, STEP_NS // 10**9, floor)
    inbound = inbound_volume(found.sent[:, 0], found.received[:, 0], floor)
    ratio_end = block_last(found.peaks[:, Statistic.RATIO_1H], STEPS_PER_HOUR)[:, HOURS:]
    hourly = block_max(found.peaks, STEPS_PER_HOUR)[..., HOURS:]
    columns = {name: hourly[:, at] for at, name in enumerate(COLUMNS[:5])}
    columns |= {"inbound": block_max(inbound, STEPS_PER_HOUR)[:, HOURS:], "ratio_end": ratio_end}
    return columns, _happened(sent, received)


def _happened(sent: Float64, received: Float64) -> NDArray[np.bool_]:
    """Whether anything was sent or received in each hour or the 24 hours before it, (entities, hours)."""
    busy = block_max(np.nan_to_num(sent) + np.nan_to_num(received), STEPS_PER_HOUR) > 0
    running = np.cumsum(busy, axis=1, dtype=np.int64)
    before = np.concatenate([np.zeros((len(busy), 1), np.int64), running[:, : -HOURS - 1]], axis=1)
    return np.asarray(running[:, HOURS:] > before, bool)
