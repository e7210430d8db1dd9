"""What a source calls things: a preset is a data file that maps its metric names and attributes to ours.

In comes YAML (shipped under `presets/`, or a user's own that `extends` one), out goes a validated `Preset`. Mappings
are data because sources rename their attributes, and a renamed attribute must not need a release of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from ebbtide.errors import ConfigError, NotFoundError, Problem
from ebbtide.series import SECOND_NS, EndpointClass

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNIT_NS = {"ms": SECOND_NS // 1000, "s": SECOND_NS, "m": 60 * SECOND_NS, "h": 3600 * SECOND_NS, "d": 86400 * SECOND_NS}


def _nanoseconds(value: object) -> object:
    """`30s` as nanoseconds; anything else is left for pydantic to refuse."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _UNIT_NS[match[2]] if match else value


def _as_list(value: object) -> object:
    """One thing where a list is expected is a list of one."""
    return value if isinstance(value, list) else [value]


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return value


Duration = Annotated[int, BeforeValidator(_nanoseconds), Field(gt=0)]
Pattern = Annotated[str, BeforeValidator(_pattern)]
Texts = Annotated[list[str], BeforeValidator(_as_list)]
Meaning = Literal["delta", "cumulative", "value", "ignore"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Pick(_Model):
    """Where a field comes from: an attribute, or group 1 of `pattern` in it. Written as plain text without pattern."""

    attribute: str
    pattern: Pattern | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: object) -> object:
        return {"attribute": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _has_group(self) -> Pick:
        if self.pattern is not None and re.compile(self.pattern).groups == 0:
            raise ValueError("the pattern has no group ( ) to take")
        return self


Picks = Annotated[list[Pick], BeforeValidator(_as_list)]


class KindRule(_Model):
    """How a source says what kind of place an end is.

    `names` (by workload name) wins over `values` (by the value of one of `attributes`); without either an end whose
    workload is known is `known`, any other is `otherwise`.
    """

    attributes: Texts = []
    values: dict[str, EndpointClass] = {}
    names: dict[str, EndpointClass] = {}
    known: EndpointClass = EndpointClass.INTERNAL
    otherwise: EndpointClass = EndpointClass.EXTERNAL


class Side(_Model):
    """One end of an edge. Each field is the first of its picks that is not missing; all picks missing = "".

    `place` names an end that has no workload (a domain name, an address, a network). An end is an entity when its kind
    is internal or host and all fields in `needs` are known.
    """

    environment: Picks = []
    namespace: Picks = []
    workload: Picks = []
    process: Picks = []
    place: Picks = []
    image_version: Picks = []
    kind: KindRule = KindRule()
    needs: list[Literal["namespace", "workload", "process"]] = ["workload"]
    any_kind_is_entity: bool = False


class MetricRule(_Model):
    """What to do with a metric of the source; the first rule whose `name` and `where` fit decides.

    `name`: one or more names, `*` at the end matches any rest. `to`: our metric's name, `*` keeps the source's.
    `where`: attribute -> values, of which one must be there (case does not matter); null = the attribute is missing.
    `counts_for`: where a source tells of the same traffic at both ends, the end that this point is taken for.
    `direction: receive`: the end described by `sender` is the one that received. `scale` and the number in the
    attribute `scale_by` multiply the value (sampling). `untyped`: what a gauge or a point without type is: the change
    since the last one (delta), a counter (cumulative), a level (value), or nothing to us (ignore).
    """

    name: Texts
    to: str
    where: dict[str, Annotated[list[str] | None, BeforeValidator(lambda v: v if v is None else _as_list(v))]] = {}
    direction: Literal["send", "receive"] = "send"
    counts_for: Literal["both", "sender", "receiver"] = "both"
    scale: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    scale_by: str | None = None
    untyped: Meaning = "ignore"


class IdentityRule(_Model):
    """`re.sub(pattern, replace, field)`, in order, before an entity is made, so that names that never repeat (hashes,
    numbers) do not become entities for ever. An empty result leaves the name as it was.
    """

    field: Literal["workload", "process"]
    pattern: Pattern
    replace: str = ""

    @model_validator(mode="after")
    def _can_replace(self) -> IdentityRule:
        try:
            re.sub(self.pattern, self.replace, "")
        except (re.error, IndexError) as error:
            raise ValueError(f"`replace` does not fit the pattern: {error}") from error
        return self


class Views(_Model):
    """The source repeats the same traffic at several levels, told apart by `attribute`: take one level, `use`.

    Points without the attribute pass. Whoever wants another level overrides `use`: two levels are never mixed, because
    their sum counts every byte twice.
    """

    attribute: str
    use: str


class Columns(_Model):
    """How a table (CSV, Parquet) holds points. Columns that are neither time nor value are attributes.

    `time`: the column; `unit`: its unit, or rfc3339; `marks`: whether it is the end or the start of the interval;
    `origin` (RFC 3339): what a relative time counts from. Wide tables list their metrics in `values` (column -> metric
    name as the rules below know it); long ones name `metric_column` and `value_column`. `constants` are attributes
    every row has. `attributes` limits which columns are kept.
    """

    time: str = "time"
    unit: Literal["ns", "us", "ms", "s", "m", "rfc3339"] = "rfc3339"
    marks: Literal["start", "end"] = "end"
    origin: str | None = None
    values: dict[str, str] = {}
    metric_column: str | None = None
    value_column: str | None = None
    constants: dict[str, str] = {}
    attributes: list[str] | None = None

    @field_validator("origin", mode="before")
    @classmethod
    def _is_time(cls, value: object) -> object:
        """YAML reads a time that is not quoted as one."""
        if isinstance(value, str):
            datetime.fromisoformat(value)
        return value.isoformat() if isinstance(value, datetime) else value

    @model_validator(mode="after")
    def _wide_or_long(self) -> Columns:
        long = self.metric_column is not None and self.value_column is not None
        if bool(self.values) == long:
            raise ValueError("give either `values` or both `metric_column` and `value_column`")
        return self


class Preset(_Model):
    """One source's names. `interval` is its reporting interval, for points that do not say when they start.

    `verified`: a payload of the source itself is among our tests. `missing`: values that mean absent; in cluster names
    also `missing_clusters`. `cluster`: where the reporter's cluster is named; after these come both ends'
    `environment`, then the default the operator configured (unless `default_cluster` is false). `process_bytes` cuts
    process names, for sources that know only the kernel's 15-byte comm. `heartbeats`: metrics that prove that the
    cluster's agents live.
    """

    name: str
    description: str = ""
    source: str = ""
    verified: bool = False
    interval: Duration
    missing: list[str] = ["", "-", "(unknown)"]
    missing_clusters: list[str] = ["(no agent)"]
    cluster: Picks = []
    default_cluster: bool = True
    process_bytes: int | None = Field(default=None, gt=0)
    views: Views | None = None
    heartbeats: list[str] = []
    metrics: list[MetricRule]
    sender: Side
    receiver: Side = Side()
    identity: list[IdentityRule] = []
    columns: Columns | None = None

    @field_validator("metrics")
    @classmethod
    def _some(cls, rules: list[MetricRule]) -> list[MetricRule]:
        if not rules:
            raise ValueError("a preset without metrics would ignore every point")
        return rules

    @property
    def notice(self) -> str:
        """What to tell the operator before this preset is relied on; "" when there is nothing to say."""
        if self.verified:
            return ""
        return (
            f"preset {self.name!r} was written from the source's documentation and not verified against a payload of "
            "its own: compare the first numbers with the source's"
        )


def preset_names() -> list[str]:
    """The presets that ship with the package."""
    folder = resources.files(__package__).joinpath("presets")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_preset(name: str, override: Mapping[str, object] | None = None) -> Preset:
    """The shipped preset `name`, with a user's `override` laid over it (maps merge, everything else replaces).

    Raises NotFoundError for an unknown name and ConfigError, with every mistake in it, for a bad override.
    """
    return _validate(_merge(_shipped(name), override or {}), where=f"preset {name}")


def parse_preset(text: str, *, where: str = "preset") -> Preset:
    """A user's preset: YAML with all fields, or with `extends: NAME` and those that differ. Raises ConfigError."""
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"not YAML: {error}", where=where, hint="see the shipped presets for examples") from error
    if not isinstance(data, dict):
        raise ConfigError("a preset is a map of fields", where=where, hint="start with `extends:` and what differs")
    base = data.pop("extends", None)
    return _validate(_merge(_shipped(str(base)), data) if base else data, where=where)


def _shipped(name: str) -> dict[str, object]:
    if name not in preset_names():
        raise NotFoundError(f"no preset {name!r}", hint="one of: " + ", ".join(preset_names()))
    text = resources.files(__package__).joinpath("presets", f"{name}.yaml").read_text(encoding="utf-8")
    data: dict[str, object] = yaml.safe_load(text)
    base = data.pop("extends", None)
    return _merge(_shipped(str(base)), data) if base else data


def _merge(base: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _validate(data: Mapping[str, object], *, where: str) -> Preset:
    try:
        return Preset.model_validate(data)
    except ValidationError as error:
        problems = tuple(
            Problem(f"{where}: {'.'.join(str(part) for part in one['loc'])}", one["msg"]) for one in error.errors()
        )
        raise ConfigError(f"{len(problems)} mistake(s) in a preset", where=where, problems=problems) from error
