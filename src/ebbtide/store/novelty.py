"""What every entity met in the hour before an instant, beside all it had met before: nothing later is read.

The past comes from a day's `KnownContacts`, kept in memory; today's full hours from edges, the rest from samples
(`piece_sums`).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.series import DAY_NS, HOUR_NS, Float64, Int64
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.known_contacts import ATTACK_MASK, HOURS, KnownContacts, among, pair_keys, read_known
from ebbtide.store.learned_novelty import LearnedNovelty, learn
from ebbtide.store.opened_days import OpenedCache
from ebbtide.store.piece_sums import PieceReading
from ebbtide.store.places import place_numbers
from ebbtide.store.steady_contacts import SteadyContacts, read_steady

OPTIONS = NoveltyOptions()
#: What was exchanged.
_SUMS = ("sent", "received", "udp_sent", "sockets")


@dataclass(frozen=True, slots=True, eq=False)
class HourContacts:
    """One hour up to an instant. Columns of (entity, place) that were sent anything (rows,), sorted by both: bytes in
    both directions, bytes of UDP sent, new sockets, how many endpoints, and whether the place `is_new` for the entity,
    or `is_stranger` to all entities before today. `before` (entities,) is what each entity had sent on that day before
    the hour began, in bytes, NaN where nothing; a contact without bytes counts as 0. `steady` is of the full hours
    before the instant.
    """

    entity: Int64
    place: Int64
    sent: Float64
    received: Float64
    udp_sent: Float64
    sockets: Float64
    endpoints: Float64
    is_new: NDArray[np.bool_]
    is_stranger: NDArray[np.bool_]
    before: Float64
    steady: SteadyContacts


class NoveltyReading:
    """Reads what novelty is judged with."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, identity: Identity, pieces: PieceReading, cache: OpenedCache
    ) -> None:
        self._con = con
        self._identity = identity
        self._pieces = pieces
        self._cache = cache

    def known(self, now_ns: int, options: NoveltyOptions) -> KnownContacts:
        """What was known when the day began in which the hour before `now_ns` begins."""
        day = (now_ns - HOUR_NS) // DAY_NS
        found = self._cache.contacts(day)
        if found is None:
            revision = self._cache.revision
            found = read_known(self._con, self._identity, day, options)
            self._cache.put_contacts(found, revision)
        return found

    def learned(self, known: KnownContacts, options: NoveltyOptions) -> LearnedNovelty:
        """What these contacts say about the fleet."""
        found = self._cache.learned(known)
        if found is None:
            found = learn(known, self._identity.entities, options)
            self._cache.put_learned(known, found)
        return found

    def hour(self, now_ns: int, known: KnownContacts) -> HourContacts:
        """What was sent in (now - 1 h, now], and what of it is new."""
        first_hour = (now_ns - HOUR_NS) // HOUR_NS
        rows = self._pieces.exchanged(now_ns)
        today = {"first": known.day * HOURS, "last": first_hour, "attacks": ATTACK_MASK}
        edges = self._con.execute(query("novelty_today"), today).fetchnumpy()
        place_of = self._place_of(known)
        judged = rows.is_judged
        entity, place = rows.entity, place_of[rows.endpoint]
        early = np.flatnonzero(~judged)
        earlier_entity = np.concatenate([np.asarray(edges["entity"], np.int64), entity[early]])
        earlier_place = np.concatenate([place_of[np.asarray(edges["endpoint"], np.int64)], place[early]])
        earlier_sent = np.concatenate([np.asarray(edges["sent"], np.float64), rows.sent[early]])
        before = np.full(len(self._identity.entities), np.nan)
        before[earlier_entity] = 0.0
        np.add.at(before, earlier_entity, earlier_sent)
        columns = {name: getattr(rows, name)[judged] for name in _SUMS}
        earlier = pair_keys(earlier_entity, earlier_place)
        steady = self._steady(now_ns // HOUR_NS, known, place_of)
        return _judged(entity[judged], place[judged], columns, known, earlier, before, steady)

    def _steady(self, hour: int, known: KnownContacts, place_of: Int64) -> SteadyContacts:
        found = self._cache.steady(hour)
        if found is None:
            revision = self._cache.revision
            found = read_steady(self._con, known, place_of, len(self._identity.entities), hour, OPTIONS)
            self._cache.put_steady(found, revision)
        return found

    def _place_of(self, known: KnownContacts) -> Int64:
        """The place of every endpoint, those included that were met since the day was opened."""
        more = self._identity.endpoints[len(known.place_of) :]
        return np.concatenate([known.place_of, place_numbers(more)]) if more else known.place_of


def _judged(
    entity: Int64,
    place: Int64,
    columns: dict[str, Float64],
    known: KnownContacts,
    earlier: NDArray[np.void],
    before: Float64,
    steady: SteadyContacts,
) -> HourContacts:
    pairs, at = np.unique(pair_keys(entity, place), return_inverse=True)
    at = at.reshape(-1)
    sums = {name: np.bincount(at, values, len(pairs)).astype(np.float64) for name, values in columns.items()}
    is_known = among(pairs, known.pairs) | among(pairs, np.unique(earlier))
    is_met = np.isin(pairs["place"], known.places)
    return HourContacts(
        entity=pairs["entity"].copy(),
        place=pairs["place"].copy(),
        sent=sums["sent"],
        received=sums["received"],
        udp_sent=sums["udp_sent"],
        sockets=sums["sockets"],
        endpoints=np.bincount(at, minlength=len(pairs)).astype(np.float64),
        is_new=~is_known,
        is_stranger=~is_met,
        before=before,
        steady=steady,
    )
