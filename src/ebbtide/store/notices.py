"""Notices as they live: incidents and states of the service, each once, in its latest version."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from ebbtide.finding.finding import Finding
from ebbtide.finding.form import from_json, to_json
from ebbtide.store.findings import Transaction


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice over time; `record` is what was told last, `closed_ns` when it ended, None while it lasts."""

    kind: str
    subject: str
    record: Finding
    closed_ns: int | None = None


class Notices:
    """Notices by uid."""

    def __init__(self, con: duckdb.DuckDBPyConnection, transaction: Transaction) -> None:
        self._con = con
        self._transaction = transaction

    def save(self, one: Notice) -> None:
        """Keep a notice, in place of an older version of it."""
        record = one.record
        values = [record.uid, one.kind, one.subject, record.opened_ns, one.closed_ns, to_json(record)]
        with self._transaction():
            self._con.execute("DELETE FROM notices WHERE uid = ?", [record.uid])
            self._con.execute("INSERT INTO notices VALUES (?, ?, ?, ?, ?, ?)", values)

    def lasting(self, kind: str) -> dict[str, Notice]:
        """The notices of a kind that have not ended, by subject."""
        return {one.subject: one for one in self._select("WHERE kind = ? AND closed_ns IS NULL", [kind])}

    def all(self, kind: str | None = None) -> list[Notice]:
        """Every notice, of one kind or of all, oldest first."""
        return self._select("WHERE $1 IS NULL OR kind = $1", [kind])

    def find(self, uid: str) -> Notice | None:
        """The notice with this uid, if there is one."""
        return next(iter(self._select("WHERE uid = ?", [uid])), None)

    def _select(self, where: str, values: list[str | None]) -> list[Notice]:
        rows = self._con.execute(
            f"SELECT kind, subject, document, closed_ns FROM notices {where} ORDER BY opened_ns, uid", values
        ).fetchall()
        return [Notice(kind, subject, from_json(document), closed) for kind, subject, document, closed in rows]
