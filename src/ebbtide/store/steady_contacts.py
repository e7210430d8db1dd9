"""Who sends the same amount to a new place, hour after hour: what a beacon does and hardly anything else that is new.

Read once an hour, from the full hours before it, then kept: nothing later is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.series import Float64, Int64
from ebbtide.store.connection import query
from ebbtide.store.known_contacts import ATTACK_MASK, HOURS, NEVER, KnownContacts, pair_keys
from ebbtide.store.places import is_inside


@dataclass(frozen=True, slots=True, eq=False)
class SteadyContacts:
    """As of the full hours before `hour`; by entity number (entities,): `hours` in a row of the longest steady contact
    with a place outside that it first met within the last days (0: none), and whether no other had met that place
    before (`is_stranger`).
    """

    hour: int
    hours: Float64
    is_stranger: NDArray[np.bool_]


def read_steady(
    con: duckdb.DuckDBPyConnection, known: KnownContacts, place_of: Int64, entities: int, hour: int,
    options: NoveltyOptions,
) -> SteadyContacts:  # fmt: skip
    """The steady contacts; `place_of` (endpoints,) are the places' numbers, those met today included."""
    few, many = options.steady_hours
    outside = np.flatnonzero(~is_inside(place_of)).astype(np.int32)
    bounds = {"hour": hour, "few": few, "many": many, "spread": options.steady_spread, "attacks": ATTACK_MASK}
    con.register("outside", pa.table({"endpoint": pa.array(outside)}))
    try:
        rows = con.execute(query("novelty_steady"), bounds).fetchnumpy()
    finally:
        con.unregister("outside")
    entity, place = np.asarray(rows["entity"], np.int64), place_of[np.asarray(rows["endpoint"], np.int64)]
    own, anyone = _first_met(known, entity, place)
    is_new = (own >= hour - options.steady_days * HOURS) & (own >= _begin(known, entity))
    lasted = np.where(np.asarray(rows["is_long"], np.bool_), float(many), float(few)) * is_new
    # A stranger counts for more than a longer contact; the last write of an entity is its best.
    is_strange = is_new & (anyone >= own)
    order = np.lexsort((lasted, is_strange))
    hours, stranger = np.zeros(entities), np.zeros(entities, np.bool_)
    hours[entity[order]], stranger[entity[order]] = lasted[order], is_strange[order]
    return SteadyContacts(hour, hours, stranger)


def _begin(known: KnownContacts, entity: Int64) -> Int64:
    """The hour from which on what each entity meets is new: after its first day, and the oldest day that is kept."""
    oldest = int(known.first_met.min(initial=NEVER))
    at = np.minimum(entity, max(len(known.first_hour) - 1, 0))
    first = np.where(entity < len(known.first_hour), known.first_hour[at] if len(known.first_hour) else NEVER, NEVER)
    return np.maximum(first, oldest) + HOURS


def _first_met(known: KnownContacts, entity: Int64, place: Int64) -> tuple[Int64, Int64]:
    """The hours in which each entity, and anyone, first sent to the place; the day's first where that was today."""
    today = known.day * HOURS
    own, anyone = np.full(len(entity), today), np.full(len(entity), today)
    if not len(known.pairs):
        return own, anyone
    keys = pair_keys(entity, place)
    at = np.minimum(np.searchsorted(known.pairs, keys), len(known.pairs) - 1)
    own = np.where(known.pairs[at] == keys, known.first_met[at], today)
    wanted = np.isin(known.pairs["place"], place)
    places, which = np.unique(known.pairs["place"][wanted], return_inverse=True)
    first = np.full(len(places), today)
    np.minimum.at(first, which.reshape(-1), known.first_met[wanted])
    if len(places):
        at = np.minimum(np.searchsorted(places, place), len(places) - 1)
        anyone = np.where(places[at] == place, first[at], today)
    return own, anyone
