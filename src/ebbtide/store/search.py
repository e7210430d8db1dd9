"""Lists of findings: searched, counted and grouped over the columns beside the documents, a page at a time.

With 10,000 open findings a list may not read 10,000 documents. What is asked of a column becomes SQL; what only a
document can answer (destinations, techniques) is read in the list's order, a bounded number of documents a page, and
the page says how far it looked. A page ends with the place where the next one begins, so rows that come or go meanwhile
neither repeat nor hide others.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import duckdb

from ebbtide.finding.filters import Matcher
from ebbtide.finding.finding import HELD_BACK, Finding
from ebbtide.finding.form import from_json
from ebbtide.finding.risk import INCIDENT_SCORE
from ebbtide.finding.verdict import Verdict
from ebbtide.series import DAY_NS, Entity
from ebbtide.store.search_row import COLUMNS, Row, row_of

State: TypeAlias = Literal["undecided", "open", "decided", "hidden", "all"]
Order: TypeAlias = Literal["risk", "newest"]
Facet: TypeAlias = Literal["cluster", "namespace", "detection", "verdict", "state"]

#: Documents read for one page when a matcher asks what no column holds.
MOST_DOCUMENTS = 1_000
#: Values told of one facet; the rest is reached by search.
MOST_VALUES = 50

_STATES: dict[State, str] = {
    "undecided": "NOT hidden AND verdict IS NULL",
    "open": "NOT hidden AND closed_ns IS NULL",
    "decided": "verdict IS NOT NULL",
    "hidden": "hidden",
    "all": "true",
}
#: The matcher fields that are columns, or a cheap look into the document.
_COLUMNS = {
    "cluster": "cluster",
    "namespace": "namespace",
    "workload": "workload",
    "process": "process",
    "uid": "uid",
    "detection": "detection",
    "risk.object": "risk_object",
    "risk.object_type": "risk_object_type",
    "detection.name": "(document ->> '$.detection.name')",
    "detection.version": "(document ->> '$.detection.version')",
    "type": "(document ->> '$.annotations.type')",
}
_OPERATORS = {
    "=": "{} = ?",
    "!=": "{} <> ?",
    "=~": "regexp_full_match({}, ?, 's')",
    "!~": "NOT regexp_full_match({}, ?, 's')",
}
#: Fields of which a finding about a fleet has as many values as members.
_OF_MEMBERS = ("namespace", "workload", "process")
_IS_FLEET = "namespace = '' AND workload = '' AND process = ''"
_JUDGED = (
    "(SELECT findings.*, v.verdict FROM findings LEFT JOIN "
    "(SELECT uid, max_by(verdict, (at_ns, rowid)) AS verdict FROM verdicts GROUP BY uid) v USING (uid))"
)
_ORDERS: dict[Order, tuple[str, ...]] = {"risk": ("risk", "last_ns", "uid"), "newest": ("last_ns", "risk", "uid")}


@dataclass(frozen=True, slots=True)
class Search:
    """What a list holds: within a tuple any value will do, all else must hold. Times are of the last bucket."""

    state: State = "undecided"
    clusters: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    detections: tuple[str, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    entity: Entity | None = None
    risk_object: str | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    words: tuple[str, ...] = ()
    matchers: tuple[Matcher, ...] = ()
    order: Order = "risk"

    @property
    def document_matchers(self) -> tuple[Matcher, ...]:
        """The matchers that no column answers."""
        return tuple(one for one in self.matchers if one.field not in _COLUMNS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: the values the list is ordered by, and the last row's uid."""

    first: float
    second: float
    uid: str


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list; `next` is None at its end. `is_cut`: as many documents were read as a page may, so look on."""

    rows: tuple[Row, ...]
    next: Place | None
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """Findings of one entity, or of one risk object: how many, their highest risk, the latest bucket, some rows."""

    entity: Entity | None
    risk_object: str
    findings: int
    risk: float
    last_ns: int
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Pulse:
    """What tells that a list has changed: findings in it, latest opening, latest bucket."""

    findings: int
    opened_ns: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Spent:
    """Findings of one detection that opened in some time: all, those of them held back by the daily cap, and those
    that filters or plans hide."""

    detection: str
    findings: int = 0
    held_back: int = 0
    hidden: int = 0


class FindingSearch:
    """Lists of the findings of one open store."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def page(self, search: Search, after: Place | None = None, size: int = 50) -> Page:
        """The next `size` rows at most, from `after` on."""
        documents = search.document_matchers
        if not documents:
            uids, following = self._uids(search, after, size)
            return Page(self.rows(uids), following)
        kept: list[str] = []
        read, place = 0, after
        while read < MOST_DOCUMENTS:
            uids, following = self._uids(search, place, 100)
            for uid, finding in self._documents(uids):
                read += 1
                if all(one.holds(finding) for one in documents):
                    kept.append(uid)
                    if len(kept) == size:
                        return Page(self.rows(kept), self._place(search, uid))
            if following is None:
                return Page(self.rows(kept), None)
            place = following
        return Page(self.rows(kept), place, is_cut=True)

    def covered(self, matchers: Sequence[Matcher]) -> tuple[int, int, bool]:
        """How many findings these matchers cover, of how many, and whether not all documents could be read for it."""
        search = Search("all", matchers=tuple(matchers))
        total = self.pulse(Search("all")).findings
        if not search.document_matchers:
            return self.pulse(search).findings, total, False
        page = self.page(search, size=MOST_DOCUMENTS)
        return len(page.rows), total, page.is_cut or page.next is not None

    def possible(self, matchers: Sequence[Matcher] | None) -> list[str]:
        """The findings that columns let these matchers (None: none) cover, and all hidden ones."""
        where, values = ("false", []) if matchers is None else _where(Search("all", matchers=tuple(matchers)))
        sql = f"SELECT uid FROM {_JUDGED} WHERE hidden OR ({where}) ORDER BY uid"
        return [row[0] for row in self._con.execute(sql, values).fetchall()]

    def pulse(self, search: Search) -> Pulse:
        """How many findings a list has by what columns tell, and its latest times."""
        where, values = _where(search)
        sql = f"SELECT count(*), coalesce(max(opened_ns), 0), coalesce(max(last_ns), 0) FROM {_JUDGED} WHERE {where}"
        return Pulse(*map(int, self._con.execute(sql, values).fetchall()[0]))

    def news(self, search: Search, since: Pulse) -> tuple[int, int]:
        """Findings of a list that opened, and others that went on, since its pulse was taken."""
        where, values = _where(search)
        sql = (
            "SELECT count(*) FILTER (opened_ns > ?), count(*) FILTER (opened_ns <= ? AND last_ns > ?) "
            f"FROM {_JUDGED} WHERE {where}"
        )
        opened, gone_on = self._con.execute(sql, [since.opened_ns, since.opened_ns, since.last_ns, *values]).fetchall()[
            0
        ]
        return int(opened), int(gone_on)

    def facets(self, search: Search) -> dict[Facet, list[tuple[str, int]]]:
        """For each facet its values with how many findings choosing them would show, the most frequent first."""
        found: dict[Facet, list[tuple[str, int]]] = {}
        columns: dict[Facet, str] = {
            "cluster": "cluster",
            "namespace": "namespace",
            "detection": "detection",
            "verdict": "verdict",
        }
        for facet, column in columns.items():
            where, values = _where(search, without=facet)
            sql = (
                f"SELECT {column}, count(*) FROM {_JUDGED} WHERE {where} AND {column} IS NOT NULL GROUP BY {column} "
                f"ORDER BY count(*) DESC, {column} LIMIT {MOST_VALUES}"
            )
            found[facet] = [(str(value), int(many)) for value, many in self._con.execute(sql, values).fetchall()]
        where, values = _where(search, without="state")
        counts = ", ".join(f"count(*) FILTER ({condition})" for condition in _STATES.values())
        row = self._con.execute(f"SELECT {counts} FROM {_JUDGED} WHERE {where}", values).fetchall()[0]
        found["state"] = [(state, int(many)) for state, many in zip(_STATES, row, strict=True)]
        return found

    def groups(self, search: Search, by: Literal["entity", "incident"], skip: int, size: int, each: int) -> list[Group]:
        """Findings by entity or by risk object, the riskiest group first, `each` rows of a group at most."""
        where, values = _where(search)
        keys = "cluster, namespace, workload, process" if by == "entity" else "risk_object"
        first, second, last = (f"{name} DESC" for name in _ORDERS[search.order])
        sql = (
            f"WITH found AS (SELECT * FROM {_JUDGED} WHERE {where}), "
            f"tops AS (SELECT {keys}, count(*) AS many, max(risk) AS risk, max(last_ns) AS last_ns, "
            f"list(uid ORDER BY {first}, {second}, {last})[1:{each}] AS uids FROM found GROUP BY {keys}) "
            f"SELECT {keys}, many, risk, last_ns, uids FROM tops ORDER BY {first}, {second}, {keys} LIMIT ? OFFSET ?"
        )
        found = self._con.execute(sql, [*values, size, skip]).fetchall()
        rows = {row.uid: row for row in self.rows([uid for one in found for uid in one[-1]])}
        return [
            Group(
                Entity(*keys) if by == "entity" else None,
                "" if by == "entity" else keys[0],
                many,
                risk,
                last_ns,
                tuple(rows[uid] for uid in uids if uid in rows),
            )
            for *keys, many, risk, last_ns, uids in found
        ]

    def incidents(self, now_ns: int) -> list[tuple[str, str, float]]:
        """Risk objects with more than `INCIDENT_SCORE` points in the day before an instant: object, type, points.

        A finding counts when it opened in that day; hidden ones and those found harmless do not.
        """
        return [
            (str(name), str(kind), float(points))
            for name, kind, points in self._con.execute(
                f"SELECT risk_object, risk_object_type, sum(risk) AS points FROM {_JUDGED} WHERE NOT hidden "
                "AND (verdict IS NULL OR verdict IN ('attack', 'unsure')) AND opened_ns > ? AND opened_ns <= ? "
                "GROUP BY ALL HAVING points > ? ORDER BY points DESC, risk_object LIMIT 100",
                [now_ns - DAY_NS, now_ns, INCIDENT_SCORE],
            ).fetchall()
        ]

    def by_day(self, from_ns: int, to_ns: int) -> list[tuple[str, int, int]]:
        """Detection, day since the epoch, findings that opened in it."""
        sql = "SELECT detection, opened_ns // ? AS day, count(*) FROM findings WHERE opened_ns >= ? AND opened_ns < ? "
        rows = self._con.execute(sql + "GROUP BY ALL ORDER BY ALL", [DAY_NS, from_ns, to_ns]).fetchall()
        return [(str(name), int(day), int(many)) for name, day, many in rows]

    def spent(self, from_ns: int, to_ns: int) -> list[Spent]:
        """For each detection what opened in [from, to), by what became of it."""
        # Only hidden ones are asked for their marks: a document is long.
        marked = "SELECT detection, hidden, CASE WHEN hidden THEN document -> '$.hidden_by' END AS marks FROM findings "
        sql = (
            "SELECT detection, count(*), count(*) FILTER (hidden AND json_contains(marks, ?)), "
            f"count(*) FILTER (hidden AND NOT json_contains(marks, ?)) FROM ({marked}WHERE opened_ns >= ? AND "
            "opened_ns < ?) GROUP BY ALL ORDER BY ALL"
        )
        mark = json.dumps(HELD_BACK)
        rows = self._con.execute(sql, [mark, mark, from_ns, to_ns]).fetchall()
        return [Spent(str(name), int(all_), int(held), int(hidden)) for name, all_, held, hidden in rows]

    def rows(self, uids: Sequence[str]) -> tuple[Row, ...]:
        """The rows of these findings, in this order."""
        wanted = ", ".join("?" * len(uids)) or "NULL"
        sql = f"SELECT {COLUMNS} FROM {_JUDGED} WHERE uid IN ({wanted})"
        found = {row[0]: row_of(row) for row in self._con.execute(sql, list(uids)).fetchall()}
        return tuple(found[uid] for uid in uids if uid in found)

    def _uids(self, search: Search, after: Place | None, size: int) -> tuple[list[str], Place | None]:
        where, values = _where(search)
        first, second, last = _ORDERS[search.order]
        if after is not None:
            where += f" AND ({first}, {second}, {last}) < (?, ?, ?)"
            values = [*values, after.first, after.second, after.uid]
        sql = (
            f"SELECT uid, {first}, {second} FROM {_JUDGED} WHERE {where} "
            f"ORDER BY {first} DESC, {second} DESC, {last} DESC LIMIT ?"
        )
        found = self._con.execute(sql, [*values, size + 1]).fetchall()
        uids = [row[0] for row in found[:size]]
        return uids, Place(found[size - 1][1], found[size - 1][2], uids[-1]) if len(found) > size else None

    def _place(self, search: Search, uid: str) -> Place | None:
        first, second, _ = _ORDERS[search.order]
        found = self._con.execute(f"SELECT {first}, {second} FROM findings WHERE uid = ?", [uid]).fetchall()
        return Place(found[0][0], found[0][1], uid) if found else None

    def _documents(self, uids: Sequence[str]) -> Iterator[tuple[str, Finding]]:
        wanted = ", ".join("?" * len(uids)) or "NULL"
        rows = dict(
            self._con.execute(f"SELECT uid, document FROM findings WHERE uid IN ({wanted})", list(uids)).fetchall()
        )
        return ((uid, from_json(rows[uid])) for uid in uids if uid in rows)


