"""One finding as a list shows it, read from a few columns and a few paths of its document."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ebbtide.finding.verdict import Verdict
from ebbtide.series import Entity


@dataclass(frozen=True, slots=True)
class MetricRow:
    """What a row tells of one metric: the worst bucket beside its mean and line, the total, the usual hour."""

    metric: str
    unit: str
    value: float
    mean: float
    stdev: float
    line: float
    total: float
    usual_hour: float | None


@dataclass(frozen=True, slots=True)
class DestinationRow:
    """One destination of a row: its name, class, share (0 to 1), and whether it was never seen before."""

    name: str
    kind: str
    share: float
    is_new: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A finding in a list; `members` is how many entities it is about, 0 for its own alone."""

    uid: str
    detection: str
    entity: Entity
    risk: float
    opened_ns: int
    last_ns: int
    closed_ns: int | None
    reopened: int
    count: int
    is_hidden: bool
    headline: str
    risk_object: str
    verdict: Verdict | None
    bucket_ns: int
    metrics: tuple[MetricRow, ...]
    destinations: tuple[DestinationRow, ...]
    members: int = 0


#: What `row_of` reads, in its order. Hits, which are most of a document, are not among it.
COLUMNS = (
    "uid, detection, cluster, namespace, workload, process, risk, opened_ns, last_ns, closed_ns, reopened, peak_count, "
    "hidden, headline, risk_object, verdict, document ->> '$.evidence.bucket_ns', "
    "document ->> '$.evidence.destinations', coalesce(json_array_length(document -> '$.evidence.fleet'), 0), "
    + ", ".join(f"document -> '$.evidence.metrics[*].{name}'" for name in MetricRow.__slots__)
)


def row_of(found: tuple[Any, ...]) -> Row:
    """The record of a row of `COLUMNS`."""
    (uid, detection, cluster, namespace, workload, process, risk, opened_ns, last_ns, closed_ns, reopened, count,
     hidden, headline, risk_object, verdict, bucket_ns, destinations, members, *metrics) = found  # fmt: skip
    columns = [[json.loads(cell) for cell in column] for column in metrics]
    return Row(
        *(uid, detection, Entity(cluster, namespace, workload, process), risk, opened_ns, last_ns, closed_ns),
        *(reopened, count, hidden, headline, risk_object, None if verdict is None else Verdict(verdict)),
        int(bucket_ns),
        tuple(_metric(cells) for cells in zip(*columns, strict=True)),
        tuple(_destination(one) for one in json.loads(destinations)),
        members,
    )


def _metric(cells: tuple[Any, ...]) -> MetricRow:
    name, unit, *numbers, usual = cells
    # float() reads the words that stand for what JSON has no number for: inf, nan.
    value, mean, stdev, line, total = map(float, numbers)
    return MetricRow(name, unit, value, mean, stdev, line, total, None if usual is None else float(usual))


def _destination(one: Mapping[str, Any]) -> DestinationRow:
    name = one["workload"] or one["process"] or one["class"]
    place = f"{one['namespace']}/{name}" if one["namespace"] else name
    return DestinationRow(place, one["class"], float(one["share"]), one["first_seen"] is None)
