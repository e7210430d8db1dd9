"""What the API answers, as models: they are the OpenAPI document's schemas. Times are RFC 3339 UTC."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, Field

from ebbtide.achieved import Achieved
from ebbtide.comparison import Comparison, headlines
from ebbtide.finding.filters import Filter, matchers_text
from ebbtide.finding.text import rfc3339
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.health import Health
from ebbtide.series import Entity
from ebbtide.store.learning import Learned
from ebbtide.store.learning import State as LearnedState
from ebbtide.store.presence import Presence
from ebbtide.store.profile import Known
from ebbtide.store.search_row import Row
from ebbtide.web.query import entity_path
from ebbtide.web.tuning import Job


class EntityName(BaseModel):
    """Who: `path` is how addresses name it."""

    path: str
    cluster: str
    namespace: str
    workload: str
    process: str

    @classmethod
    def of(cls, one: Entity) -> EntityName:
        """The entity's names."""
        return cls(
            path=entity_path(one), cluster=one.cluster, namespace=one.namespace, workload=one.workload,
            process=one.process,
        )  # fmt: skip


class Where(BaseModel):
    """One destination of a row."""

    name: str
    kind: str
    share: float
    is_new: bool


class FindingRow(BaseModel):
    """A finding in a list; `members` if of many. `deviations` of its worst bucket above the mean, null without any."""

    uid: str
    detection: str
    entity: EntityName
    risk: float
    risk_object: str
    opened: str
    last: str
    closed: str | None
    reopened: int
    count: int
    hidden: bool
    verdict: Verdict | None
    headline: str
    deviations: float | None
    destinations: list[Where]
    members: int = 0

    @classmethod
    def of(cls, one: Row) -> FindingRow:
        """The row as an answer."""
        return cls(
            uid=one.uid, detection=one.detection, entity=EntityName.of(one.entity), risk=one.risk,
            risk_object=one.risk_object, opened=rfc3339(one.opened_ns), last=rfc3339(one.last_ns),
            closed=None if one.closed_ns is None else rfc3339(one.closed_ns), reopened=one.reopened, count=one.count,
            hidden=one.is_hidden, verdict=one.verdict, headline=one.headline, deviations=deviations(one),
            destinations=[
                Where(name=place.name, kind=place.kind, share=place.share, is_new=place.is_new)
                for place in one.destinations
            ], members=one.members,
        )  # fmt: skip


def deviations(row: Row) -> float | None:
    """Standard deviations of the worst bucket above its mean, over all metrics."""
    found = [(one.value - one.mean) / one.stdev for one in row.metrics if one.stdev > 0]
    finite = [one for one in found if math.isfinite(one)]
    return max(finite, default=None)


class FindingList(BaseModel):
    """A page of findings. `next` is the next page's cursor. `is_cut`: more may follow though this page is short."""

    findings: list[FindingRow]
    next: str | None
    is_cut: bool = False


class Decision(BaseModel):
    """One verdict on a finding."""

    verdict: Verdict
    author: str
    note: str
    at: str

    @classmethod
    def of(cls, one: Judgement) -> Decision:
        """The judgement as an answer."""
        return cls(verdict=one.verdict, author=one.author, note=one.note, at=rfc3339(one.at_ns))


class FindingAnswer(BaseModel):
    """A finding in full: `finding` is its document as files and sinks have it."""

    finding: dict[str, object]
    closed: str | None
    reopened: int
    peak_count: int
    verdicts: list[Decision]
    explanation: list[str]
    command: str
    network_policy: str


class NewVerdict(BaseModel):
    """A verdict to be kept."""

    verdict: Verdict
    note: str = Field("", max_length=2_000)


