"""The settings of the service: one YAML file over defaults; secrets come from the environment or from files.

Text comes in, a `Config` goes out, or one ConfigError with every mistake, its line and a hint: a service that starts
with a misspelt key would watch something else than its operator believes. What other rooms are told (receivers, web)
is checked with their own models, given as `slots`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from ebbtide.agenda import Pace
from ebbtide.budget import Budget, with_budget
from ebbtide.deliver.secret import fill
from ebbtide.deliver.sink import SinkSettings
from ebbtide.deliver.sinks import LARGEST_SETTINGS_BYTES, read_sinks
from ebbtide.detect.catalogue import Catalogue, load, read_directory
from ebbtide.detect.detection import Detection, Detectors, Duration, Percent
from ebbtide.document import Document, Refused, YamlPath, read, suggest, translate
from ebbtide.errors import ConfigError, EbbtideError, Problem
from ebbtide.guard import Caps
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store.retention import BUDGET_LEAST_BYTES, Retention

_SIZES = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def parse_size(text: object) -> int:
    """Bytes of a size such as `512MiB`. Raises ValueError for anything else; a bare number has no unit.

    >>> parse_size("2GiB")
    2147483648
    """
    match = re.fullmatch(r"([0-9]{1,6}) ?(KiB|MiB|GiB|TiB)", text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is not a size; write a whole number and a unit, such as 512MiB or 20GiB")
    return int(match[1]) * _SIZES[match[2]]


Size: TypeAlias = Annotated[int, BeforeValidator(parse_size)]


def _is_budget(size: int) -> int:
    if size < BUDGET_LEAST_BYTES:
        raise ValueError(f"a disk budget is at least {BUDGET_LEAST_BYTES >> 20}MiB")
    return size


Positive: TypeAlias = Annotated[Duration, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Retain(_Part):
    """How long each table reaches back."""

    samples: Positive = 26 * HOUR_NS
    """Samples: evidence and corrections; at least 26h, since data may be 24 h late."""

    edges: Positive = 35 * DAY_NS
    """Who talked to whom by hour."""

    hours: Positive = 35 * DAY_NS
    """Hourly summaries: the 30-day baseline and some slack."""

    days: Positive = 100 * DAY_NS
    """Daily summaries."""

    @field_validator("samples")
    @classmethod
    def _reaches_the_late(cls, samples: int) -> int:
        if samples < 26 * HOUR_NS:
            raise ValueError("late data of a day could not be judged any more; write at least 26h")
        return samples


class StoreSettings(_Part):
    """Where everything is kept, and what it may take."""

    path: Path = Path("ebbtide.duckdb")
    """The store's file."""

    memory: Annotated[Size, Field(ge=128 << 20)] = 1 << 30
    """Memory of the database; the process takes about half as much again."""

    threads: Annotated[int, Field(ge=1, le=64)] = 2
    """Threads of the database."""

    disk_budget: Annotated[Size, AfterValidator(_is_budget)] | None = None
    """The most the file may take; none: no bound. What is given up first stands in docs/operations.md."""

    retain: Retain = Retain()

    @property
    def retention(self) -> Retention:
        """What the store is told."""
        keep = self.retain
        return Retention(
            samples_ns=keep.samples,
            edges_ns=keep.edges,
            hours_ns=keep.hours,
            days_ns=keep.days,
            disk_budget_bytes=self.disk_budget,
        )


class Override(_Part):
    """What an installation sees otherwise than a detection's file; what is left out stays."""

    every: Positive | None = None
    lag: Annotated[Duration, Field(ge=0)] | None = None
    impact: Percent | None = None
    confidence: Percent | None = None
    options: dict[str, object] = Field(default_factory=dict)
    """Options of its detector, over those of the file."""


class DetectionSettings(_Part):
    """Which detections run."""

    directories: tuple[Path, ...] = ()
    """Directories with detections of your own."""

    enabled: tuple[str, ...] | None = None
    """Ids that run; left out: all that are not deprecated, and not part of another one that runs."""

    disabled: tuple[str, ...] = ()
    """Ids that do not; without `joined` its parts `outbound` and `novelty` run each by itself."""

    overrides: dict[str, Override] = Field(default_factory=dict)
    """By id, what is otherwise than in its file."""


