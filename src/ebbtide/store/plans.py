"""Planned changes by name, each in its latest version."""

from __future__ import annotations

import duckdb

from ebbtide.finding.plan import Plan, plan_from_json, plan_to_json
from ebbtide.store.findings import Transaction


class Plans:
    """The changes that were announced."""

    def __init__(self, con: duckdb.DuckDBPyConnection, transaction: Transaction) -> None:
        self._con = con
        self._transaction = transaction

    def save(self, one: Plan) -> None:
        """Keep a plan, in place of an older one of its name."""
        with self._transaction():
            self._con.execute("DELETE FROM plans WHERE name = ?", [one.name])
            self._con.execute("INSERT INTO plans VALUES (?, ?)", [one.name, plan_to_json(one)])

    def remove(self, name: str) -> bool:
        """Forget a plan; False when there was none of this name."""
        with self._transaction():
            return bool(self._con.execute("DELETE FROM plans WHERE name = ? RETURNING 1", [name]).fetchall())

    def all(self) -> list[Plan]:
        """Every plan, those of the past included, by name."""
        rows = self._con.execute("SELECT document FROM plans ORDER BY name").fetchall()
        return [plan_from_json(document) for (document,) in rows]
