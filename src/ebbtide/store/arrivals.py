"""What has arrived, by cluster: the newest end, the first, and what arrived after its time had been judged.

Watermarks rest on it. It is kept in memory beside the index of names, changes with each append under the store's lock,
and is made again from what is stored after a failed transaction. Without it each tick would scan the samples of a day.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import duckdb
import numpy as np

from ebbtide.series import HOUR_NS, MINUTE_NS, Heartbeat, Int32, Int64
from ebbtide.store.identity import Identity
from ebbtide.store.progress import TOGETHER, LateHour

_NEVER = np.iinfo(np.int64).min
_FOREVER = np.iinfo(np.int64).max


class Arrivals:
    """The newest sample or heartbeat of each cluster, and the hours that changed after they were judged.

    A sample is its sender's cluster's, where the sender is unknown its receiver's. Used under the store's lock.
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._codes: dict[str, int] = {}
        self._code_of = np.empty(0, np.int32)
        self._first = np.empty(0, np.int64)
        self._newest = np.empty(0, np.int64)
        self._judged = np.empty(0, np.int64)
        self._late: set[LateHour] = set()

    @classmethod
    def load(
        cls,
        con: duckdb.DuckDBPyConnection,
        identity: Identity,
        dirty: Iterable[int],
        judged: Mapping[str, int],
        late: Iterable[LateHour],
    ) -> Arrivals:
        """As if everything stored had just arrived; the series of `identity` are loaded."""
        self = cls(identity)
        numbers = np.arange(identity.series_count, dtype=np.int32)
        entity = _first_known(identity.sender_of(numbers), identity.receiver_of(numbers))
        ends = identity.last_end(numbers)
        known = (entity >= 0) & (ends > _NEVER)
        self._take(entity[known], ends[known])
        oldest = min(dirty, default=None)
        rows = con.execute(
            "SELECT cluster, min(hour), max(hour), max_by(heartbeats | samples, hour) FROM coverage "
            "WHERE heartbeats | samples <> 0 GROUP BY cluster"
        ).fetchall()
        for cluster, first, last, bits in rows:
            code = self._code(cluster)
            minute = int(bits).bit_length() - 1 if bits > 0 else 59
            self._newest[code] = max(self._newest[code], last * HOUR_NS + minute * MINUTE_NS)
            self._first[code] = min(self._first[code], first * HOUR_NS)
        if oldest is not None:
            self._first = np.minimum(self._first, oldest * HOUR_NS)
        self.judging(judged)
        self._late = set(late)
        return self

    def newest(self) -> dict[str, int]:
        """By cluster the latest end of a sample or heartbeat."""
        return {name: int(self._newest[code]) for name, code in self._codes.items() if self._newest[code] > _NEVER}

    def first(self) -> dict[str, int]:
        """By cluster an instant not after the first end of a sample that is stored."""
        return {name: int(self._first[code]) for name, code in self._codes.items() if self._first[code] < _FOREVER}

    def judging(self, until: Mapping[str, int]) -> None:
        """By cluster, up to where data are looked at from now on: what comes below it later is late.

        `TOGETHER` stands for every cluster there is.
        """
        for cluster, data_ns in until.items():
            if cluster == TOGETHER:
                self._judged = np.maximum(self._judged, data_ns)
                continue
            code = self._code(cluster)
            self._judged[code] = max(self._judged[code], data_ns)

    def note(self, sender: Int32, receiver: Int32, end_ns: Int64, heartbeats: Iterable[Heartbeat]) -> list[LateHour]:
        """Take in samples that are being stored; the hours that are late because of them and were not before."""
        for beat in heartbeats:
            code = self._code(beat.cluster)
            self._newest[code] = max(self._newest[code], beat.end_ns)
        entity = _first_known(sender, receiver)
        known = entity >= 0
        codes, ends = self._take(entity[known], end_ns[known])
        late = ends < self._judged[codes]
        if not late.any():
            return []
        names = list(self._codes)
        found = {LateHour(names[code], end // HOUR_NS) for code, end in zip(codes[late], ends[late], strict=True)}
        new = sorted(LateHour(one.cluster, int(one.hour)) for one in found - self._late)
        self._late.update(new)
        return new

    def forget_late(self) -> None:
        """Tell every late hour anew: those known so far are about to be judged once more."""
        self._late.clear()

    def _take(self, entity: Int32, end_ns: Int64) -> tuple[Int32, Int64]:
        self._grow()
        codes = self._code_of[entity]
        np.maximum.at(self._newest, codes, end_ns)
        np.minimum.at(self._first, codes, end_ns)
        return codes, end_ns

    def _grow(self) -> None:
        """Learn the clusters of entities met since."""
        new = self._identity.entities[len(self._code_of) :]
        if new:
            codes = np.array([self._code(one.cluster) for one in new], np.int32)
            self._code_of = np.concatenate([self._code_of, codes])

    def _code(self, cluster: str) -> int:
        code = self._codes.get(cluster)
        if code is None:
            code = self._codes[cluster] = len(self._codes)
            self._first = np.append(self._first, _FOREVER)
            self._newest = np.append(self._newest, _NEVER)
            self._judged = np.append(self._judged, _NEVER)
        return code


def _first_known(sender: Int32, receiver: Int32) -> Int32:
    return np.where(sender >= 0, sender, receiver).astype(np.int32)