class BudgetSettings(_Part):
    """How many findings are acceptable, all default detections together; what is left out is the detections' own."""

    per_1000_entity_days: Annotated[float, Field(gt=0, le=400, allow_inf_nan=False)] | None = None
    """False findings per 1000 entity-days; the detection that ships says 10."""

    per_day: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    """The same as findings a day of the whole installation; the lower of the two counts. As shipped 10."""

    novelty_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of both, the share for what is new; what is unusual in amount has the rest. As shipped 0.1."""

    per_entity_day: Annotated[int, Field(ge=1)] | None = None
    """So many findings of one entity are told a day, later ones only if they are surer. As shipped 1."""

    @property
    def budget(self) -> Budget:
        """What the detections are told."""
        return Budget(self.per_1000_entity_days, self.per_day, self.novelty_share, self.per_entity_day)


class BackupSettings(_Part):
    """Copies of the store that the running service makes."""

    directory: Path | None = None
    """Where to; none: no backups. Another disk than the store's."""

    every: Positive = DAY_NS
    """How old the newest may become."""

    keep: Annotated[int, Field(ge=1)] = 7
    """How many are kept."""


class LogSettings(_Part):
    """What the service says on stderr: one JSON object a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(_Part):
    """The plain part of the file: all but sinks, receivers and web, which other rooms check."""

    store: StoreSettings = StoreSettings()
    lateness: Positive = 2 * MINUTE_NS
    """Samples that end so long before the newest of their cluster are still in time."""

    silence: Positive = 15 * MINUTE_NS
    """A cluster that was not heard for so long (beyond the lateness) is silent: a problem, and told to the sinks."""

    tick: Positive = 15 * SECOND_NS
    """How often is looked whether a detection is due."""

    detections: DetectionSettings = DetectionSettings()
    budget: BudgetSettings = BudgetSettings()
    clusters: tuple[str, ...] = ()
    """Clusters that are expected: one that was never heard is silent, not absent."""

    guard: Caps = Caps()
    link: Annotated[str, Field(pattern=r"^(https?://\S*\{uid\}\S*)?$")] = ""
    """The page of a finding, with `{uid}` where its uid goes; messages carry it. "": the page of this service."""

    filter_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """A filter that hides more than this share of the findings is warned about."""

    backup: BackupSettings = BackupSettings()
    log: LogSettings = LogSettings()


class Config:
    """Everything the file says, checked. `slots` are the sections of other rooms, by name, by their own models."""

    def __init__(self, settings: Settings, sinks: Mapping[str, SinkSettings], slots: Mapping[str, BaseModel]) -> None:
        self.settings = settings
        self.sinks = dict(sinks)
        self.slots = dict(slots)

    @property
    def pace(self) -> Pace:
        """How the clockwork waits."""
        return Pace(lateness_ns=self.settings.lateness, silence_ns=self.settings.silence)


#: Sections that other rooms check, with their models.
Slots: TypeAlias = Mapping[str, type[BaseModel]]


def load_config(
    text: str, where: str, environ: Mapping[str, str], read_secret: Callable[[str], str], slots: Slots
) -> Config:
    """The settings of a file; `where` is its name. Raises ConfigError with every mistake."""
    try:
        document = read(where, text, largest_bytes=LARGEST_SETTINGS_BYTES)
    except Refused as refused:
        raise _mistakes(where, [refused.problem]) from None
    value = document.value if document.value is not None else {}
    if not isinstance(value, dict):
        raise _mistakes(where, [Problem(f"{where}:1", "the settings have no keys", "start with `store:`")])
    problems = list(document.twins)
    sinks, wrong = read_sinks(document, environ, read_secret)
    problems += wrong
    filling = _Filling(document, environ, read_secret)
    rest = {str(key): filling.fill(one, (str(key),)) for key, one in value.items() if key != "sinks"}
    problems += filling.problems
    found: dict[str, BaseModel] = {}
    for name, model in slots.items():
        try:
            found[name] = model.model_validate(rest.pop(name, None) or {})
        except ValidationError as error:
            problems += translate(error, model, document, (name,), (name,))
    settings = Settings()
    try:
        settings = Settings.model_validate({key: one for key, one in rest.items() if one is not None})
    except ValidationError as error:
        problems += _with_all_keys(translate(error, Settings, document), rest, slots)
    if problems:
        raise _mistakes(where, problems)
    return Config(settings, sinks, found)


def _with_all_keys(problems: list[Problem], rest: Mapping[str, object], slots: Slots) -> list[Problem]:
    """Hints for unknown keys at the top, with the sections of other rooms among what is known."""
    known = [*Settings.model_fields, "sinks", *slots]
    hints = {f"unknown key `{key}`": suggest(key, known) or f"known are {', '.join(sorted(known))}" for key in rest}
    return [Problem(one.where, one.message, hints.get(one.message, one.hint)) for one in problems]


class _Filling:
    """References to secrets, filled wherever they stand; what cannot be filled is a problem."""

    def __init__(self, document: Document, environ: Mapping[str, str], read_secret: Callable[[str], str]) -> None:
        self._document, self._environ, self._read = document, environ, read_secret
        self.problems: list[Problem] = []

    def fill(self, value: object, place: YamlPath) -> object:
        if isinstance(value, dict):
            return {str(key): self.fill(inner, (*place, str(key))) for key, inner in value.items()}
        if isinstance(value, list):
            return [self.fill(inner, (*place, at)) for at, inner in enumerate(value)]
        if not isinstance(value, str):
            return value
        try:
            return fill(value, self._environ, self._read)
        except ValueError as error:
            self.problems.append(Problem(self._document.where(place), f"`{place[-1]}`: {error}"))
            return ""


def _mistakes(where: str, problems: list[Problem]) -> ConfigError:
    count = len(problems)
    message = f"{count} mistake{'s' if count != 1 else ''} in {where}"
    return ConfigError(message, hint="see docs/operations.md for every key", problems=tuple(problems))


def catalogue_of(settings: Settings, detectors: Detectors) -> Catalogue:
    """The shipped detections and those of the directories, under the one budget. At the border: it reads directories.

    Raises ConfigError.
    """
    chosen = settings.detections
    known = load(detectors, [file for one in chosen.directories for file in read_directory(one)])
    running = known.by_default(chosen.disabled) if chosen.enabled is None else chosen.enabled
    return with_budget(known, [id for id in running if id not in chosen.disabled], settings.budget.budget)


def detections_of(settings: DetectionSettings, catalogue: Catalogue, detectors: Detectors) -> list[Detection]:
    """The detections that run, with their overrides. Raises ConfigError with every id and option that is wrong."""
    known = catalogue.detections
    problems = [
        Problem(
            f"detections.{key}", f"there is no detection {id!r}", suggest(id, known) or f"known are {', '.join(known)}"
        )
        for key, ids in (
            ("enabled", settings.enabled or ()),
            ("disabled", settings.disabled),
            ("overrides", tuple(settings.overrides)),
        )
        for id in ids
        if id not in known
    ]
    chosen = settings.enabled
    if chosen is None:
        chosen = catalogue.by_default(settings.disabled)
    problems += [
        Problem(
            f"detections.overrides.{id}",
            f"{id!r} does not run by itself: it is part of {known[id].part_of!r}",
            f"override {known[id].part_of!r}, or disable that one",
        )
        for id in settings.overrides
        if id in known and known[id].part_of in chosen and id not in chosen
    ]
    found = []
    for id in chosen:
        if id in known and id not in settings.disabled:
            try:
                found.append(_overridden(known[id], settings.overrides.get(id), detectors))
            except (ValidationError, EbbtideError) as error:
                said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
                problems.append(Problem(f"detections.overrides.{id}", said))
    if problems:
        raise ConfigError("the detections cannot run as they are set", problems=tuple(problems))
    return found


def _overridden(detection: Detection, change: Override | None, detectors: Detectors) -> Detection:
    if change is None:
        return detection
    options = detectors[detection.detector].options.model_validate({**detection.options, **change.options})
    risk = {"impact": change.impact, "confidence": change.confidence}
    update: dict[str, object] = {
        "every_ns": change.every or detection.every_ns,
        "lag_ns": detection.lag_ns if change.lag is None else change.lag,
        "options": options.model_dump(mode="json"),
        "risk": detection.risk.model_copy(update={key: one for key, one in risk.items() if one is not None}),
    }
    return detection.model_copy(update=update)


EXAMPLE = """\
# Settings of `ebbtide serve`. Every key may be left out; what stands here are the defaults, unless it says otherwise.
store:
  path: ebbtide.duckdb
  memory: 1GiB
  threads: 2
  disk_budget: 20GiB          # default: no bound
  retain: {samples: 26h, edges: 35d, hours: 35d, days: 100d}
lateness: 2m                  # samples may arrive so late and still be judged in time
silence: 15m                  # a cluster not heard for so long beyond that is a problem of its own
tick: 15s
clusters: [prod]              # default: none is expected
detections:
  directories: []
  disabled: []
  overrides:                  # default: none
    outbound_network_activity_from_process_corrected: {every: 10m, options: {k: 4}}
budget: {per_1000_entity_days: 10, per_day: 10, novelty_share: 0.1, per_entity_day: 1}
guard: {clusters: 100, entities: 20000, series: 500000, destinations: 1000, share: 0.1, idle: 1h}
sinks:                        # default: none; see docs/sinks.md
  log: {type: lines, path: "-"}
receivers:                    # default: none; see docs/receivers.md
  otlp_http: {address: "127.0.0.1:4318", cluster: prod}
web: {address: "127.0.0.1:8765"}
filter_share: 0.5
backup: {directory: backups, every: 1d, keep: 7}   # default: none
log: {level: info}
"""
