"""Whose risk grew, when, by how much and by which finding: what incidents are made of."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable

import duckdb

from ebbtide.finding.incident import Contribution
from ebbtide.finding.risk import RiskEvent
from ebbtide.store.bulk import insert
from ebbtide.store.findings import Transaction

_KINDS = ("BIGINT", "VARCHAR", "VARCHAR", "DOUBLE", "VARCHAR", "VARCHAR", "VARCHAR")


class Risks:
    """Contributions to the risk of objects."""

    def __init__(self, con: duckdb.DuckDBPyConnection, transaction: Transaction) -> None:
        self._con = con
        self._transaction = transaction

    def add(self, contributions: Iterable[Contribution]) -> None:
        """Keep contributions."""
        with self._transaction():
            insert(self._con, "risk_events", _KINDS, (_row(one) for one in contributions))

    def of(self, name: str, object_type: str, after_ns: int) -> list[Contribution]:
        """What contributed to an object after an instant, oldest first."""
        return self._select("WHERE object = ? AND object_type = ? AND at_ns > ?", [name, object_type, after_ns])

    def of_each(self, objects: Collection[tuple[str, str]], after_ns: int) -> dict[tuple[str, str], list[Contribution]]:
        """What contributed to each of these (object, type) after an instant, oldest first; read in one go."""
        found: dict[tuple[str, str], list[Contribution]] = {one: [] for one in objects}
        names = sorted({name for name, _ in objects})
        if names:
            where = "WHERE at_ns > ? AND object IN (SELECT unnest(?::VARCHAR[]))"
            for one in self._select(where, [after_ns, names]):
                known = found.get((one.event.object, one.event.object_type))
                if known is not None:
                    known.append(one)
        return found

    def all(self, after_ns: int) -> list[Contribution]:
        """Everything after an instant, oldest first."""
        return self._select("WHERE at_ns > ?", [after_ns])

    def forget(self, before_ns: int) -> int:
        """Drop what is older than an instant; how many rows."""
        with self._transaction():
            return len(self._con.execute("DELETE FROM risk_events WHERE at_ns < ? RETURNING 1", [before_ns]).fetchall())

    def _select(self, where: str, values: list[object]) -> list[Contribution]:
        rows = self._con.execute(
            "SELECT object, object_type, score, at_ns, finding, detection, tactics FROM risk_events "
            f"{where} ORDER BY at_ns, finding",
            values,
        ).fetchall()
        return [
            Contribution(RiskEvent(name, kind, score, at_ns), finding, detection, tuple(json.loads(tactics)))
            for name, kind, score, at_ns, finding, detection, tactics in rows
        ]


def _row(one: Contribution) -> list[object]:
    event = one.event
    return [
        *(event.at_ns, event.object, event.object_type, event.score),
        *(one.finding, one.detection, json.dumps(one.tactics)),
    ]
