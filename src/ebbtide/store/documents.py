"""Findings and filters as JSON documents: written whole, read whole, never joined."""

from __future__ import annotations

import duckdb


class Documents:
    """Findings by uid, filters by name."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def save_finding(self, uid: str, detection: str, opened_ns: int, last_ns: int, document: str) -> None:
        """Keep a finding, in place of an older version of it."""
        self._con.execute("BEGIN")
        self._con.execute("DELETE FROM findings WHERE uid = ?", [uid])
        self._con.execute("INSERT INTO findings VALUES (?, ?, ?, ?, ?)", [uid, detection, opened_ns, last_ns, document])
        self._con.execute("COMMIT")

    def findings(self) -> list[str]:
        """Every finding, oldest first."""
        return self._documents("SELECT document FROM findings ORDER BY opened_ns, uid", [])

    def find(self, prefix: str) -> list[str]:
        """Findings whose uid starts so."""
        return self._documents("SELECT document FROM findings WHERE starts_with(uid, ?) ORDER BY uid", [prefix])

    def save_filter(self, name: str, document: str) -> None:
        """Keep a filter, in place of an older one of this name."""
        self._con.execute("BEGIN")
        self._con.execute("DELETE FROM filters WHERE name = ?", [name])
        self._con.execute("INSERT INTO filters VALUES (?, ?)", [name, document])
        self._con.execute("COMMIT")

    def remove_filter(self, name: str) -> bool:
        """Forget a filter; False when there was none of this name."""
        return bool(self._con.execute("DELETE FROM filters WHERE name = ? RETURNING 1", [name]).fetchall())

    def filters(self) -> list[tuple[str, str]]:
        """Name and document of every filter, by name."""
        rows = self._con.execute("SELECT name, document FROM filters ORDER BY name").fetchall()
        return [(name, document) for name, document in rows]

    def _documents(self, sql: str, values: list[str]) -> list[str]:
        return [row[0] for row in self._con.execute(sql, values).fetchall()]
