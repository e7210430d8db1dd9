"""Where entities usually send, and how an hour's bytes compare with that: what the outbound detector's clues rest on.

The usual mix of a day comes from hourly edges of the days before it, read once a day and kept. A destination is a place
(`places`); bytes to one without a name go to no place, so an entity whose source names no destinations has no mix.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_statistics import HOURS, Float32
from ebbtide.detect.outbound_clues import CLUES, COLUMNS, SentMix, sent_mix, usual_line, usual_shares
from ebbtide.series import HOUR_NS, Float64, Int32, Int64
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.known_contacts import ATTACK_MASK, pair_keys
from ebbtide.store.piece_sums import Exchanged
from ebbtide.store.places import place_numbers

#: The place of an endpoint without a name.
NOWHERE = 0


@dataclass(frozen=True, slots=True, eq=False)
class UsualMix:
    """What a day's hours are compared with.

    `place_of` (endpoints,) the place of each; `pairs` (rows,) the (entity, place) that were sent to, sorted; `slot`
    (rows,) the row of `shares` (kept, COLUMNS) of each, -1 for those too small to be kept; `line` (entities,) by
    number: from what overlap on an hour has the usual mix, NaN for those without one.
    """

    place_of: Int64
    pairs: NDArray[np.void]
    slot: Int32
    shares: Float32
    line: Float64

    def lines_of(self, entities: Int32) -> Float64:
        """The line of each entity; NaN for one that came since."""
        known = np.append(self.line, np.nan)
        return known[np.where(entities < len(self.line), entities, len(self.line))]

    def mix(self, cell: Int64, cells: int, endpoint_sent: EndpointSent, place_of: Int64) -> SentMix:
        """The mix of each cell (cells,), the hours of an entity: `cell` (rows,) is that of each row."""
        rows, at = np.unique(pair_keys(cell, place_of[endpoint_sent.endpoint]), return_inverse=True)
        at = at.reshape(-1)
        sent = np.bincount(at, endpoint_sent.sent, len(rows)).astype(np.float64)
        entity, hour = (np.zeros(len(rows), np.int64) for _ in range(2))
        entity[at], hour[at] = endpoint_sent.entity, endpoint_sent.hour
        found = self._find(pair_keys(entity, rows["place"]))
        slot = np.where(found >= 0, np.append(self.slot, -1)[found], -1)
        shares = np.concatenate([self.shares, np.zeros((1, COLUMNS), np.float32)])[slot]
        usual = np.stack([shares[:, 0], shares[np.arange(len(rows)), 1 + hour]], axis=1).astype(np.float64)
        return sent_mix(rows["entity"].copy(), cells, sent, usual, found >= 0)

    def _find(self, wanted: NDArray[np.void]) -> Int64:
        """The row of each pair, -1 for none."""
        if not len(self.pairs):
            return np.full(len(wanted), -1, np.int64)
        at = np.minimum(np.searchsorted(self.pairs, wanted), len(self.pairs) - 1)
        return np.where(self.pairs[at] == wanted, at, -1)


@dataclass(frozen=True, slots=True, eq=False)
class EndpointSent:
    """Rows of what an entity sent to an endpoint at an hour of day, in bytes."""

    entity: Int64
    endpoint: Int64
    hour: Int64
    sent: Float64


@dataclass(frozen=True, slots=True, eq=False)
class ClosedMix:
    """A day's hours: `entities` that sent anything, ascending, and their `mix` (entities, HOURS)."""

    entities: Int32
    mix: SentMix

    def of(self, entities: Int32) -> SentMix:
        """The mix of some entities, nothing for those that sent nothing."""
        at = np.searchsorted(self.entities, entities)
        is_there = np.append(self.entities, -1)[at] == entities
        nothing = (0.0, 0.0, np.nan)
        parts = (np.concatenate([getattr(self.mix, name), np.full((1, HOURS), empty)])
                 for name, empty in zip(SentMix.__slots__, nothing, strict=True))  # fmt: skip
        return SentMix(*(part[np.where(is_there, at, -1)] for part in parts))