class EntityRow(BaseModel):
    """An entity of the last 30 days; `sent_hour`, `sent_day`: of the last full hour and 24; `state` as `/learning`."""

    entity: EntityName
    sent: float
    sent_hour: float
    sent_day: float
    hours: int
    first: str
    last: str
    state: LearnedState
    days: int

    @classmethod
    def of(cls, one: Presence, learned: Learned) -> EntityRow:
        """The presence as an answer."""
        return cls(
            entity=EntityName.of(one.entity), sent=one.sent, sent_hour=one.sent_hour, sent_day=one.sent_day,
            hours=one.hours, first=rfc3339(learned.first_ns), last=rfc3339(one.last_ns), state=learned.state,
            days=learned.days,
        )  # fmt: skip


class EntityList(BaseModel):
    """Entities; `total` is how many there are by this search, `next` the next page's cursor where they are by name."""

    entities: list[EntityRow]
    total: int
    next: str | None


class Learning(BaseModel):
    """What is known of an entity: `days` of history, and what that allows in one sentence.

    `image` is what it changed to at `image_since`, while that is within the hours of a probation; else "" and null.
    """

    state: str
    text: str
    first: str | None
    last: str | None
    hours: int
    days: float
    image: str = ""
    image_since: str | None = None


class EntityAnswer(BaseModel):
    """One entity: its metrics in the last 30 days, and how far it is learned."""

    entity: EntityName
    metrics: list[str]
    learning: Learning
    findings: int


class SeriesAnswer(BaseModel):
    """Hours of one metric: starts in Unix milliseconds, sent, received, the usual band of the hour of the day.

    `versions` and `findings` are (name, start, end) in milliseconds; of a finding the name is its uid.
    """

    metric: str
    unit: str
    time: list[int]
    sent: list[float | None]
    received: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    versions: list[tuple[str, int, int]]
    findings: list[tuple[str, int, int]]


class WeekAnswer(BaseModel):
    """Mean sent in each hour of the week, from Monday 00 UTC on, 7 rows of 24; null where nothing is known."""

    metric: str
    unit: str
    mean: list[list[float | None]]


class KnownDestination(BaseModel):
    """One destination over the last 30 days."""

    name: str
    namespace: str
    kind: str
    sent: float
    received: float
    share: float
    hours: int
    first: str
    last: str

    @classmethod
    def of(cls, one: Known, total: float) -> KnownDestination:
        """The destination as an answer; `total` is what was sent to all."""
        place = one.endpoint
        return cls(
            name=place.workload or place.process or place.kind.value, namespace=place.namespace, kind=place.kind.value,
            sent=one.sent, received=one.received, share=one.sent / total if total else 0.0, hours=one.hours,
            first=rfc3339(one.first_ns), last=rfc3339(one.last_ns),
        )  # fmt: skip


class DestinationsAnswer(BaseModel):
    """Whom an entity talked to in the last 30 days, by bytes sent."""

    destinations: list[KnownDestination]


class FilterAnswer(BaseModel):
    """A filter. `covered` is how many findings there are that it covers. `is_fixed`: from a file, not to be changed."""

    name: str
    matchers: str
    owner: str
    reason: str
    created: str
    expires: str | None
    hits: int
    is_active: bool
    is_fixed: bool
    covered: int

    @classmethod
    def of(cls, one: Filter, now_ns: int, covered: int, *, is_fixed: bool) -> FilterAnswer:
        """The filter as an answer."""
        return cls(
            name=one.id, matchers=matchers_text(one.matchers), owner=one.owner, reason=one.reason,
            created=rfc3339(one.created_ns), expires=None if one.expires_ns is None else rfc3339(one.expires_ns),
            hits=one.hits, is_active=one.is_active(now_ns), is_fixed=is_fixed, covered=covered,
        )  # fmt: skip


class FilterList(BaseModel):
    """All filters, of files and of people."""

    filters: list[FilterAnswer]


