"""Small integers for long names: the store's memory of every entity, endpoint, metric and series it has met.

Series come in as records with 64-bit keys, rows on disk carry int32 numbers that compress to almost nothing. The index
lives in memory, belongs to the single writer, and is read back when the file is opened; after a failed transaction it
is read back too, so it never knows a name that is not on disk. Without it every commit would join text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from ebbtide.series import Endpoint, EndpointClass, Entity, Int32, Int64, Series

Name = TypeVar("Name", bound=Hashable)

#: Stands for "no entity" in int32 columns.
NOBODY = -1
_NEVER = np.iinfo(np.int64).min


class Identity:
    """Names to numbers and back. Numbers are dense, start at 0 and are never reused."""

    def __init__(self) -> None:
        self.entities: list[Entity] = []
        self.endpoints: list[Endpoint] = []
        self.metrics: list[str] = []
        self._entity: dict[Entity, int] = {}
        self._endpoint: dict[Endpoint, int] = {}
        self._metric: dict[str, int] = {}
        self._series: dict[int, int] = {}
        self._columns: Int32 = np.empty((5, 0), np.int32)
        self._last_end = np.empty(0, np.int64)
        self._stored = (0, 0, 0)
        self._new_series: list[Series] = []
        self.has_series = False

    @classmethod
    def load(cls, con: duckdb.DuckDBPyConnection) -> Identity:
        """The index of every name the file knows; series only after `load_series`."""
        self = cls()
        for row in con.execute("SELECT cluster, namespace, workload, process FROM entities ORDER BY entity").fetchall():
            self.entity(Entity(*row))
        for cluster, namespace, workload, process, kind in con.execute(
            "SELECT cluster, namespace, workload, process, kind FROM endpoints ORDER BY endpoint"
        ).fetchall():
            self.endpoint(Endpoint(cluster, namespace, workload, process, EndpointClass(kind)))
        for (name,) in con.execute("SELECT name FROM metrics ORDER BY metric").fetchall():
            self.metric(name)
        self._stored = (len(self.entities), len(self.endpoints), len(self.metrics))
        return self

    def load_series(self, con: duckdb.DuckDBPyConnection, samples: str) -> None:
        """Read every series, and the latest end stored of each from `samples` (a FROM item): a writer needs them."""
        table = con.sql(
            "SELECT key, metric, coalesce(sender, -1) AS sender, coalesce(receiver, -1) AS receiver, "
            "source, destination FROM series ORDER BY series"
        ).to_arrow_table()
        keys = table.column("key").to_pylist()
        self._series = dict(zip(keys, range(len(keys)), strict=True))
        self._reserve(len(keys))
        for at, name in enumerate(("metric", "sender", "receiver", "source", "destination")):
            self._columns[at, : len(keys)] = table.column(name).to_numpy()
        last = con.sql(f"SELECT series, max(end_ns) AS end_ns FROM {samples} GROUP BY series").fetchnumpy()
        self._last_end[np.asarray(last["series"], np.int32)] = np.asarray(last["end_ns"], np.int64)
        self.has_series = True

    def entity(self, entity: Entity) -> int:
        """The number of an entity, new if need be."""
        return _intern(self._entity, self.entities, entity)

    def endpoint(self, endpoint: Endpoint) -> int:
        """The number of an endpoint, new if need be."""
        return _intern(self._endpoint, self.endpoints, endpoint)

    def metric(self, name: str) -> int:
        """The number of a metric, new if need be."""
        return _intern(self._metric, self.metrics, name)

    def find_entity(self, entity: Entity) -> int | None:
        """The number of an entity, None if it was never met."""
        return self._entity.get(entity)

    def find_metric(self, name: str) -> int | None:
        """The number of a metric, None if it was never met."""
        return self._metric.get(name)

    def find_endpoint(self, endpoint: Endpoint) -> int | None:
        """The number of an endpoint, None if it was never met."""
        return self._endpoint.get(endpoint)

    @property
    def series_count(self) -> int:
        """How many series are known."""
        return len(self._series)

    def series(self, series: Sequence[Series]) -> Int32:
        """The numbers (n,) of these series, new ones included."""
        known = self._series
        first = len(known)
        new: list[Series] = []
        numbers: list[int] = []
        for one in series:
            number = known.setdefault(one.key, first + len(new))
            if number == first + len(new):
                new.append(one)
            numbers.append(number)
        if new:
            self._add(new, first)
        return np.array(numbers, np.int32)

    def _add(self, new: list[Series], first: int) -> None:
        self._reserve(first + len(new))
        # Series of one edge share their records, and hashing a record costs more than all else here.
        same: dict[int, int] = {}
        names = (
            [self.metric(one.metric) for one in new],
            [NOBODY if one.sender is None else _once(same, self.entity, one.sender) for one in new],
            [NOBODY if one.receiver is None else _once(same, self.entity, one.receiver) for one in new],
            [_once(same, self.endpoint, one.source) for one in new],
            [_once(same, self.endpoint, one.destination) for one in new],
        )
        self._columns[:, first : first + len(new)] = names
        self._new_series += new

    def metric_of(self, numbers: Int32) -> Int32:
        """The metric of each series."""
        return np.asarray(self._columns[0, numbers])

    def sender_of(self, numbers: Int32) -> Int32:
        """The sending entity of each series, NOBODY where unknown."""
        return np.asarray(self._columns[1, numbers])

    def receiver_of(self, numbers: Int32) -> Int32:
        """The receiving entity of each series, NOBODY where unknown."""
        return np.asarray(self._columns[2, numbers])

    def last_end(self, numbers: Int32) -> Int64:
        """The latest end stored for each series, the smallest int64 for none."""
        return self._last_end[numbers]

    def advance(self, numbers: Int32, end_ns: Int64) -> None:
        """Note samples that are now stored."""
        np.maximum.at(self._last_end, numbers, end_ns)

    def save_new(self, con: duckdb.DuckDBPyConnection) -> None:
        """Write every name met since the last save; part of the caller's transaction."""
        entities, endpoints, metrics = self._stored
        _insert(con, "entities", _entity_rows(self.entities[entities:], entities))
        _insert(con, "endpoints", _endpoint_rows(self.endpoints[endpoints:], endpoints))
        new = self.metrics[metrics:]
        _insert(
            con, "metrics", pa.table({"metric": pa.array(range(metrics, metrics + len(new)), pa.int16()), "name": new})
        )
        if self._new_series:
            _insert(con, "series", self._series_rows())

    def saved(self) -> None:
        """Note that the transaction of `save_new` was committed."""
        self._stored = (len(self.entities), len(self.endpoints), len(self.metrics))
        self._new_series = []

    def _series_rows(self) -> pa.Table:
        new = self._new_series
        first = len(self._series) - len(new)
        metric, sender, receiver, source, destination = self._columns[:, first : first + len(new)]
        return pa.table(
            {
                "series": pa.array(range(first, first + len(new)), pa.int32()),
                "key": pa.array([one.key for one in new], pa.int64()),
                "metric": pa.array(metric.astype(np.int16)),
                "sender": pa.array(sender, mask=sender == NOBODY),
                "receiver": pa.array(receiver, mask=receiver == NOBODY),
                "source": pa.array(source),
                "destination": pa.array(destination),
                "image_version": pa.array([one.image_version for one in new], pa.string()),
                "attributes": pa.array([one.attributes for one in new], pa.string()),
            }
        )

    def _reserve(self, size: int) -> None:
        have = self._columns.shape[1]
        if size <= have:
            return
        grown = max(size, 2 * have, 1024)
        columns = np.zeros((5, grown), np.int32)
        columns[:, :have] = self._columns
        last_end = np.full(grown, _NEVER, np.int64)
        last_end[:have] = self._last_end
        self._columns, self._last_end = columns, last_end


