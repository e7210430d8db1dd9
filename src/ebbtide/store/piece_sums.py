"""What samples come to by piece of time: sums of series, of pairs, minutes heard. Read once a piece, then kept.

Ends by an instant's hours are read from these, so a tick of a service reads the minute that came, not the hours before
it. Amounts are rounded (for sums of series to 1/1024 of their unit, for those of pairs to whole units), so sums are the
same to the last bit however they are cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ebbtide.series import HOUR_NS, MINUTE_NS, Float64, Int32, Int64
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.pieces import Piece, PieceCache, cut, split
from ebbtide.store.segments import CommittedSegments

#: A power of two: sums of what is rounded to its inverse are exact.
_FINE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class SeriesSums:
    """What series (rows,), each once, sent in a piece, in the metric's unit; only those above 0."""

    series: Int32
    value: Float64

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about."""
        return self.series.nbytes + self.value.nbytes

    @classmethod
    def merge(cls, parts: Sequence[SeriesSums]) -> SeriesSums:
        """The sums of pieces that follow each other."""
        if len(parts) == 1:
            return parts[0]
        series = np.concatenate([np.empty(0, np.int32), *(part.series for part in parts)])
        total = np.bincount(series, np.concatenate([np.empty(0), *(part.value for part in parts)]))
        numbers = np.flatnonzero(total)
        return cls(numbers.astype(np.int32), total[numbers].astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class PairSums:
    """What pairs (rows,) of entity and metric, each once, sent and received in a piece, in whole units.

    `earliest_ns` is when the first of the samples begins, a huge number where there is none.
    """

    entity: Int32
    metric: Int32
    sent: Float64
    received: Float64
    earliest_ns: int

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about."""
        return self.entity.nbytes + self.metric.nbytes + self.sent.nbytes + self.received.nbytes


@dataclass(frozen=True, slots=True)
class Heard:
    """The minutes since the epoch in which samples that end in a piece tell of a cluster."""

    minutes: Mapping[str, frozenset[int]]

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about."""
        return 100 * sum(1 + len(one) for one in self.minutes.values())


@dataclass(frozen=True, slots=True, eq=False)
class Exchanged:
    """What entities exchanged with endpoints they sent to, (rows,) each, ascending by both.

    Two rows of one contact where it was met both up to an hour before the instant and since (`is_judged`). Bytes in
    both directions, bytes of UDP sent, new sockets.
    """

    entity: Int64
    endpoint: Int64
    is_judged: NDArray[np.bool_]
    sent: Float64
    received: Float64
    udp_sent: Float64
    sockets: Float64

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about."""
        return 49 * len(self.entity)


