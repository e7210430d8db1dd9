"""Pairs of entity and metric as rows of arrays, and what is known of their hours.

The state of a detector that learns day by day is arrays over pairs; the tables hold rows only where something happened.
Here the rows find their places, and what has no row becomes silence (the cluster was heard, the entity existed) or
unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import duckdb
import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.trailing_inbound import FLOOR_SHARE
from ebbtide.baseline.trailing_statistics import PEAKS, WINDOW_HOURS, Float32
from ebbtide.series import HOUR_NS, Float64, Int32, Int64
from ebbtide.store.identity import Identity

#: Fewer known minutes than this leave an hour unknown.
LEAST_MINUTES = 30
#: Rows of `peaks` in the order of its columns.
VALUES = PEAKS + 2


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Pairs in ascending order of entity, then metric: `entity`, `metric` (int32), `floor` (float64) of the metric."""

    entity: Int32
    metric: Int32
    floor: Float64

    def __len__(self) -> int:
        return len(self.entity)

    @property
    def keys(self) -> Int64:
        """One ascending number per pair."""
        return self.entity.astype(np.int64) << 16 | self.metric

    @classmethod
    def of(cls, keys: Int64, floors: Mapping[int, float]) -> Self:
        """Pairs of distinct ascending keys; `floors` by the number of the metric."""
        metric = (keys & 0xFFFF).astype(np.int32)
        floor = np.array([floors[one] for one in metric.tolist()], np.float64)
        return cls((keys >> 16).astype(np.int32), metric, floor)

    def place(self, entity: Int32, metric: Int32) -> Int64:
        """For each row its place among the pairs, -1 for none."""
        wanted = np.asarray(entity, np.int64) << 16 | np.asarray(metric, np.int64)
        keys = self.keys
        if not len(keys):
            return np.full(len(wanted), -1, np.int64)
        at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[at] == wanted, at, -1)

    def take(self, rows: slice) -> Pairs:
        """Some of the pairs."""
        return Pairs(self.entity[rows], self.metric[rows], self.floor[rows])


def pairs_between(con: duckdb.DuckDBPyConnection, floors: Mapping[int, float], first: int, last: int) -> Pairs:
    """The pairs with peaks in the hours [first, last)."""
    rows = con.execute(
        "SELECT DISTINCT entity::BIGINT << 16 | metric AS key FROM peaks WHERE hour >= ? AND hour < ? ORDER BY key",
        [first, last],
    ).fetchnumpy()
    keys = np.asarray(rows["key"], np.int64)
    wanted = np.isin(keys & 0xFFFF, np.array(list(floors), np.int64))
    return Pairs.of(keys[wanted], floors)


class PairHours:
    """Peaks of pairs over a range of hours, unknown and silent hours told apart."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity) -> None:
        self._con = con
        self._identity = identity

    def read(self, pairs: Pairs, first: int, last: int) -> Float32:
        """(pairs, hours, VALUES): the columns of `peaks` for the hours [first, last); NaN where not known."""
        values = np.full((len(pairs), last - first, VALUES), np.nan, np.float32)
        if not len(pairs) or last <= first:
            return values
        silence = _silence(pairs.floor)
        np.copyto(values, silence[:, None, :], where=self._known(pairs, first, last)[:, :, None])
        rows = self._con.execute(
            "SELECT * FROM peaks WHERE hour >= ? AND hour < ? AND entity BETWEEN ? AND ?",
            [first, last, int(pairs.entity[0]), int(pairs.entity[-1])],
        ).fetchnumpy()
        at = pairs.place(rows["entity"], rows["metric"])
        here = at >= 0
        columns = [np.asarray(column, np.float32)[here] for name, column in rows.items() if name not in _KEYS]
        values[at[here], np.asarray(rows["hour"], np.int64)[here] - first] = np.stack(columns, axis=-1)
        values[self._masked(pairs, first, last)] = np.nan
        return values

    def _known(self, pairs: Pairs, first: int, last: int) -> NDArray[np.bool_]:
        """Whether the pair's cluster was heard in each hour, and the entity had been seen by then."""
        clusters = {name: at for at, name in enumerate(sorted({one.cluster for one in self._identity.entities}))}
        heard = np.zeros((len(clusters) + 1, last - first), bool)
        for cluster, hour in self._con.execute(
            "SELECT cluster, hour FROM coverage WHERE hour >= ? AND hour < ? "
            f"AND bit_count(heartbeats | samples) >= {LEAST_MINUTES}",
            [first, last],
        ).fetchall():
            heard[clusters.get(cluster, len(clusters)), hour - first] = True
        born = dict(self._con.execute("SELECT entity, min(hour) FROM peaks GROUP BY entity").fetchall())
        cluster_of = np.array([clusters[self._identity.entities[at].cluster] for at in pairs.entity.tolist()], np.int64)
        birth = np.array([born.get(at, last) for at in pairs.entity.tolist()], np.int64)
        return np.asarray(heard[cluster_of] & (np.arange(first, last)[None, :] >= birth[:, None]), bool)

    def _masked(self, pairs: Pairs, first: int, last: int) -> NDArray[np.bool_]:
        masked = np.zeros((len(pairs), last - first), bool)
        for entity, start, end in masked_hours(self._con, first, last):
            masked[pairs.entity == entity, max(start, first) - first : end - first] = True
        return masked


_KEYS = ("entity", "metric", "hour")


def masked_hours(con: duckdb.DuckDBPyConnection, first: int, last: int) -> list[tuple[int, int, int]]:
    """Entity and hours [from, to) of every mask that touches the hours [first, last)."""
    touching = f"to_ns > {first * HOUR_NS} AND from_ns < {last * HOUR_NS}"
    # There rarely is one, and planning the join costs several times as much as asking.
    if con.execute(f"SELECT 1 FROM masks WHERE {touching} LIMIT 1").fetchone() is None:
        return []
    return con.execute(
        f"SELECT entity, from_ns // {HOUR_NS}, (to_ns - 1) // {HOUR_NS} + 1 FROM masks "
        f"JOIN entities USING (cluster, namespace, workload, process) WHERE {touching}"
    ).fetchall()


def _silence(floor: Float64) -> Float32:
    """What the columns of `peaks` are where nothing is sent and nothing received, (pairs, VALUES)."""
    volume = np.log(floor[:, None] * np.array(WINDOW_HOURS, float))
    nothing = np.zeros(len(floor))
    inbound = np.log(FLOOR_SHARE * floor)
    return np.stack([nothing, nothing, *volume.T, inbound, nothing], axis=-1).astype(np.float32)
