"""The service's own metrics and log: figures in the exposition format of Prometheus, events as lines of JSON.

Metrics are made from a `Health` when they are asked for, in a registry of their own, so nothing global is registered
and what the page shows and what is scraped never disagree. Logged are names and counts, never payloads or secrets.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal, TextIO

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ebbtide import __version__
from ebbtide.health import Health, Severity
from ebbtide.series import SECOND_NS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Level = Literal["debug", "info", "warning", "error"]
_LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


class Log:
    """Writes one JSON object a line: `ts`, `level`, `event` and fields. Safe to use from any thread."""

    def __init__(self, out: TextIO, level: Level = "info", now: Callable[[], int] | None = None) -> None:
        self._out = out
        self._least = _LEVELS.index(level)
        self._now = now or (lambda: int(datetime.now(UTC).timestamp() * SECOND_NS))
        self._lock = threading.Lock()

    def __call__(self, level: Level, event: str, **fields: object) -> None:
        """Write an event, unless it is below the level."""
        if _LEVELS.index(level) < self._least:
            return
        moment = datetime.fromtimestamp(self._now() / SECOND_NS, UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"ts": moment, "level": level, "event": event, **fields}, default=str)
        with self._lock:
            self._out.write(line + "\n")
            self._out.flush()


def exposition(health: Health) -> bytes:
    """All metrics as of a health record, in the text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(health))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, health: Health) -> None:
        self._health = health

    def collect(self) -> Iterable[Metric]:
        """Every family, those without a row included: a missing metric would look like a missing service."""
        yield from _service(self._health)
        yield from _sources(self._health)
        yield from _detections(self._health)
        yield from _sinks(self._health)


def _gauge(name: str, text: str, labels: list[str], rows: Iterable[tuple[list[str], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"ebbtide_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _service(health: Health) -> Iterator[Metric]:
    yield _gauge("build_info", "The version that runs.", ["version"], [([__version__], 1.0)])
    yield _gauge("ready", "Whether nothing critical stands in the way.", [], [([], float(health.is_ready))])
    if health.started_ns is not None:
        started = health.started_ns / SECOND_NS
        yield _gauge("start_time_seconds", "When the service was started.", [], [([], started)])
    counts = {one.value: 0 for one in Severity}
    for problem in health.problems:
        counts[problem.severity.value] += 1
    rows = [([name], float(count)) for name, count in counts.items()]
    yield _gauge("problems", "What an operator should know, by severity.", ["severity"], rows)
    points = CounterMetricFamily("ebbtide_points", "Points by what became of them.", labels=["outcome"])
    for outcome, count in sorted(health.received.items()):
        points.add_metric([outcome], count)
    yield points
    rows = [([name], value) for name, value in sorted(health.capacity.items())]
    yield _gauge("capacity", "Plain figures by name.", ["name"], rows)


def _sources(health: Health) -> Iterator[Metric]:
    by_cluster = ["cluster"]
    sources = health.sources
    newest = [([one.cluster], one.newest_ns / SECOND_NS) for one in sources]
    yield _gauge("source_newest_timestamp_seconds", "The latest end of a cluster's samples.", by_cluster, newest)
    marks = [([one.cluster], one.watermark_ns / SECOND_NS) for one in sources]
    yield _gauge("source_watermark_timestamp_seconds", "Up to where a cluster is judged.", by_cluster, marks)
    states = [([one.cluster, one.state.value], 1.0) for one in sources]
    yield _gauge("source_state", "1 for the state a cluster is in.", ["cluster", "state"], states)
    gaps = [([one.cluster], float(one.gap_minutes)) for one in sources]
    yield _gauge("source_gap_minutes", "Minutes of the last day without data.", by_cluster, gaps)
    skews = [([one.cluster], one.skew_s) for one in sources]
    yield _gauge("source_clock_skew_seconds", "How far samples end after they arrive.", by_cluster, skews)
    entities = [([one.cluster], float(one.entities)) for one in sources]
    yield _gauge("source_entities", "Entities known of a cluster.", by_cluster, entities)


def _detections(health: Health) -> Iterator[Metric]:
    by_detection = ["detection"]
    judged = health.detections
    until = [([one.detection], one.judged_until_ns / SECOND_NS) for one in judged]
    yield _gauge("detection_judged_until_timestamp_seconds", "The last instant judged.", by_detection, until)
    took = [([one.detection], one.took_s) for one in judged]
    yield _gauge("detection_duration_seconds", "How long the last evaluation took.", by_detection, took)
    scored = [([one.detection], float(one.scored)) for one in judged]
    yield _gauge("detection_scored", "Entity and metric pairs scored at the last instant.", by_detection, scored)
    unscored = [([one.detection, why], float(count)) for one in judged for why, count in sorted(one.unscored.items())]
    yield _gauge("detection_unscored", "Pairs that could not be scored, by reason.", ["detection", "reason"], unscored)
    found = [([one.detection], float(one.findings)) for one in judged]
    yield _gauge("detection_findings", "Findings of the last instant.", by_detection, found)
    failing = [([one.detection], float(bool(one.error))) for one in judged]
    yield _gauge("detection_failing", "1 while a detection fails.", by_detection, failing)


def _sinks(health: Health) -> Iterator[Metric]:
    delivered = CounterMetricFamily("ebbtide_sink_delivered", "Deliveries that arrived.", labels=["sink", "kind"])
    for one in health.sinks:
        delivered.add_metric([one.name, one.kind], one.delivered)
    yield delivered
    waiting = [([one.name], float(one.waiting)) for one in health.sinks]
    yield _gauge("sink_waiting", "Deliveries that wait.", ["sink"], waiting)
    dead = [([one.name], float(one.dead)) for one in health.sinks]
    yield _gauge("sink_dead", "Deliveries that were given up and kept.", ["sink"], dead)
    failing = [([one.name], float(bool(one.error))) for one in health.sinks]
    yield _gauge("sink_failing", "1 while the last attempt failed.", ["sink"], failing)
    beating = [one for one in health.sinks if one.heartbeat_every_s]
    accepted = [([one.name], one.heartbeat_ns / SECOND_NS) for one in beating]
    yield _gauge("sink_heartbeat_timestamp_seconds", "The last heartbeat accepted; 0: none.", ["sink"], accepted)
    every = [([one.name], one.heartbeat_every_s) for one in beating]
    yield _gauge("sink_heartbeat_interval_seconds", "How often a heartbeat is sent.", ["sink"], every)
