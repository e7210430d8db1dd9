"""What a day's pairs are measured against, read once a day and kept in memory.

A tick reads current sums and this, never history.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.cusum import Usual
from ebbtide.baseline.records import Forecast, RecordSummary
from ebbtide.baseline.trailing_statistics import HOURS, Float32
from ebbtide.detect.outbound import DayRecords, Records, day_records
from ebbtide.detect.outbound_clues import SentMix
from ebbtide.detect.outbound_scale_form import DayScale
from ebbtide.detect.outbound_state import DayReference, open_day
from ebbtide.store.known_contacts import KnownContacts
from ebbtide.store.learned_days import OPTIONS, SHARD, LearnedDays
from ebbtide.store.learned_novelty import LearnedNovelty
from ebbtide.store.pairs import Pairs
from ebbtide.store.piece_sums import PieceReading
from ebbtide.store.pieces import PieceCache
from ebbtide.store.steady_contacts import SteadyContacts
from ebbtide.store.trailing_sums import TrailingReading, TrailingSums
from ebbtide.store.usual_mixes import UsualMix


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """One day as it opens, for every pair that is not forgotten.

    `cusum` (pairs,) is the drip's sum at the end of the day before, `has_received` (pairs,) whether the pair's source
    tells what is received. `mix` is where entities usually send.
    """

    day: int
    pairs: Pairs
    records: DayRecords
    reference: DayReference
    cusum: Float32
    has_received: NDArray[np.bool_]
    scale: DayScale
    mix: UsualMix


class OpenedCache:
    """The last days that were opened, shared by all views; forgotten when something is learned again."""

    def __init__(self, most: int = 2) -> None:
        self._days: dict[int, Opened] = {}
        self._contacts: dict[int, KnownContacts] = {}
        self._learned: list[tuple[KnownContacts, LearnedNovelty]] = []
        self._steady: SteadyContacts | None = None
        self._most = most
        #: What samples come to by piece of time; it is voided by what is stored, not by what is learned.
        self.pieces = PieceCache()
        #: Grows when something is learned again.
        self.revision = 0

    def forget(self, from_hour: int | None = None) -> None:
        """Forget the days that rest on an hour from this one on; None: all."""
        self.revision += 1
        self._days = {day: one for day, one in self._days.items() if from_hour is not None and day * HOURS <= from_hour}
        self._contacts = {
            day: one for day, one in self._contacts.items() if from_hour is not None and day * HOURS <= from_hour
        }

        if self._steady is not None and (from_hour is None or self._steady.hour > from_hour):
            self._steady = None

    def steady(self, hour: int) -> SteadyContacts | None:
        """The steady contacts as of an hour, if they are kept."""
        return self._steady if self._steady is not None and self._steady.hour == hour else None

    def put_steady(self, found: SteadyContacts, revision: int) -> None:
        """Keep what was read at this revision."""
        if revision == self.revision:
            self._steady = found

    def contacts(self, day: int) -> KnownContacts | None:
        """What entities had met when a day began, if it is kept."""
        return self._contacts.get(day)

    def put_contacts(self, known: KnownContacts, revision: int) -> None:
        """Keep what was read at this revision."""
        if revision == self.revision:
            kept = list(self._contacts.items())[-self._most + 1 :]
            self._contacts = dict([*kept, (known.day, known)])

    def learned(self, known: KnownContacts) -> LearnedNovelty | None:
        """What was learned from these very contacts, if it is kept."""
        return next((one for of, one in self._learned if of is known), None)

    def put_learned(self, known: KnownContacts, learned: LearnedNovelty) -> None:
        """Keep what was learned from contacts, for as long as they are kept."""
        kept = [pair for pair in self._learned if any(pair[0] is one for one in self._contacts.values())]
        self._learned = [*kept[-self._most + 1 :], (known, learned)]

    def get(self, day: int) -> Opened | None:
        """A day, if it is kept."""
        return self._days.get(day)

    def put(self, opened: Opened, revision: int) -> None:
        """Keep a day that was read at this revision."""
        if revision == self.revision:
            kept = list(self._days.items())[-self._most + 1 :]
            self._days = dict([*kept, (opened.day, opened)])


def open_pairs(learned: LearnedDays, cache: OpenedCache, day: int) -> Opened:
    """A day as it opens: from the cache, or read."""
    known = cache.get(day)
    if known is not None:
        return known
    revision = cache.revision
    pairs = learned.pairs(day - 1)
    scale = learned.scale(day)
    parts = []
    for at in range(0, max(len(pairs), 1), SHARD):
        state = learned.state(pairs.take(slice(at, at + SHARD)), day)
        parts.append((day_records(state, scale.models, OPTIONS), open_day(state, OPTIONS), state.cusum))
    records = DayRecords(tuple(_joined([part[0].windows[at] for part in parts]) for at in range(2)))
    opened = Opened(
        day,
        pairs,
        records,
        _reference([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
        learned.has_received(pairs, day),
        scale,
        learned.mixes.usual(day),
    )
    cache.put(opened, revision)
    return opened


def _joined(parts: list[Records]) -> Records:
    summary = RecordSummary(
        *(np.concatenate([getattr(part.summary, name) for part in parts]) for name in RecordSummary.__slots__)
    )
    expected = Forecast(
        np.concatenate([part.expected.chance for part in parts]),
        np.concatenate([part.expected.excess for part in parts]),
    )
    return Records(np.concatenate([part.maxima for part in parts]), summary, expected)


def _reference(parts: list[DayReference]) -> DayReference:
    return DayReference(
        np.concatenate([part.usual_volume for part in parts]),
        np.concatenate([part.usual_inbound for part in parts]),
        Usual(
            np.concatenate([part.usual.median for part in parts]),
            np.concatenate([part.usual.spread for part in parts]),
        ),
    )


class OutboundReading:
    """Everything the outbound detector is judged with, as of an instant."""

    def __init__(self, learned: LearnedDays, sums: TrailingReading, pieces: PieceReading, cache: OpenedCache) -> None:
        self.learned = learned
        self._pieces = pieces
        self._sums = sums
        self._cache = cache

    def opened(self, day: int) -> Opened:
        """A day as it opens."""
        return open_pairs(self.learned, self._cache, day)

    def sums(self, now_ns: int) -> TrailingSums:
        """Trailing sums of every metric that is learned."""
        return self._sums.at(now_ns, list(self.learned.numbers()))

    def hour_mix(self, now_ns: int, opened: Opened) -> SentMix:
        """Where each entity's bytes of the last hour went, by its number (entities,)."""
        return self.learned.mixes.hour(now_ns, self._pieces.exchanged(now_ns), opened.mix)