class MixReading:
    """Reads usual mixes and what is held against them."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity) -> None:
        self._con = con
        self._identity = identity

    def usual(self, day: int) -> UsualMix:
        """What a day's hours are compared with, from the days before it."""
        last = day * HOURS
        span = {"first": last - CLUES.days * HOURS, "last": last, "attacks": ATTACK_MASK}
        rows = _rows(self._con.execute(query("usual_mix"), span).fetchnumpy())
        place_of = self.place_of(np.empty(0, np.int64))
        place = place_of[rows.endpoint]
        named = place != NOWHERE
        pairs, at = np.unique(pair_keys(rows.entity[named], place[named]), return_inverse=True)
        by_hour = np.zeros((len(pairs), HOURS))
        np.add.at(by_hour, (at.reshape(-1), rows.hour[named]), rows.sent[named])
        group = pairs["entity"].copy()
        entities = len(self._identity.entities)
        shares = usual_shares(group, entities, by_hour)
        slot = _largest(group, shares[:, 0])
        line = np.full(entities, np.nan)
        met = np.unique(group)
        line[met] = usual_line(self._overlaps(met, last))
        return UsualMix(place_of, pairs, slot, shares[slot >= 0].astype(np.float32), line)

    def _overlaps(self, entities: Int64, last: int) -> Float64:
        """Overlaps of the days before the hour `last`, (entities, hours), NaN where unknown."""
        hours = CLUES.days * HOURS
        overlaps = np.full((len(entities), hours), np.nan)
        found = self._con.execute(
            "SELECT entity, hour, overlap FROM sent_mixes WHERE hour >= ? AND hour < ?", [last - hours, last]
        ).fetchnumpy()
        number = np.asarray(found["entity"], np.int64)
        here = np.isin(number, entities)
        at = np.searchsorted(entities, number[here])
        overlaps[at, np.asarray(found["hour"], np.int64)[here] - (last - hours)] = found["overlap"][here]
        return overlaps

    def place_of(self, known: Int64) -> Int64:
        """The place of every endpoint; `known` are those of the first ones."""
        more = self._identity.endpoints[len(known) :]
        named = np.array([bool(one.workload or one.process) for one in more], np.bool_)
        return np.concatenate([known, np.where(named, place_numbers(more), NOWHERE)]) if more else known

    def closed(self, day: int, usual: UsualMix) -> ClosedMix:
        """The hours of a day that is over, from its edges."""
        found = self._con.execute(
            "SELECT entity, endpoint, hour % 24 AS hour, sent_bytes AS sent FROM edges "
            "WHERE hour >= ? AND hour < ? AND sent_bytes > 0 ORDER BY ALL",
            [day * HOURS, (day + 1) * HOURS],
        ).fetchnumpy()
        rows = _rows(found)
        entities, at = np.unique(rows.entity, return_inverse=True)
        cell = at.reshape(-1) * HOURS + rows.hour
        mix = usual.mix(cell, len(entities) * HOURS, rows, self.place_of(usual.place_of))
        shape = (len(entities), HOURS)
        by_hour = SentMix(*(getattr(mix, name).reshape(shape) for name in SentMix.__slots__))
        return ClosedMix(entities.astype(np.int32), by_hour)

    def hour(self, now_ns: int, exchanged: Exchanged, usual: UsualMix) -> SentMix:
        """The hour up to `now_ns`, by the entity's number (entities,), from what was exchanged by then."""
        at = np.flatnonzero(exchanged.is_judged & (exchanged.sent > 0))
        hours = np.full(len(at), (now_ns - 1) // HOUR_NS % HOURS)
        rows = EndpointSent(exchanged.entity[at], exchanged.endpoint[at], hours, exchanged.sent[at])
        return usual.mix(rows.entity, len(self._identity.entities), rows, self.place_of(usual.place_of))


def _rows(found: dict[str, NDArray[np.int64]]) -> EndpointSent:
    entity, endpoint, hour = (np.asarray(found[name], np.int64) for name in ("entity", "endpoint", "hour"))
    return EndpointSent(entity, endpoint, hour, np.asarray(found["sent"], np.float64))


def _largest(group: Int64, share: Float64) -> Int32:
    """For each row its place among those kept, the largest of each group; -1 for the others. Groups are together."""
    order = np.lexsort((-share, group))
    starts = np.searchsorted(group, group)
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - starts
    kept = rank < CLUES.most_places
    return np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