def _where(search: Search, without: Facet | None = None) -> tuple[str, list[object]]:
    """The search as a condition with its values; one facet may be left out, to count what choosing it would show."""
    parts = [] if without == "state" else [_STATES[search.state]]
    values: list[object] = []
    for facet, column, wanted in (
        ("cluster", "cluster", search.clusters),
        ("namespace", "namespace", search.namespaces),
        ("detection", "detection", search.detections),
        ("verdict", "verdict", tuple(one.value for one in search.verdicts)),
    ):
        if wanted and facet != without:
            parts.append(f"coalesce({column}, '') IN ({', '.join('?' * len(wanted))})")
            values += wanted
    if search.entity is not None:
        one = search.entity  # a detection may have pooled columns: those are "" in its findings
        parts.append("cluster IN (?, '') AND namespace IN (?, '') AND workload = ? AND process IN (?, '')")
        values += [one.cluster, one.namespace, one.workload, one.process]
    for condition, value in (
        ("risk_object = ?", search.risk_object),
        ("last_ns >= ?", search.from_ns),
        ("last_ns < ?", search.to_ns),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    for word in search.words:
        parts.append(
            "contains(lower(concat_ws(' ', cluster, namespace, workload, process, detection, uid, headline)), lower(?))"
        )
        values.append(word)
    for matcher in search.matchers:
        if matcher.field in _COLUMNS:
            condition = _OPERATORS[matcher.operator].format(_COLUMNS[matcher.field])
            if matcher.field in _OF_MEMBERS:
                names = f"document ->> '$.evidence.fleet[*].entity.{matcher.field}'"
                of_each = f"list_transform({names}, lambda name: {_OPERATORS[matcher.operator].format('name')})"
                # The list is empty, and the answer NULL, where such an entity is no fleet.
                condition = (
                    f"CASE WHEN {_IS_FLEET} THEN coalesce(list_bool_and({of_each}), {condition}) ELSE {condition} END"
                )
                values += [matcher.value] * 2
            parts.append(condition)
            values.append(matcher.value)
    return " AND ".join(parts) or "true", values