def _intern(numbers: dict[Name, int], names: list[Name], name: Name) -> int:
    number = numbers.get(name)
    if number is None:
        number = numbers[name] = len(names)
        names.append(name)
    return number


def _once(same: dict[int, int], number_of: Callable[[Name], int], name: Name) -> int:
    """The number of a name, looked up once for each object; the caller keeps the objects alive."""
    number = same.get(id(name))
    if number is None:
        number = same[id(name)] = number_of(name)
    return number


def _entity_rows(entities: list[Entity], first: int) -> pa.Table:
    return pa.table(
        {
            "entity": pa.array(range(first, first + len(entities)), pa.int32()),
            "cluster": pa.array([one.cluster for one in entities], pa.string()),
            "namespace": pa.array([one.namespace for one in entities], pa.string()),
            "workload": pa.array([one.workload for one in entities], pa.string()),
            "process": pa.array([one.process for one in entities], pa.string()),
        }
    )


def _endpoint_rows(endpoints: list[Endpoint], first: int) -> pa.Table:
    return pa.table(
        {
            "endpoint": pa.array(range(first, first + len(endpoints)), pa.int32()),
            "cluster": pa.array([one.cluster for one in endpoints], pa.string()),
            "namespace": pa.array([one.namespace for one in endpoints], pa.string()),
            "workload": pa.array([one.workload for one in endpoints], pa.string()),
            "process": pa.array([one.process for one in endpoints], pa.string()),
            "kind": pa.array([one.kind.value for one in endpoints], pa.string()),
        }
    )


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: pa.Table) -> None:
    if not len(rows):
        return
    con.register("incoming", rows)
    try:
        con.execute(f"INSERT INTO {table} SELECT * FROM incoming")
    finally:
        con.unregister("incoming")
