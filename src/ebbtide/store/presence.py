"""Who was there: every entity of some weeks with what it sent, when it was heard last, and in how many hours.

Closed days stand for their hours, so that a list of 10,000 entities reads a few million rows and not a month of hours;
only the hours of days that are not closed, of the first day and of the last 24 hours are read themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import duckdb

from ebbtide.series import DAY_NS, HOUR_NS, Entity
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity

_DAY_HOURS = DAY_NS // HOUR_NS


@dataclass(frozen=True, slots=True)
class Presence:
    """An entity in a list: its number, its sent bytes over the time asked for, its last hour and its hours in all.

    `hours` counts a closed day by the metric that was there in most of its hours. `sent_hour` and `sent_day` are of the
    last full hour and the last 24 full hours of that time.
    """

    number: int
    entity: Entity
    sent: float
    last_ns: int
    hours: int
    sent_hour: float
    sent_day: float


def presences(
    con: duckdb.DuckDBPyConnection,
    identity: Identity,
    from_ns: int,
    until_ns: int,
    chosen: Sequence[int] | None = None,
    skip: int = 0,
    size: int | None = None,
) -> list[Presence]:
    """Entities by bytes sent since an instant, the most first, as of `until_ns`; `chosen`: only these."""
    first, end = from_ns // HOUR_NS, until_ns // HOUR_NS
    closed = [row[0] for row in con.execute("SELECT day FROM closed_days ORDER BY day").fetchall()]
    whole = [day for day in closed if first <= day * _DAY_HOURS and (day + 1) * _DAY_HOURS <= end - _DAY_HOURS]
    among = "" if chosen is None else "AND entity IN (SELECT unnest($chosen::INTEGER[]))"
    asked: dict[str, object] = {
        "metrics": [at for at, name in enumerate(identity.metrics) if name.endswith(".bytes")],
        "whole": whole, "end": end, "size": size, "skip": skip,
    }  # fmt: skip
    if chosen is not None:
        asked["chosen"] = list(chosen)
    sql = query("presences").replace("$open", open_hours(first, whole)).replace("$among", among)
    rows = con.execute(sql, asked).fetchall()
    exact = _last_hours(con, {entity: last for entity, _, last, is_day, *_ in rows if is_day})
    return [
        Presence(one, identity.entities[one], sent, min((exact.get(one, last) + 1) * HOUR_NS, until_ns), hours, *recent)
        for one, sent, last, _, hours, *recent in rows
    ]


def open_hours(first: int, without: Iterable[int]) -> str:
    """A condition (SQL) for all hours from `first` on but those of some days; by ranges row groups are skipped.

    >>> open_hours(30, [2, 3])
    '(hour >= 30 AND hour < 48 OR hour >= 96)'
    """
    found = []
    for day in sorted(without):
        if first < day * _DAY_HOURS:
            found.append(f"hour >= {first} AND hour < {day * _DAY_HOURS}")
        first = (day + 1) * _DAY_HOURS
    return "(" + " OR ".join([*found, f"hour >= {first}"]) + ")"


def _last_hours(con: duckdb.DuckDBPyConnection, ends: dict[int, int]) -> dict[int, int]:
    """The last hour of entities of which only the last hour of their last day is known; none where hours are gone."""
    if not ends:
        return {}
    rows = con.execute(
        "SELECT entity, max(hour) FROM hours WHERE hour > ? AND hour <= ? "
        "AND entity IN (SELECT unnest(?::INTEGER[])) GROUP BY entity",
        [min(ends.values()) - _DAY_HOURS, max(ends.values()), list(ends)],
    ).fetchall()
    return {entity: int(hour) for entity, hour in rows}
