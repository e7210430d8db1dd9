"""How the service itself fares: what a page shows, what metrics export, and what an operator is warned about.

Records only. The service fills them; whoever runs without one (a page over a file) leaves out what there is not.
Silence must never look like safety: each record says what was looked at and what could not be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SourceState(StrEnum):
    """How a cluster's telemetry arrives."""

    LIVE = "live"
    LATE = "late"  # it arrives, but behind the lateness that is allowed
    SILENT = "silent"  # nothing arrives: neither samples nor a heartbeat
    NEW = "new"  # not heard long enough to tell


class Severity(StrEnum):
    """How soon somebody should look."""

    NOTE = "note"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Source:
    """One cluster's telemetry. `newest_ns` is the latest end of a sample, `watermark_ns` up to where it is judged.

    `gap_minutes` of the last 24 h were not heard. `skew_s` is how far its samples end after they arrive (clocks).
    """

    cluster: str
    state: SourceState
    newest_ns: int
    watermark_ns: int
    interval_s: int = 0
    gap_minutes: int = 0
    skew_s: float = 0.0
    entities: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """What a detection's last tick looked at, and what it could not judge and why; `error` "" when it went well."""

    detection: str
    judged_until_ns: int
    tick_ns: int
    took_s: float
    entities: int
    scored: int
    unscored: Mapping[str, int] = field(default_factory=dict)
    findings: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class SinkHealth:
    """How deliveries to one sink fare; `error` is the last one, "" after a success.

    `heartbeat_ns` is when its receiver last accepted a heartbeat, 0 for never; `heartbeat_every_s` how often one is
    sent, 0 for not at all.
    """

    name: str
    kind: str
    delivered: int
    waiting: int
    dead: int
    error: str = ""
    heartbeat_ns: int = 0
    heartbeat_every_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Port:
    """Where data are taken in. `senders` says who may send: how they are known, or that they are not."""

    kind: str
    address: str
    preset: str
    cluster: str
    is_encrypted: bool
    is_open: bool
    senders: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something an operator should know, in one sentence, and what to do."""

    severity: Severity
    text: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """Everything at `at_ns`.

    `received` counts points by what became of them (`accepted`, `rejected_<reason>`, `ignored_<reason>`,
    `dropped_<reason>`), `capacity` holds plain figures by name (`entities`, `series`, `file_bytes`, `queue_bytes` ...).
    """

    at_ns: int
    started_ns: int | None = None
    sources: tuple[Source, ...] = ()
    detections: tuple[Judged, ...] = ()
    sinks: tuple[SinkHealth, ...] = ()
    received: Mapping[str, int] = field(default_factory=dict)
    capacity: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    ports: tuple[Port, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether it does its work: nothing critical stands in the way."""
        return all(one.severity is not Severity.CRITICAL for one in self.problems)
