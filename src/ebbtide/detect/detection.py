"""A detection: what to look at, how often, against which baseline, with which detector, and what a hit means.

A detection is data, one YAML file each; `catalogue` reads them, `finding` turns what they find into words and risk. All
texts of an analytic live here (known false positives, how to implement, references), so that a finding can be explained
without a second source. Without this model every tool would read its own half of the YAML and misspelt keys would do
nothing.
"""

from __future__ import annotations

import datetime
import difflib
import fnmatch
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from ebbtide.detect.detector import Detector, Options
from ebbtide.detect.examples import Example
from ebbtide.detect.joined_detector import Joined
from ebbtide.detect.novelty_detector import Novelty
from ebbtide.detect.outbound_detector import Outbound
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Entity

#: A detector whatever its options are. `Any`, because a mapping of detectors holds a different options model per name.
#: Learned detectors are judged with what the store has learned, all others with a window and a baseline.
WindowDetector: TypeAlias = Detector[Any]
LearnedDetector: TypeAlias = Outbound | Novelty | Joined
AnyDetector: TypeAlias = WindowDetector | LearnedDetector
#: Every detector there is, by name.
Detectors: TypeAlias = Mapping[str, AnyDetector]

#: The smallest bucket: the grain in which the store keeps what was sent.
SMALLEST_BUCKET_NS = 10 * SECOND_NS

#: What `$...$` in a message may say. The dotted names and `host` are those of the Splunk analytic.
MESSAGE_TOKENS = (
    "host",
    "source.workload.name",
    "source.process.name",
    "cluster",
    "namespace",
    "workload",
    "process",
    "entity",
    "count",
    "metrics",
    "headline",
    "detection",
    "risk_score",
)

TOKEN = re.compile(r"\$([^$\s]*)\$")

_UNITS = {"s": SECOND_NS, "m": MINUTE_NS, "h": HOUR_NS, "d": DAY_NS}


def parse_duration(text: object) -> int:
    """Nanoseconds of a duration such as `10s`, `90m`, `1h` or `30d`; `0` needs no unit.

    Raises ValueError for anything else; a bare number has no unit and is refused.

    >>> parse_duration("10s")
    10000000000
    """
    if text == 0 or text == "0":
        return 0
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a duration; write a whole number and a unit, such as 10s, 15m, 1h or 30d")
    return int(match[1]) * _UNITS[match[2]]


def _parse_bucket(text: object) -> object:
    return None if text == "source" else parse_duration(text)


#: Nanoseconds, written `10s`, `1h`, `30d`.
Duration: TypeAlias = Annotated[int, BeforeValidator(parse_duration)]
Key: TypeAlias = Literal["cluster", "namespace", "workload", "process"]
Prose: TypeAlias = Annotated[str, Field(max_length=10_000)]
Line: TypeAlias = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\r\n]+$")]
Percent: TypeAlias = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
MetricPattern: TypeAlias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.*]+$", max_length=100)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BaselineSpec(_Part):
    """What is taken for usual."""

    length_ns: Duration = Field(30 * DAY_NS, alias="length", gt=0)
    """How far back it reaches, from the time of the evaluation."""

    gap_ns: Duration = Field(HOUR_NS, alias="gap", ge=0)
    """How much of the most recent time is left out, so that a window is not compared with itself."""

    by: tuple[Key, ...]
    """What makes one baseline; a part of the window's `by`. Upstream leaves the cluster out."""

    of: Literal["points", "buckets"] = "buckets"
    """Moments of the raw points as received (upstream), or of the buckets' sums, which is what is tested."""

    masks: Literal["apply", "ignore"] = "apply"
    """Whether times with the verdict `attack` are left out. Upstream knows no masks."""

    @field_validator("gap_ns")
    @classmethod
    def _leaves_something(cls, gap_ns: int, info: ValidationInfo) -> int:
        if gap_ns >= info.data.get("length_ns", gap_ns + 1):
            raise ValueError("the gap is as long as the baseline: nothing is left to learn from")
        return gap_ns


