"""Filters by name, each in its latest version."""

from __future__ import annotations

import duckdb

from ebbtide.finding.filters import Filter
from ebbtide.finding.form import filter_from_json, filter_to_json
from ebbtide.store.findings import Transaction


class Filters:
    """The filters people made; those of files are not here."""

    def __init__(self, con: duckdb.DuckDBPyConnection, transaction: Transaction) -> None:
        self._con = con
        self._transaction = transaction

    def save(self, one: Filter) -> None:
        """Keep a filter, in place of an older one of its name."""
        with self._transaction():
            self._con.execute("DELETE FROM filters WHERE name = ?", [one.id])
            self._con.execute("INSERT INTO filters VALUES (?, ?)", [one.id, filter_to_json(one)])

    def remove(self, name: str) -> bool:
        """Forget a filter; False when there was none of this name."""
        with self._transaction():
            return bool(self._con.execute("DELETE FROM filters WHERE name = ? RETURNING 1", [name]).fetchall())

    def all(self) -> list[Filter]:
        """Every filter, expired ones included, by name."""
        rows = self._con.execute("SELECT document FROM filters ORDER BY name").fetchall()
        return [filter_from_json(document) for (document,) in rows]
