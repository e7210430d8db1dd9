"""What is kept for how long, and what is given up first when the disk budget is reached.

The file never shrinks: dropped segments and deleted rows free blocks, which later data reuse, so the file stays at its
high-water mark. That is why the budget is held on used blocks, with a reserve for what a checkpoint rewrites before it
frees the old blocks. The write-ahead log beside the file (up to 16 MiB between checkpoints) comes on top. Given up in
this order, oldest first, until there is room: samples down to the last `Retention.samples_least_ns`, edges, hours,
days. What is given up is counted and returned; nothing is dropped in silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import duckdb

from ebbtide.errors import ConfigError
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.connection import transaction
from ebbtide.store.segments import SEGMENT_NS, Segments, table_of

#: What stays free of the disk budget: a quarter, at least 16 MiB.
RESERVE_SHARE = 0.25
RESERVE_LEAST_BYTES = 16 << 20
#: A smaller budget would hold little but the reserve.
BUDGET_LEAST_BYTES = 2 * RESERVE_LEAST_BYTES


#: How far back detections look into what the budget may give up: the 30-day baseline, the 90-day records.
NEEDED_NS: Mapping[str, int] = {
    "edges": 30 * DAY_NS, "hours": 30 * DAY_NS, "peaks": 30 * DAY_NS, "days": 90 * DAY_NS, "day_maxima": 90 * DAY_NS,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Retention:
    """How long each table reaches back; None keeps for ever. An offline store keeps what it was given."""

    samples_ns: int | None = 26 * HOUR_NS
    """Samples: evidence and corrections. 24 h of late data, and two hours to derive them in."""

    samples_least_ns: int = 8 * HOUR_NS
    """Samples the budget may not touch: the window under judgement and the hours still to derive."""

    edges_ns: int | None = 35 * DAY_NS
    """Who talked to whom by hour: what a new destination is judged by. The 30-day baseline and some slack."""

    hours_ns: int | None = 35 * DAY_NS
    """Hourly summaries: the 30-day baseline and some slack."""

    days_ns: int | None = 100 * DAY_NS
    """Daily summaries: the 90-day records of the default detector and some slack."""

    disk_budget_bytes: int | None = None
    """The most bytes the file may have, at least `BUDGET_LEAST_BYTES`; None: no bound."""

    def __post_init__(self) -> None:
        if self.disk_budget_bytes is not None and self.disk_budget_bytes < BUDGET_LEAST_BYTES:
            raise ConfigError(
                f"a disk budget of {self.disk_budget_bytes} bytes is too small",
                hint=f"give at least {BUDGET_LEAST_BYTES >> 20} MiB",
            )


def apply(con: duckdb.DuckDBPyConnection, segments: Segments, now_ns: int, policy: Retention) -> Counter[str]:
    """Drop what is too old, then what the budget has no room for; rows dropped by table. Its own transactions."""
    dropped: Counter[str] = Counter()
    for table, age_ns, unit_ns in _aged(policy):
        if age_ns is not None:
            dropped[table] += _delete_before(con, table, (now_ns - age_ns) // unit_ns)
    if policy.samples_ns is not None:
        for segment in segments.known:
            if (segment + 1) * SEGMENT_NS <= now_ns - policy.samples_ns:
                dropped["samples"] += _drop(con, segments, segment)
    if policy.disk_budget_bytes is not None:
        dropped += _make_room(con, segments, now_ns, policy, policy.disk_budget_bytes)
    return +dropped


def used_bytes(con: duckdb.DuckDBPyConnection) -> int:
    """Bytes of the file that hold data, after a checkpoint."""
    con.execute("CHECKPOINT")
    return held_bytes(con)


def held_bytes(con: duckdb.DuckDBPyConnection) -> int:
    """Bytes of the file that hold data as of the last checkpoint; cheap. 0 in memory."""
    sizes = con.execute("SELECT block_size, used_blocks FROM pragma_database_size()").fetchall()
    return int(sum(block * used for block, used in sizes))


def kept_ns(con: duckdb.DuckDBPyConnection, now_ns: int) -> dict[str, int]:
    """How far back each table of `NEEDED_NS` reaches at `now_ns`; none where it is empty."""
    found = {}
    for table in NEEDED_NS:
        unit_ns = DAY_NS if table in _DAILY else HOUR_NS
        oldest = con.execute(f"SELECT min({_column(table)}) FROM {table}").fetchall()[0][0]
        if oldest is not None:
            found[table] = max(0, now_ns - int(oldest) * unit_ns)
    return found


def short_ns(kept: Mapping[str, int], dropped: Mapping[str, int], policy: Retention) -> dict[str, int]:
    """By table, by how much what is kept is less than what detections look back over, because the budget gave it up.

    `dropped` counts what retention gave up, as `apply` names it. 0 where the budget took nothing of a table: a store
    may be young, and where `policy` itself keeps less, that was asked for.

    >>> short_ns({"hours": 20 * DAY_NS}, {"hours_over_budget": 9}, Retention())["hours"] // DAY_NS
    10
    """
    asked = {"edges": policy.edges_ns, "days": policy.days_ns, "day_maxima": policy.days_ns}
    found = {}
    for table, needed_ns in NEEDED_NS.items():
        wanted_ns = min(needed_ns, asked.get(table, policy.hours_ns) or needed_ns)
        is_given_up = dropped.get(f"{table}_over_budget", 0) > 0
        found[table] = max(0, wanted_ns - kept.get(table, 0)) if is_given_up else 0
    return found


def _aged(policy: Retention) -> tuple[tuple[str, int | None, int], ...]:
    return (
        ("edges", policy.edges_ns, HOUR_NS),
        ("hours", policy.hours_ns, HOUR_NS),
        ("days", policy.days_ns, DAY_NS),
        ("coverage", policy.hours_ns, HOUR_NS),
        ("peaks", policy.hours_ns, HOUR_NS),
        ("outbound_scores", policy.hours_ns, HOUR_NS),
        ("sent_mixes", policy.hours_ns, HOUR_NS),
        ("day_maxima", policy.days_ns, DAY_NS),
        ("learned_days", policy.days_ns, DAY_NS),
        ("outbound_scales", policy.days_ns, DAY_NS),
    )


def budget_room(budget_bytes: int) -> int:
    """The bytes of a budget that data may fill before the oldest are given up; the rest is a reserve."""
    return int(budget_bytes - max(RESERVE_SHARE * budget_bytes, RESERVE_LEAST_BYTES))


def _make_room(
    con: duckdb.DuckDBPyConnection, segments: Segments, now_ns: int, policy: Retention, budget: int
) -> Counter[str]:
    room = budget_room(budget)
    dropped: Counter[str] = Counter()
    for table, give_up in _oldest_first(con, segments, now_ns, policy):
        if used_bytes(con) <= room:
            break
        dropped[f"{table}_over_budget"] += give_up()
    return dropped


def _oldest_first(
    con: duckdb.DuckDBPyConnection, segments: Segments, now_ns: int, policy: Retention
) -> Iterator[tuple[str, Callable[[], int]]]:
    """What could be given up, piece by piece, in the documented order; the last day of summaries always stays."""
    for segment in segments.known:
        if (segment + 1) * SEGMENT_NS <= now_ns - policy.samples_least_ns:
            yield "samples", partial(_drop, con, segments, segment)
    for table, unit_ns in (
        ("edges", HOUR_NS), ("hours", HOUR_NS), ("peaks", HOUR_NS), ("days", DAY_NS), ("day_maxima", DAY_NS)
    ):  # fmt: skip
        day, last = DAY_NS // unit_ns, now_ns // unit_ns
        oldest = con.execute(f"SELECT min({_column(table)}) FROM {table}").fetchall()[0][0]
        for bound in range((last if oldest is None else oldest) + day, last, day):
            yield table, partial(_delete_before, con, table, bound)


_DAILY = ("days", "day_maxima", "learned_days", "outbound_scales")


def _column(table: str) -> str:
    return "day" if table in _DAILY else "hour"


def _delete_before(con: duckdb.DuckDBPyConnection, table: str, bound: int) -> int:
    return int(con.execute(f"DELETE FROM {table} WHERE {_column(table)} < ?", [bound]).fetchall()[0][0])


def _drop(con: duckdb.DuckDBPyConnection, segments: Segments, segment: int) -> int:
    rows = con.execute(f"SELECT count(*) FROM {table_of(segment)}").fetchall()[0][0]
    with transaction(con):
        segments.drop(con, segment)
    return int(rows)