class RiskSpec(_Part):
    """How bad it would be and how sure we are; the score is impact x confidence / 100."""

    impact: Percent
    """How bad it is if true, 0 to 100."""

    confidence: Percent
    """How likely a finding is true, 0 to 100."""

    object: Literal["cluster", "workload", "entity"] = "workload"
    """Whose risk grows."""

    object_type: Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")] = "workload"
    """What the SIEM calls that kind of object; Splunk knows system, user and other."""

    @property
    def score(self) -> float:
        """Impact x confidence / 100."""
        return self.impact * self.confidence / 100


class AnnotationSpec(_Part):
    """Frameworks the detection speaks to. What is absent (`None`) is computed from the techniques and the type."""

    mitre_attack: tuple[Annotated[str, Field(pattern=r"^T\d{4}(\.\d{3})?$")], ...] = ()
    """ATT&CK technique ids."""

    kill_chain: tuple[Line, ...] | None = None
    """Lockheed Martin kill chain phases; absent: those of the techniques' tactics."""

    nist: tuple[Line, ...] | None = None
    """NIST CSF categories; absent: DE.CM for a TTP, else DE.AE."""

    cis20: tuple[Line, ...] | None = None
    """CIS controls; absent: CIS 13 for the network domain, else CIS 10."""

    cve: tuple[Annotated[str, Field(pattern=r"^CVE-\d{4}-\d{4,7}$")], ...] = ()
    """Vulnerabilities it is about."""


class Macro(_Part):
    """A search macro of the analytic this detection re-implements, and what does its job here."""

    name: Line
    meaning: Line