class NewFilter(BaseModel):
    """A filter to be kept. `expires` is a duration such as `30d`, or `never`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    matchers: str = Field(min_length=1, max_length=4_000)
    reason: str = Field(min_length=1, max_length=1_000)
    expires: str = Field("30d", max_length=20)


class Matchers(BaseModel):
    """Matchers to try out."""

    matchers: str = Field(min_length=1, max_length=4_000)


class Preview(BaseModel):
    """What matchers would hide of the findings there are. `is_bounded`: not every document could be looked at."""

    matchers: str
    covered: int
    of: int
    is_bounded: bool
    is_wide: bool
    findings: list[FindingRow]


class DetectionAnswer(BaseModel):
    """A detection, with the file it came from and its options' schema."""

    detection: dict[str, object]
    origin: str
    options_schema: dict[str, object]


class DetectionList(BaseModel):
    """All detections."""

    detections: list[DetectionAnswer]


class NewBacktest(BaseModel):
    """A backtest to start. `options` change those in force; times as RFC 3339, absent: all that is stored."""

    detection: str = Field(max_length=100)
    options: dict[str, object] = Field(default_factory=dict)
    from_: str | None = Field(None, alias="from", max_length=40)
    to: str | None = Field(None, max_length=40)
    every: str | None = Field(None, max_length=20)


class BacktestAnswer(BaseModel):
    """A backtest: how far it is, and once it is done the figures before and after, as `ebbtide backtest --json`."""

    id: str
    owner: str
    detection: str
    options: dict[str, object]
    from_: str = Field(serialization_alias="from")
    to: str
    state: str
    ticks: int
    ticks_done: int
    error: str
    before: dict[str, object] | None
    after: dict[str, object] | None
    appeared: list[str]
    disappeared: list[str]

    @classmethod
    def of(cls, job: Job, comparison: Comparison | None) -> BacktestAnswer:
        """The job as an answer."""
        return cls(
            id=job.id, owner=job.owner, detection=job.detection.id, options=job.changed.options,
            from_=rfc3339(job.range.from_ns), to=rfc3339(job.range.to_ns), state=job.state.value, ticks=job.ticks,
            ticks_done=job.ticks_done, error=job.error, before=job.before.summary() if job.before else None,
            after=job.after.summary() if job.after else None,
            appeared=headlines(comparison.appeared if comparison else ()),
            disappeared=headlines(comparison.disappeared if comparison else ()),
        )  # fmt: skip


class BacktestList(BaseModel):
    """The backtests that are kept, the latest first."""

    backtests: list[BacktestAnswer]


class HealthAnswer(BaseModel):
    """How the service fares; fields as in `ebbtide.health`."""

    at: str
    is_ready: bool
    sources: list[dict[str, object]]
    detections: list[dict[str, object]]
    sinks: list[dict[str, object]]
    received: dict[str, int]
    capacity: dict[str, float]
    problems: list[dict[str, object]]
    ports: list[dict[str, object]]
    budget: list[dict[str, object]]

    @classmethod
    def of(cls, health: Health, spent: Sequence[Achieved]) -> HealthAnswer:
        """The record as an answer; `budget` has what each detection told in 30 days against what is accepted."""
        return cls(
            at=rfc3339(health.at_ns), is_ready=health.is_ready, sources=[_fields(one) for one in health.sources],
            detections=[_fields(one) for one in health.detections], sinks=[_fields(one) for one in health.sinks],
            received=dict(health.received), capacity=dict(health.capacity),
            problems=[_fields(one) for one in health.problems], ports=[_fields(one) for one in health.ports],
            budget=[_fields(one) | {"effective": one.effective, "is_over": one.is_over} for one in spent],
        )  # fmt: skip


def _fields(record: object) -> dict[str, object]:
    """A record's fields; instants (`_ns`) as RFC 3339."""
    found: dict[str, object] = {}
    for name in getattr(type(record), "__slots__", ()):
        value = getattr(record, name)
        if name.endswith("_ns"):
            found[name.removesuffix("_ns")] = rfc3339(value) if value else None
        else:
            found[name] = dict(value) if hasattr(value, "items") else value
    return found
