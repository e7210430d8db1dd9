"""Sent and received step by step, with what is not known apart from what is nothing: the input of trailing sums.

A sample counts to the time it covers, so the result does not depend on the source's interval, and zeros a source leaves
out are zeros here as long as the source is heard. Steps are read from samples, not stored: what needs them looks at
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
    """(entities, metrics, steps) from `start_ns` on, in the metric's unit per step of one or more minutes.

    NaN where the entity's cluster was not heard: not known. 0 where it was, and nothing was sent (received).
    """

    entities: tuple[Entity, ...]
    metrics: tuple[str, ...]
    start_ns: int
    sent: Float64
    received: Float64


class MinuteReading:
    """Reads steps as of an instant: samples that end later are not looked at."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def of(
        self, grouping: Grouping, metrics: tuple[str, ...], from_ns: int, to_ns: int, step_ns: int = MINUTE_NS
    ) -> Minutes:
        """Full steps in [from_ns, to_ns), both floored to the step, from samples that end by `to_ns`.

        `step_ns` is a whole number of minutes; a step is known if any minute of it is. Entities of one group must be of
        one cluster; groups are as `Reading.window` reads them.
        """
        first, last = from_ns // step_ns, to_ns // step_ns
        samples = self._segments.between(first * step_ns + 1, last * step_ns + 1)
        sent, received = (
            self._side(grouping, metrics, samples, side, first, last, step_ns) for side in ("sender", "receiver")
        )
        unknown = ~self._covered(grouping, samples, first, last, step_ns // MINUTE_NS)
        for values in (sent, received):
            values[np.broadcast_to(unknown[:, None, :], values.shape)] = np.nan
        return Minutes(grouping.labels, metrics, first * step_ns, sent, received)

    def _side(
        self, grouping: Grouping, metrics: tuple[str, ...], samples: str, side: str, first: int, last: int, step_ns: int
    ) -> Float64:
        low, high, group_at = grouping.lookup()
        shape = (len(grouping), len(metrics), max(0, last - first))
        sql = query("minutes").replace("{samples}", samples).replace("{side}", side).replace("{step}", str(step_ns))
        rows = self._con.execute(sql, {"low": low, "high": high, "first": first, "last": last}).fetchnumpy()
        places = {name: at for at, name in enumerate(metrics)}
        metric_at = np.array([places.get(name, -1) for name in self._identity.metrics] or [-1], np.int64)
        group = group_at[np.asarray(rows["entity"], np.int64) - low]
        metric = metric_at[np.asarray(rows["metric"], np.int64)]
        wanted = (group >= 0) & (metric >= 0)
        at = (group[wanted] * shape[1] + metric[wanted]) * shape[2] + np.asarray(rows["step"], np.int64)[wanted]
        size = shape[0] * shape[1] * shape[2]
        total = np.bincount(at, np.asarray(rows["value"], np.float64)[wanted], size)
        return total.astype(np.float64).reshape(shape)

    def _covered(self, grouping: Grouping, samples: str, first: int, last: int, minutes: int) -> NDArray[np.bool_]:
        """Whether each group's cluster was heard, (groups, steps)."""
        span = {"first": first * minutes, "last": last * minutes}
        rows = self._con.execute(query("covered").replace("{samples}", samples), span).fetchall()
        heard: dict[str, list[int]] = {}
        for cluster, minute in rows:
            heard.setdefault(cluster, []).append(minute // minutes)
        covered = np.zeros((len(grouping), max(0, last - first)), bool)
        for number, group in zip(grouping.numbers.tolist(), grouping.group.tolist(), strict=True):
            covered[group, heard.get(self._identity.entities[number].cluster, [])] = True
        return covered
