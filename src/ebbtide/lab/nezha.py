"""Ten services of an online shop with 56 performance faults, none of them an attack: what the detections say of them.

In: pods' metrics by the minute (Nezha, FSE 2023, MIT), where they lie. Out: findings, and how many of them are at a
fault. Real samples through the whole product: store, closed day, ticks. 32 hours are no history for records of days,
so this is how a cluster fares on its second day.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet

from ebbtide.detect.detection import Detection
from ebbtide.engine import evaluate
from ebbtide.errors import NoDataError
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Episode, advance
from ebbtide.lab.report import table
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS, Batch, Endpoint, EndpointClass, Entity, Int64, Series
from ebbtide.store.store import Store

FOLDER = Path("nezha-onlineboutique")
EVERY_NS = 15 * MINUTE_NS
_COLUMNS = {"NetworkTransmitBytes": True, "NetworkReceiveBytes": False}
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault injected into a workload at an instant."""

    workload: str
    at_ns: int
    kind: str


@dataclass(frozen=True, slots=True)
class NezhaFigures:
    """One detection's findings over all pods; `at_fault` of them overlap a fault of the pod, or the hour after it."""

    detection: str
    judged: int
    findings: int
    at_fault: int


def workload_of(pod: str) -> str:
    """The workload of a pod of a Deployment.

    >>> workload_of("cartservice-579f59597d-wc2lz")
    'cartservice'
    """
    return pod.rsplit("-", 2)[0]


def read_pods(directory: Path) -> Batch:
    """What every pod sent and received, as samples of a minute. Raises NoDataError where the data are not.

    The published values are rates per second; `Time` is used, for `TimeStamp` is wrong for one pod.
    """
    path = directory / FOLDER / "pods.parquet"
    if not path.is_file():
        raise NoDataError(f"the pods' metrics are not at {path}", hint="set EBBTIDE_DATA to their directory")
    rows = parquet.read_table(path, columns=["Time", "PodName", *_COLUMNS])
    pods = np.array(rows["PodName"].to_pylist())
    end_ns = np.array([_minute_ns(str(text)) for text in rows["Time"].to_pylist()], np.int64)
    series: list[Series] = []
    parts: list[tuple[Int64, Int64, np.ndarray[tuple[int], np.dtype[np.float64]]]] = []
    for pod in np.unique(pods).tolist():
        entity = Entity("nezha", "shop", workload_of(pod), "server")
        here = Endpoint("nezha", "shop", entity.workload, "server", EndpointClass.INTERNAL)
        for column, is_sent in _COLUMNS.items():
            value = np.rint(rows[column].to_numpy() * _MINUTE_S)
            at = np.flatnonzero((pods == pod) & np.isfinite(value))
            parts.append((np.full(len(at), len(series)), end_ns[at], value[at]))
            sides = (entity, None, here, Endpoint()) if is_sent else (None, entity, Endpoint(), here)
            series.append(Series(len(series), "tcp.bytes", *sides))
    ref, end, sent = (np.concatenate([part[at] for part in parts]) for at in range(3))
    order = np.argsort(end, kind="stable")
    end = end[order]
    nothing = np.full(len(end), np.nan)
    return Batch(tuple(series), ref[order].astype(np.int32), end - MINUTE_NS, end, sent[order], nothing)


def _minute_ns(text: str) -> int:
    """The minute an instant such as `2022-08-22 03:51:19.6 +0000 UTC` lies in, its end."""
    moment = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC)
    return -(-int(moment.timestamp()) // _MINUTE_S) * MINUTE_NS


def read_faults(directory: Path) -> tuple[Fault, ...]:
    """The 56 faults."""
    with (directory / FOLDER / "faults.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Fault(workload_of(row["inject_pod"]), int(row["inject_timestamp"]) * SECOND_NS, row["inject_type"])
            for row in csv.DictReader(file)
        )


def measure_nezha(batch: Batch, faults: tuple[Fault, ...], detections: Iterable[Detection]) -> tuple[NezhaFigures, ...]:
    """What each detection says from the first minute to the last, every 15 minutes."""
    figures = []
    with Store.open() as store:
        store.append(batch, store.begin("import", "nezha"))
        store.roll_up()
        ticks = range(int(batch.end_ns[0]) // EVERY_NS * EVERY_NS + EVERY_NS, int(batch.end_ns[-1]) + 1, EVERY_NS)
        for detection in detections:
            open_: tuple[Episode, ...] = ()
            found: dict[str, Finding] = {}
            judged = 0
            for now_ns in ticks:
                evaluation = evaluate(store, detection, now_ns, detectors=DETECTORS)
                step = advance(open_, evaluation.findings, now_ns)
                open_, judged = step.episodes, judged + evaluation.scored
                found |= {one.finding.uid: one.finding for one in open_}
            at_fault = sum(any(_is_at(finding, fault) for fault in faults) for finding in found.values())
            figures.append(NezhaFigures(detection.id, judged, len(found), at_fault))
    return tuple(figures)


def _is_at(finding: Finding, fault: Fault) -> bool:
    return (
        finding.entity.workload == fault.workload
        and finding.opened_ns < fault.at_ns + HOUR_NS
        and finding.end_ns > fault.at_ns
    )


def nezha_table(figures: tuple[NezhaFigures, ...]) -> str:
    """The figures as Markdown."""
    rows = [[one.detection, f"{one.judged:,}", f"{one.findings}", f"{one.at_fault}"] for one in figures]
    return table(["detection", "judged", "findings", "at a fault"], rows)
