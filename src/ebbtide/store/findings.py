"""Findings as they live: each once, in its latest version, with what was decided about it.

The document is the finding; the columns beside it are copies that lists are sorted and searched by.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

import duckdb

from ebbtide.finding.form import from_json, to_json
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.store.bulk import insert

Transaction = Callable[[], AbstractContextManager[None]]

_EPISODE = "document, peak_count, closed_ns, reopened"

_INTO = (
    "findings (uid, detection, opened_ns, last_ns, document, closed_ns, reopened, peak_count, "
    "risk, hidden, cluster, namespace, workload, process, headline, risk_object, risk_object_type)"
)
_KINDS = (
    *("VARCHAR", "VARCHAR", "BIGINT", "BIGINT", "VARCHAR", "BIGINT", "BIGINT", "BIGINT", "DOUBLE", "BOOLEAN"),
    *("VARCHAR",) * 7,
)


class Findings:
    """Episodes by uid, verdicts by the finding they are about."""

    def __init__(self, con: duckdb.DuckDBPyConnection, transaction: Transaction) -> None:
        self._con = con
        self._transaction = transaction

    def save(self, episode: Episode) -> None:
        """Keep an episode, in place of an older version of it."""
        self.save_all([episode])

    def save_all(self, episodes: Iterable[Episode]) -> None:
        """Keep episodes, each in place of an older version of it; of several with one uid the last."""
        last = {one.finding.uid: one for one in episodes}
        if not last:
            return
        with self._transaction():
            self._con.execute("DELETE FROM findings WHERE uid IN (SELECT unnest(?::VARCHAR[]))", [list(last)])
            insert(self._con, _INTO, _KINDS, (_row(one) for one in last.values()))

    def all(self) -> list[Episode]:
        """Every episode, oldest first."""
        return self._select("ORDER BY opened_ns, uid", [])

    def page(self, after: tuple[int, str] | None, size: int) -> list[Episode]:
        """The next `size` episodes behind an opening and uid, oldest first; None: the first ones."""
        opened_ns, uid = after or (-(2**63), "")
        where = "WHERE opened_ns > $opened OR (opened_ns = $opened AND uid > $uid) ORDER BY opened_ns, uid LIMIT $size"
        return self._select(where, {"opened": opened_ns, "uid": uid, "size": size})

    def marks(self, from_ns: int) -> list[tuple[str, ...]]:
        """What hides each finding that opened at or after an instant, without reading the findings."""
        rows = self._con.execute(
            "SELECT document ->> '$.hidden_by' FROM findings WHERE opened_ns >= ? ORDER BY opened_ns, uid", [from_ns]
        ).fetchall()
        return [tuple(json.loads(marks)) for (marks,) in rows]

    def find(self, prefix: str) -> list[Episode]:
        """Episodes whose uid starts so."""
        return self._select("WHERE starts_with(uid, ?) ORDER BY uid", [prefix])

    def among(self, uids: Sequence[str]) -> list[Episode]:
        """The episodes with these uids, oldest first."""
        return self._select("WHERE list_contains(?, uid) ORDER BY opened_ns, uid", [list(uids)])

    def current(self, ended_after_ns: int, detection: str | None = None) -> list[Episode]:
        """Episodes that are open, or ended after an instant: what the next evaluation may still belong to.

        Of one detection, or of all.
        """
        where = "WHERE (closed_ns IS NULL OR closed_ns > $after) AND ($detection IS NULL OR detection = $detection)"
        return self._select(f"{where} ORDER BY opened_ns, uid", {"after": ended_after_ns, "detection": detection})

    def _select(self, rest: str, values: list[object] | dict[str, object]) -> list[Episode]:
        rows = self._con.execute(f"SELECT {_EPISODE} FROM findings {rest}", values).fetchall()
        return [Episode(from_json(document), count, closed, again) for document, count, closed, again in rows]

    def judge(self, judgement: Judgement) -> None:
        """Keep a verdict; earlier ones stay as its history."""
        values = [judgement.uid, judgement.verdict.value, judgement.author, judgement.note, judgement.at_ns]
        with self._transaction():
            self._con.execute("INSERT INTO verdicts VALUES (?, ?, ?, ?, ?)", values)

    def judgements(self, uid: str) -> list[Judgement]:
        """What was decided about a finding, oldest first; the last one counts."""
        rows = self._con.execute(
            "SELECT uid, verdict, author, note, at_ns FROM verdicts WHERE uid = ? ORDER BY at_ns, rowid", [uid]
        ).fetchall()
        return [Judgement(uid, Verdict(verdict), author, note, at_ns) for uid, verdict, author, note, at_ns in rows]

    def verdicts(self) -> dict[str, Verdict]:
        """The verdict that counts of every finding that has one."""
        rows = self._con.execute("SELECT uid, max_by(verdict, (at_ns, rowid)) FROM verdicts GROUP BY uid").fetchall()
        return {uid: Verdict(verdict) for uid, verdict in rows}


def _row(episode: Episode) -> list[object]:
    finding, entity = episode.finding, episode.finding.entity
    return [
        *(finding.uid, finding.detection_id, finding.opened_ns, finding.last_ns, to_json(finding)),
        *(episode.closed_ns, episode.reopened, episode.peak_count, finding.risk.score, finding.is_hidden),
        *(entity.cluster, entity.namespace, entity.workload, entity.process),
        *(finding.headline, finding.risk.object, finding.risk.object_type),
    ]
