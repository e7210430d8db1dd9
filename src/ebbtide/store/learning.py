"""How far each entity is learned: what the default detection can say of it, and why not more.

In: closed days and the hours each cluster was heard in. Out: one row per entity. A process that is not judged yet looks
like a quiet one in a list of findings; here it does not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from ebbtide.baseline.records import MATURE_DAYS
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.series import DAY_NS, HOUR_NS, Entity
from ebbtide.store.identity import Identity
from ebbtide.store.presence import open_hours

#: What the default detection looks back over first; the younger of its two history lengths.
DAYS = OutboundOptions().history_days[0]
_DAY_HOURS = DAY_NS // HOUR_NS

State = Literal["not_yet", "young", "mature"]


@dataclass(frozen=True, slots=True)
class Learned:
    """One entity. `days` are its closed days among the last 30, of the metric with the most.

    `state`: `not_yet` without a closed day (no verdict), `young` below ten (judged by the young model, at a discount),
    `mature` from ten on. `first_ns`: when it was first seen, as far back as summaries reach. `covered`: the share of
    the last 30 days in which its cluster was heard, 0 to 1.
    """

    entity: Entity
    days: int
    state: State
    first_ns: int
    covered: float


def state_of(days: int) -> State:
    """What the default detection can do with so many days.

    >>> state_of(0), state_of(9), state_of(10)
    ('not_yet', 'young', 'mature')
    """
    return "not_yet" if days < 1 else "young" if days < MATURE_DAYS else "mature"


def learned(
    con: duckdb.DuckDBPyConnection,
    identity: Identity,
    now_ns: int,
    floors: Mapping[str, float],
    chosen: Sequence[int] | None = None,
) -> list[Learned]:
    """Every entity that sent or received anything known at `now_ns`, by cluster, namespace, workload and process.

    `chosen` are the only ones looked at, by number; None for all.
    """
    today, hour = now_ns // DAY_NS, now_ns // HOUR_NS
    numbers = [number for number in map(identity.find_metric, floors) if number is not None]
    days = dict(
        con.execute(
            "SELECT entity, max(days) FROM (SELECT entity, metric, count(*) AS days FROM day_maxima "
            "WHERE day >= ? AND day < ? AND list_contains(?::INTEGER[], metric) GROUP BY ALL) GROUP BY entity",
            [today - DAYS, today, numbers],
        ).fetchall()
    )
    first = _first_hours(con, hour, chosen)
    minutes = dict(
        con.execute(
            "SELECT cluster, sum(bit_count(heartbeats | samples)) FROM coverage WHERE hour >= ? AND hour < ? "
            "GROUP BY cluster",
            [hour - DAYS * _DAY_HOURS, hour],
        ).fetchall()
    )
    found = []
    for number, first_hour in first.items():
        entity = identity.entities[number]
        known = int(days.get(number, 0))
        covered = float(minutes.get(entity.cluster, 0)) / (DAYS * _DAY_HOURS * 60)
        found.append(Learned(entity, known, state_of(known), first_hour * HOUR_NS, min(covered, 1.0)))
    return sorted(found, key=lambda one: one.entity)


def _first_hours(con: duckdb.DuckDBPyConnection, last: int, chosen: Sequence[int] | None) -> dict[int, int]:
    """The first hour of each entity, up to the hour `last`; the start of its first day where its hours are gone.

    Days are few and say where to look: hours are read of days that are some entity's first, of those not closed, and of
    the day of `last`, which says nothing of what came before it.
    """
    among = "" if chosen is None else "AND entity IN (SELECT unnest($chosen::INTEGER[]))"
    asked = {"last": last} | ({} if chosen is None else {"chosen": list(chosen)})
    sql = f"SELECT entity, min(day) FROM days WHERE day < $last // 24 {among} GROUP BY entity"
    days = dict(con.execute(sql, asked).fetchall())
    closed = {row[0] for row in con.execute("SELECT day FROM closed_days").fetchall()}
    span = open_hours(0, closed - {last // _DAY_HOURS} - set(days.values()))
    hours = dict(
        con.execute(
            f"SELECT entity, min(hour) FROM hours WHERE {span} AND hour <= $last {among} GROUP BY entity", asked
        ).fetchall()
    )
    for entity, day in days.items():
        start = day * _DAY_HOURS
        if hours.get(entity, start + _DAY_HOURS) >= start + _DAY_HOURS:
            hours[entity] = start
    return hours