class Detection(_Part):
    """One analytic, complete. The order of the fields is the order in which the shipped files write them."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=100)]
    """Its name in settings and filters, snake_case, unique in the catalogue."""

    uuid: UUID
    """Its identity for ever: the namespace of its findings' uids."""

    name: Line
    label: Annotated[str, Field(max_length=20, pattern=r"^[^\r\n]*$")] = ""
    """A word or two that stand for it in narrow tables; empty: its id."""

    version: Annotated[str, Field(pattern=r"^(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){2}$")]
    """Semantic version. Another major version gives its findings other uids."""

    date: datetime.date
    """When it last changed."""

    author: Line
    status: Literal["experimental", "test", "stable", "deprecated"]
    type: Literal["Anomaly", "TTP", "Hunting", "Correlation"] = "Anomaly"
    description: Prose
    choices: tuple[Prose, ...] = ()
    """Where the analytic it re-implements leaves open what happens: what happens here."""

    part_of: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=100)] | None = None
    """The detection that judges this one as a part of it: where that one runs, this runs by itself only if named."""

    overrides: bool = False
    """In a user's file: this takes the place of the shipped detection with the same id."""

    metrics: tuple[MetricPattern, ...] = Field(min_length=1)
    """Names, or patterns in which `*` stands for anything."""

    by: tuple[Key, ...] = Field(min_length=1)
    """What makes one row of the window; the columns left out are pooled and empty in the finding's entity."""

    requires: tuple[Key, ...] = ("workload",)
    """Columns a sender must have to be judged; the others may be missing, and then are "". A missing column of the
    analytic this succeeds drops the row."""

    every_ns: Duration = Field(alias="every", gt=0)
    """Time between evaluations."""

    lag_ns: Duration = Field(0, alias="lag", ge=0)
    """How long before the time of the evaluation the window ends."""

    window_ns: Duration = Field(alias="window", gt=0)
    """How much is looked at in one evaluation."""

    bucket_ns: Annotated[int | None, BeforeValidator(_parse_bucket)] = Field(alias="bucket")
    """What is summed into one value; `source` (None) is the source's own interval, 10 s or more."""

    baseline: BaselineSpec
    detector: Line
    options: dict[str, object] = Field(default_factory=dict)
    """What the detector is told; after loading, complete with the defaults."""

    upstream_row: bool = False
    """Findings carry the result row of the Splunk analytic too."""

    risk: RiskSpec
    message: Line
    """What the SIEM shows, with `$token$`s of `MESSAGE_TOKENS`."""

    headline: Annotated[str, Field(max_length=300, pattern=r"^[^\r\n]*$")] = ""
    """A sentence with the same tokens instead of the computed one; empty: the computed one."""

    annotations: AnnotationSpec = AnnotationSpec()
    security_domain: Literal["endpoint", "network", "threat", "identity", "access", "audit"] = "network"
    story: tuple[Line, ...] = ()
    """Analytic stories it belongs to."""

    category: tuple[Line, ...] = ()
    tags: tuple[Line, ...] = ()
    product: tuple[Line, ...] = ()
    data_source: tuple[Line, ...] = ()
    required_fields: tuple[Line, ...] = ()
    how_to_implement: Prose = ""
    known_false_positives: Prose = ""
    macros: tuple[Macro, ...] = ()
    references: tuple[Annotated[str, Field(pattern=r"^https?://\S+$")], ...] = ()
    source: Line | None = None
    """Where the analytic it re-implements was published."""

    dataset: Prose = ""
    """Recorded data to replay, if there are any."""

    tests: tuple[Example, ...] = ()

    @field_validator("by")
    @classmethod
    def _has_no_twins(cls, by: tuple[Key, ...]) -> tuple[Key, ...]:
        if len(set(by)) < len(by):
            raise ValueError("names a column twice")
        return by

    @field_validator("bucket_ns")
    @classmethod
    def _fits_the_store(cls, bucket_ns: int | None, info: ValidationInfo) -> int | None:
        if bucket_ns is not None and (bucket_ns < SMALLEST_BUCKET_NS or bucket_ns % SMALLEST_BUCKET_NS):
            raise ValueError("a bucket is a multiple of 10s, or `source`")
        if bucket_ns is not None and bucket_ns > info.data.get("window_ns", bucket_ns):
            raise ValueError("the bucket is longer than the window")
        return bucket_ns

    @field_validator("baseline")
    @classmethod
    def _pools_no_less(cls, baseline: BaselineSpec, info: ValidationInfo) -> BaselineSpec:
        extra = [key for key in baseline.by if key not in info.data.get("by", baseline.by)]
        if extra:
            raise ValueError(f"the baseline's `by` has {', '.join(extra)}, which the window's `by` pools away")
        return baseline

    @field_validator("message", "headline")
    @classmethod
    def _has_known_tokens(cls, template: str) -> str:
        for token in TOKEN.findall(template):
            if token not in MESSAGE_TOKENS:
                near = difflib.get_close_matches(token, MESSAGE_TOKENS, 1)
                hint = f"did you mean ${near[0]}$?" if near else f"known are {', '.join(MESSAGE_TOKENS)}"
                raise ValueError(f"there is no ${token}$; {hint}")
        return template

    @property
    def short_name(self) -> str:
        """What it is called where there is little room."""
        return self.label or self.id

    @property
    def major(self) -> int:
        """The part of the version that goes into the uid of a finding."""
        return int(self.version.partition(".")[0])

    @property
    def history_ns(self) -> int:
        """How far apart history is judged if nobody says: as `every_ns`, but five minutes at least.

        What looks back an hour or a day finds the same at every minute, a little sooner, in five times the time.
        """
        return max(self.every_ns, 5 * MINUTE_NS)

    def selects(self, metrics: Iterable[str]) -> tuple[str, ...]:
        """Those of these metrics the detection looks at, in their order.

        Case counts, as in the analytic this succeeds; `*` stands for any characters, dots included.
        """
        return tuple(name for name in metrics if any(fnmatch.fnmatchcase(name, glob) for glob in self.metrics))

    def bucket_of(self, source_interval_ns: int) -> int:
        """The bucket to use for a source that reports at this interval, in nanoseconds."""
        return self.bucket_ns or max(source_interval_ns, SMALLEST_BUCKET_NS)

    def options_for(self, detector: AnyDetector) -> Options:
        """The options as the detector's own model. Raises pydantic's ValidationError where they do not fit."""
        return detector.options.model_validate(self.options)


def project(entity: Entity, by: Iterable[Key]) -> Entity:
    """The entity with the columns that are not in `by` emptied: the row of a window, or the key of a baseline.

    >>> str(project(Entity("prod", "shop", "checkout", "nginx"), ("workload", "process")))
    '-/-/checkout/nginx'
    """
    keep = set(by)
    return Entity(
        entity.cluster if "cluster" in keep else "",
        entity.namespace if "namespace" in keep else "",
        entity.workload if "workload" in keep else "",
        entity.process if "process" in keep else "",
    )
