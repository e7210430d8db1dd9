"""What a metrics server holds, as samples: labels go through the same preset as remote write, so keys are the same.

A counter's first reading says nothing of what was sent, so an hour is read with some minutes before it. What they hold
only sets the counters: an hour comes out the same whether or not the hour before was read in the same run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ebbtide.decode.catalog import Scope
from ebbtide.decode.points import Points
from ebbtide.decode.session import Session
from ebbtide.decode.temporality import CounterState
from ebbtide.series import Batch, Float64, Int64

_NAME = "__name__"


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """One series: its labels, `end_ns` (int64, ascending) and `value` (float64) of each reading.

    NaN stands for the end of the series: the next reading begins a new one.
    """

    labels: dict[str, str]
    end_ns: Int64
    value: Float64

    def between(self, from_ns: int, to_ns: int) -> Readings:
        """Those that end in [from_ns, to_ns)."""
        first, last = np.searchsorted(self.end_ns, [from_ns, to_ns]).tolist()
        return Readings(self.labels, self.end_ns[first:last], self.value[first:last])


def joined(readings: Iterable[Readings]) -> list[Readings]:
    """Each series once, in order of labels, its readings in order of time and each time once."""
    parts: dict[tuple[tuple[str, str], ...], list[Readings]] = {}
    for one in readings:
        parts.setdefault(tuple(sorted(one.labels.items())), []).append(one)
    return [_one(parts[labels]) for labels in sorted(parts)]


def _one(parts: list[Readings]) -> Readings:
    end = np.concatenate([part.end_ns for part in parts])
    value = np.concatenate([part.value for part in parts])
    end, first = np.unique(end, return_index=True)
    return Readings(parts[0].labels, end, value[first])


def hour_batch(session: Session, readings: list[Readings], start_ns: int, end_ns: int) -> Batch:
    """The samples that end in [start_ns, end_ns); what `readings` hold before only sets the counters."""
    state = CounterState()
    _decode(session, [one.between(0, start_ns) for one in readings], state)
    return _decode(session, [one.between(start_ns, end_ns) for one in readings], state)


def _decode(session: Session, readings: list[Readings], state: CounterState) -> Batch:
    catalog = session.catalog
    catalog.begin()
    points = Points(catalog)
    surroundings = catalog.surroundings("remote_write", 0, lambda: ({}, Scope()))
    ids, columns = [], []
    for one in readings:
        if len(one.end_ns):
            labels = dict(one.labels)
            key = tuple(f"{name}\0{value}".encode("utf-8", "surrogatepass") for name, value in labels.items())
            found = surroundings.found.get(key)
            if found is None:
                context = surroundings.context(labels.pop(_NAME, ""), None)
                found = catalog.learn(surroundings.found, key, sum(map(len, key)), context, labels)
            ids.append(found)
            columns.append(one)
    if ids:
        lengths = [len(one.end_ns) for one in columns]
        value = np.concatenate([one.value for one in columns])
        ended = np.isnan(value)
        end = np.concatenate([one.end_ns for one in columns]).astype(np.uint64)
        at = np.repeat(np.array(ids, np.int64), lengths)
        points.extend(at, np.zeros(len(at), np.uint64), end, np.where(ended, 0.0, value), ended)
    return points.batch(state)
