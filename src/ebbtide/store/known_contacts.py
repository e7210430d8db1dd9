"""All that entities had met when a day began: their places, how often new ones came, when they last spoke, records.

Read once a day from hourly edges (35 days) and closed days (100), then kept: a tick adds only today to it. Nothing of
the day or later is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import duckdb
import numpy as np
from numpy.typing import NDArray

from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.detect.novelty_scale import FirstContacts
from ebbtide.series import Entity, Float64, Int64
from ebbtide.store.callers import Callers
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.places import place_numbers

HOURS = 24
T = TypeVar("T", bound=np.generic)
_PAIR = np.dtype([("entity", np.int64), ("place", np.int64)])


@dataclass(frozen=True, slots=True, eq=False)
class KnownContacts:
    """What was known when `day` began. Columns by entity number (entities,): `first_hour` of anything sent (a huge
    number where never), `last_day` that was not silent (-1: none), `wakings`, `most_sent` of a day, `had_udp`, records
    by the hour. `place_of` (endpoints,) are the places' numbers, `pairs` all (entity, place) ever met, sorted,
    `first_met` (pairs,) the hours of that, `places` the places ever sent to, sorted. `past` are first contacts; its
    rows are entity numbers. `callers` say how well known each place inside is. `heard` has the heard days of each
    cluster, ascending.
    """

    day: int
    place_of: Int64
    pairs: NDArray[np.void]
    first_met: Int64
    places: Int64
    first_hour: Int64
    last_day: Int64
    wakings: Float64
    most_sent: Float64
    had_udp: NDArray[np.bool_]
    most_destinations: Float64
    most_sockets: Float64
    past: FirstContacts
    callers: Callers
    heard: dict[str, Int64]

    def entities_of(self, process: str, names: Sequence[Entity], days: int) -> Int64:
        """Numbers of the entities with this process that sent first so many days ago; `names` by number, later ones
        included."""
        numbers = [at for at, one in enumerate(names[: len(self.first_hour)]) if one.process == process]
        found = np.array(numbers, np.int64)
        return found[self.first_hour[found] <= (self.day - days) * HOURS]

    def is_met(self, place: int, entities: Int64, days: int) -> bool:
        """Whether any of these entities sent to a place first so many days ago."""
        keys = pair_keys(entities, np.full(len(entities), place, np.int64))
        old = self.first_met <= (self.day - days) * HOURS
        return bool(len(entities)) and bool(among(keys, self.pairs[old]).any())

    def heard_between(self, cluster: str, from_day: int, to_day: int) -> int:
        """Heard days of a cluster in [from_day, to_day)."""
        days = self.heard.get(cluster)
        if days is None or from_day >= to_day:
            return 0
        return int(np.searchsorted(days, to_day) - np.searchsorted(days, from_day))


#: How the reason of a mask begins that a verdict `attack` made. Others take time out of baselines of amounts alone: a
#: reset would make all destinations new at once.
ATTACK_MASK = "verdict on "
#: First hour of an entity that never sent.
NEVER = int(np.iinfo(np.int64).max // 2)


def pair_keys(entity: Int64, place: Int64) -> NDArray[np.void]:
    """(entity, place) as records that sort."""
    keys = np.empty(len(entity), _PAIR)
    keys["entity"], keys["place"] = entity, place
    return keys


def among(pairs: NDArray[np.void], sorted_pairs: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which pairs are among these, which are sorted."""
    if not len(sorted_pairs):
        return np.zeros(len(pairs), np.bool_)
    at = np.minimum(np.searchsorted(sorted_pairs, pairs), len(sorted_pairs) - 1)
    found: NDArray[np.bool_] = sorted_pairs[at] == pairs
    return found