class PieceReading:
    """Reads what pieces hold, from memory where it is kept."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments, cache: PieceCache
    ) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments
        self._cache = cache

    def exchanged(self, now_ns: int) -> Exchanged:
        """What was exchanged up to `now_ns` since the beginning of the hour that lies an hour before it."""
        begin_ns = (now_ns - HOUR_NS) // HOUR_NS * HOUR_NS - 1
        piece = Piece(begin_ns, now_ns)
        return self._cache.of("exchanged", [piece], self._read_exchanged, is_latest_alone=True)[0]

    def pairs(self, pieces: Sequence[Piece], metrics: Sequence[int]) -> list[PairSums]:
        """What pairs of these metrics (by number) sent and received in each piece."""
        wanted = ", ".join(map(str, metrics)) or "NULL"
        return self._cache.of(f"pairs {wanted}", pieces, lambda run: self._read_pairs(run, wanted), _merged_pairs)

    def heard(self, pieces: Sequence[Piece]) -> list[Heard]:
        """In which minutes clusters were heard, by the samples of each piece."""
        return self._cache.of("heard", pieces, self._read_heard, _merged_heard)

    def _read_exchanged(self, run: list[Piece]) -> list[Exchanged]:
        begin_ns, now_ns = run[0]
        parts = [self._sums(begin_ns, now_ns - HOUR_NS), self._sums(now_ns - HOUR_NS, now_ns)]
        is_judged = np.repeat([False, True], [len(part.series) for part in parts])
        totals = pa.table(
            {
                "series": np.concatenate([part.series for part in parts]),
                "value": np.concatenate([part.value for part in parts]),
                "is_judged": is_judged,
            }
        )
        self._con.register("totals", totals)
        try:
            rows = self._con.execute(query("exchanged")).fetchnumpy()
        finally:
            self._con.unregister("totals")
        return [
            Exchanged(
                np.asarray(rows["entity"], np.int64),
                np.asarray(rows["endpoint"], np.int64),
                np.asarray(rows["is_judged"], np.bool_),
                *(np.asarray(rows[name], np.float64) for name in ("sent", "received", "udp_sent", "sockets")),
            )
        ]

    def _sums(self, from_ns: int, to_ns: int) -> SeriesSums:
        parts = self._cache.of("series", cut(from_ns, to_ns), self._read_series, SeriesSums.merge)
        return SeriesSums.merge(parts)

    def _read_series(self, run: list[Piece]) -> list[SeriesSums]:
        rows = self._con.execute(
            f"SELECT {_number(run)} AS piece, series, sum(round(value * {_FINE})) / {_FINE} AS value "
            f"FROM {self._samples(run)} WHERE NOT isnan(value) AND value > 0 GROUP BY ALL "
            f"HAVING sum(round(value * {_FINE})) > 0"
        ).fetchnumpy()
        return [
            SeriesSums(np.asarray(one["series"], np.int32), np.asarray(one["value"], np.float64))
            for one in split(rows, len(run))
        ]

    def _read_pairs(self, run: list[Piece], metrics: str) -> list[PairSums]:
        sql = query("pairs_exchanged").replace("{samples}", self._samples(run)).replace("{piece}", _number(run))
        rows = self._con.execute(sql.replace("{metrics}", metrics)).fetchnumpy()
        return [
            PairSums(
                np.asarray(one["entity"], np.int32),
                np.asarray(one["metric"], np.int32),
                np.asarray(one["sent"], np.float64),
                np.asarray(one["received"], np.float64),
                int(np.asarray(one["earliest_ns"], np.int64).min(initial=_FOREVER)),
            )
            for one in split(rows, len(run))
        ]

    def _read_heard(self, run: list[Piece]) -> list[Heard]:
        rows = self._con.execute(
            f"SELECT DISTINCT {_number(run)} AS piece, CASE WHEN sender >= 0 THEN sender ELSE receiver END AS entity, "
            f"(end_ns - greatest(span_ns, 1)) // {MINUTE_NS} AS first, (end_ns - 1) // {MINUTE_NS} AS last "
            f"FROM {self._samples(run)} WHERE span_ns <= {HOUR_NS}"
        ).fetchnumpy()
        return [self._heard_of(one) for one in split(rows, len(run))]

    def _heard_of(self, rows: dict[str, NDArray[Any]]) -> Heard:
        minutes: dict[str, set[int]] = {}
        entities, code = np.unique(rows["entity"], return_inverse=True)
        clusters = ["" if one < 0 else self._identity.entities[one].cluster for one in entities.tolist()]
        names, of_entity = np.unique(np.array(clusters, object), return_inverse=True)
        known = rows["entity"] >= 0
        told = np.stack([of_entity.reshape(-1)[code.reshape(-1)], rows["first"], rows["last"]], axis=1)[known]
        for at, first, last in np.unique(told, axis=0).tolist():
            minutes.setdefault(names[at], set()).update(range(first, last + 1))
        return Heard({name: frozenset(one) for name, one in minutes.items()})

    def _samples(self, run: list[Piece]) -> str:
        return self._segments.between(run[0].start_ns + 1, run[-1].end_ns + 1)


#: When nothing begins.
_FOREVER = int(np.iinfo(np.int64).max)


def _number(run: list[Piece]) -> str:
    """The SQL of which piece of a run a sample lies in."""
    return f"(end_ns - {run[0].start_ns + 1}) // {run[0].end_ns - run[0].start_ns}"


def _merged_pairs(parts: Sequence[PairSums]) -> PairSums:
    width = max((int(part.metric.max(initial=-1)) for part in parts), default=-1) + 1
    code = np.concatenate([part.entity.astype(np.int64) * width + part.metric for part in parts])
    codes, at = np.unique(code, return_inverse=True)
    sent, received = (
        np.bincount(at.reshape(-1), np.concatenate([getattr(part, name) for part in parts]), len(codes))
        for name in ("sent", "received")
    )
    return PairSums(
        (codes // max(width, 1)).astype(np.int32),
        (codes % max(width, 1)).astype(np.int32),
        sent.astype(np.float64),
        received.astype(np.float64),
        min(part.earliest_ns for part in parts),
    )


def _merged_heard(parts: Sequence[Heard]) -> Heard:
    minutes: dict[str, frozenset[int]] = {}
    for part in parts:
        for name, heard in part.minutes.items():
            minutes[name] = minutes.get(name, frozenset()) | heard
    return Heard(minutes)
