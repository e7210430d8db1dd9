"""Sent and received minute by minute, with what is not known apart from what is nothing: the input of trailing sums.

A sample counts to the time it covers, so the result does not depend on the source's interval, and zeros a source leaves
out are zeros here as long as the source is heard. Minutes are read from samples, not stored: what needs them looks at
entities a shard at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import numpy as np
from numpy.typing import NDArray

from ebbtide.series import MINUTE_NS, Entity, Float64
from ebbtide.store.connection import query
from ebbtide.store.identity import Identity
from ebbtide.store.reading import Grouping
from ebbtide.store.segments import CommittedSegments


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """(entities, metrics, minutes) from `start_ns` on, in the metric's unit per minute.

    NaN where the entity's cluster was not heard: not known. 0 where it was, and nothing was sent (received).
    """

    entities: tuple[Entity, ...]
    metrics: tuple[str, ...]
    start_ns: int
    sent: Float64
    received: Float64


class MinuteReading:
    """Reads minutes as of an instant: samples that end later are not looked at."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def of(self, grouping: Grouping, metrics: tuple[str, ...], from_ns: int, to_ns: int) -> Minutes:
        """Full minutes in [from_ns, to_ns), both floored to the minute, from samples that end by `to_ns`.

        Entities of one group must be of one cluster; groups are as `Reading.window` reads them.
        """
        first, last = from_ns // MINUTE_NS, to_ns // MINUTE_NS
        samples = self._segments.between(first * MINUTE_NS + 1, last * MINUTE_NS + 1)
        span = {"first": first, "last": last}
        sent, received = (self._side(grouping, metrics, samples, side, span) for side in ("sender", "receiver"))
        unknown = ~self._covered(grouping, samples, span)
        for values in (sent, received):
            values[np.broadcast_to(unknown[:, None, :], values.shape)] = np.nan
        return Minutes(grouping.labels, metrics, first * MINUTE_NS, sent, received)

    def _side(
        self, grouping: Grouping, metrics: tuple[str, ...], samples: str, side: str, span: dict[str, int]
    ) -> Float64:
        low, high, group_at = grouping.lookup()
        values = np.zeros((len(grouping), len(metrics), max(0, span["last"] - span["first"])))
        sql = query("minutes").replace("{samples}", samples).replace("{side}", side)
        rows = self._con.execute(sql, {"low": low, "high": high, **span}).fetchnumpy()
        places = {name: at for at, name in enumerate(metrics)}
        metric_at = np.array([places.get(name, -1) for name in self._identity.metrics] or [-1], np.int64)
        group = group_at[np.asarray(rows["entity"], np.int64) - low]
        metric = metric_at[np.asarray(rows["metric"], np.int64)]
        wanted = (group >= 0) & (metric >= 0)
        at = group[wanted], metric[wanted], np.asarray(rows["minute"], np.int64)[wanted]
        np.add.at(values, at, np.asarray(rows["value"], np.float64)[wanted])
        return values

    def _covered(self, grouping: Grouping, samples: str, span: dict[str, int]) -> NDArray[np.bool_]:
        """Whether each group's cluster was heard, (groups, minutes)."""
        rows = self._con.execute(query("covered").replace("{samples}", samples), span).fetchall()
        heard: dict[str, list[int]] = {}
        for cluster, minute in rows:
            heard.setdefault(cluster, []).append(minute)
        covered = np.zeros((len(grouping), max(0, span["last"] - span["first"])), bool)
        for number, group in zip(grouping.numbers.tolist(), grouping.group.tolist(), strict=True):
            covered[group, heard.get(self._identity.entities[number].cluster, [])] = True
        return covered