def read_known(con: duckdb.DuckDBPyConnection, identity: Identity, day: int, options: NoveltyOptions) -> KnownContacts:
    """What was known when `day` began."""
    unlearned: dict[str, float | str] = {"hour": day * HOURS, "attacks": ATTACK_MASK}
    met = _columns(con, query("novelty_met"), unlearned)
    bounds = {"day": day, "silent": options.silent_days, "least": options.least_spoken}
    life = _columns(con, query("novelty_lives"), bounds)
    most = _columns(con, query("novelty_records"), unlearned)
    entities = list(identity.entities)
    place_of = place_numbers(identity.endpoints)
    pairs, hour, sent = _by_place(met, place_of, options.answered)
    first_hour = np.full(len(entities), NEVER, np.int64)
    np.minimum.at(first_hour, pairs["entity"], hour)
    older = life["first_day"] < first_hour[life["entity"]] // HOURS
    first_hour[life["entity"][older]] = life["first_day"][older] * HOURS
    known = KnownContacts(
        day=day,
        place_of=place_of,
        pairs=pairs,
        first_met=hour,
        places=np.unique(pairs["place"]),
        first_hour=first_hour,
        last_day=_spread(life, "last_day", np.full(len(entities), -1, np.int64)),
        wakings=_spread(life, "wakings", np.zeros(len(entities))),
        most_sent=_spread(life, "most_sent", np.zeros(len(entities))),
        had_udp=_spread(life, "had_udp", np.zeros(len(entities), np.bool_)),
        most_destinations=_spread(most, "destinations", np.zeros(len(entities))),
        most_sockets=_spread(most, "sockets", np.zeros(len(entities))),
        past=FirstContacts(*(np.empty(0, np.int64),) * 2, np.empty(0), np.empty(0, np.bool_), np.empty(0), np.empty(0)),
        callers=Callers.of(pairs, entities, options.seldom_doubt),
        heard=_heard(con, day * HOURS),
    )
    return _with_past(known, entities, hour, sent, int(met["hour"].min(initial=NEVER)))


def _spread(rows: dict[str, Int64], name: str, into: NDArray[T]) -> NDArray[T]:
    """A column by entity number: what the rows have, elsewhere what was there."""
    into[rows["entity"]] = rows[name]
    return into


def days_known(known: KnownContacts, entities: list[Entity], oldest_hour: int) -> Float64:
    """Heard days of each entity after its first one and after the oldest that is kept, (entities,)."""
    first_days = np.maximum(known.first_hour, oldest_hour) // HOURS + 1
    return np.array(
        [known.heard_between(one.cluster, day, known.day) for one, day in zip(entities, first_days, strict=True)],
        np.float64,
    )


def _with_past(
    known: KnownContacts, entities: list[Entity], hour: Int64, sent: Float64, oldest_hour: int
) -> KnownContacts:
    """With the first contacts that came after each entity's first day, and after the oldest day that is kept."""
    entity = known.pairs["entity"]
    begin = (np.maximum(known.first_hour, oldest_hour) + HOURS)[entity]
    counts = (hour >= begin) & (sent > 0)
    inside = (known.pairs["place"] & 1).astype(np.bool_)
    seldom = np.where(inside, known.callers.seldom(entity, known.pairs["place"], known=1), 1.0)
    past = FirstContacts(
        entity[counts].copy(), (hour - begin)[counts], sent[counts], inside[counts], seldom[counts],
        days_known(known, entities, oldest_hour),
    )  # fmt: skip
    return replace(known, past=past)


def _by_place(met: dict[str, Int64], place_of: Int64, answered: float) -> tuple[NDArray[np.void], Int64, Float64]:
    """Each (entity, place) once, with its first hour and the bytes of that hour, 0 where it only answered."""
    keys = pair_keys(met["entity"], place_of[met["endpoint"]])
    pairs, at = np.unique(keys, return_inverse=True)
    at = at.reshape(-1)
    hour = np.full(len(pairs), NEVER, np.int64)
    np.minimum.at(hour, at, met["hour"])
    is_first = met["hour"] == hour[at]
    sent, received = (
        np.bincount(at, np.where(is_first, met[name], 0.0), len(pairs)).astype(np.float64)
        for name in ("sent", "received")
    )
    return pairs, hour, np.where(sent >= answered * received, sent, 0.0)


def _heard(con: duckdb.DuckDBPyConnection, hour: int) -> dict[str, Int64]:
    rows = con.execute(
        "SELECT cluster, hour // 24 FROM coverage WHERE hour < ? AND heartbeats | samples != 0 "
        "GROUP BY ALL HAVING count(*) >= 12 ORDER BY ALL",
        [hour],
    ).fetchall()
    days: dict[str, list[int]] = {}
    for cluster, day in rows:
        days.setdefault(cluster, []).append(day)
    return {cluster: np.array(found, np.int64) for cluster, found in days.items()}


def _columns(con: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, float | str]) -> dict[str, Int64]:
    found = con.execute(sql, parameters).fetchnumpy()
    return {
        name: np.asarray(column, np.float64 if np.asarray(column).dtype.kind == "f" else np.int64)
        for name, column in found.items()
    }
