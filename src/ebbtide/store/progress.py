"""How far detections have judged, and which hours wait to be judged once more.

Written in the transaction that keeps the findings of an evaluation, so that after a crash no window is left out and
none is told twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import duckdb

from ebbtide.store.findings import Transaction

#: Stands for all clusters together in the progress of detections whose rows pool them.
TOGETHER = "*"


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a detection has judged: the last instant of evaluation; data that end before `data_ns` were looked at."""

    judged_ns: int
    data_ns: int


@dataclass(frozen=True, slots=True, order=True)
class LateHour:
    """An hour (since the epoch) of a cluster whose data changed after it was judged."""

    cluster: str
    hour: int


@dataclass(frozen=True, slots=True)
class Late:
    """Late hours as of one moment; `last` is the number of the latest note about them."""

    hours: tuple[LateHour, ...]
    last: int


class Progress:
    """Reach by detection and cluster, late hours by cluster."""

    def __init__(self, con: duckdb.DuckDBPyConnection, transaction: Transaction) -> None:
        self._con = con
        self._transaction = transaction

    def reached(self) -> dict[tuple[str, str], Reach]:
        """By detection and cluster, how far it was judged."""
        rows = self._con.execute("SELECT detection, cluster, judged_ns, data_ns FROM progress").fetchall()
        return {(detection, cluster): Reach(judged, data) for detection, cluster, judged, data in rows}

    def save(self, detection: str, clusters: Iterable[str], reach: Reach) -> None:
        """Note how far a detection has judged these clusters."""
        with self._transaction():
            for cluster in clusters:
                known = self._con.execute(
                    "UPDATE progress SET judged_ns = ?, data_ns = ? WHERE detection = ? AND cluster = ? RETURNING 1",
                    [reach.judged_ns, reach.data_ns, detection, cluster],
                ).fetchall()
                if not known:
                    values = [detection, cluster, reach.judged_ns, reach.data_ns]
                    self._con.execute("INSERT INTO progress VALUES (?, ?, ?, ?)", values)

    def late(self) -> Late:
        """The hours that wait to be judged once more."""
        rows = self._con.execute("SELECT cluster, hour, max(number) FROM late_hours GROUP BY ALL").fetchall()
        hours = sorted(LateHour(cluster, hour) for cluster, hour, _ in rows)
        return Late(tuple(hours), max((number for _, _, number in rows), default=0))

    def add_late(self, hours: Iterable[LateHour]) -> None:
        """Note hours that changed after they were judged."""
        with self._transaction():
            for one in hours:
                values = [one.cluster, one.hour]
                self._con.execute("INSERT INTO late_hours VALUES (nextval('late_numbers'), ?, ?)", values)

    def settle(self, late: Late) -> None:
        """Note that these hours were judged once more; what changed them after `late` was read stays."""
        with self._transaction():
            self._con.execute("DELETE FROM late_hours WHERE number <= ?", [late.last])
