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
    first = con.execute(
        "SELECT entity, min(hour) FROM (SELECT entity, hour FROM hours UNION ALL SELECT entity, day * 24 FROM days "
        "WHERE day < (SELECT min(hour) // 24 FROM hours)) WHERE hour <= ? "
        f"{'' if chosen is None else 'AND list_contains(?::INTEGER[], entity)'} GROUP BY entity",
        [hour] if chosen is None else [hour, list(chosen)],
    ).fetchall()
    minutes = dict(
        con.execute(
            "SELECT cluster, sum(bit_count(heartbeats | samples)) FROM coverage WHERE hour >= ? AND hour < ? "
            "GROUP BY cluster",
            [hour - DAYS * _DAY_HOURS, hour],
        ).fetchall()
    )
    found = []
    for number, first_hour in first:
        entity = identity.entities[number]
        known = int(days.get(number, 0))
        covered = float(minutes.get(entity.cluster, 0)) / (DAYS * _DAY_HOURS * 60)
        found.append(Learned(entity, known, state_of(known), int(first_hour) * HOUR_NS, min(covered, 1.0)))
    return sorted(found, key=lambda one: one.entity)
