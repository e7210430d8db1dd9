"""Run detections over a store, over copies of it with attacks, and over twins with benign changes; keep what they told.

In: a store's file, detections and what replays them, what to plant. Out: `Measured`, from which `cluster_figures` makes
the figures. The store itself is copied first and never opened. Needs disk for two copies, and memory for one shard of
entities and the rows told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ebbtide.detect.detection import Detection, Key
from ebbtide.engine import Evaluation
from ebbtide.errors import NoDataError, UsageError
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Episode, advance
from ebbtide.lab.cluster_ground import Ground, ground_of_store
from ebbtide.lab.cluster_inject import Injection, Plot, fits, plant_round
from ebbtide.lab.cluster_judge import GRACE_NS, Exposure, Told, names
from ebbtide.lab.cluster_negatives import Negative, apply
from ebbtide.lab.cluster_scenarios import Attack
from ebbtide.lab.overlay import copy_store, injected_batches, lay_over
from ebbtide.lab.simulate_plan import INTERVAL_S, Plan
from ebbtide.series import DAY_NS, MINUTE_NS, SECOND_NS, Entity
from ebbtide.store.reading import Grouping
from ebbtide.store.store import Store

#: What runs a detection over [from, to] every so often: `backtest.replay`.
Replay = Callable[[Store, Detection, int, int, int], Iterator[Evaluation]]
#: How far above its line a finding is, in the detection's own unit.
Score = Callable[[Finding], float]
HIGHEST = 1e9
MOST_ROUNDS = 8
_KEYS: tuple[Key, ...] = ("cluster", "namespace", "workload", "process")
#: Told after each step: what is done, in words.
Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Span:
    """Instants: thresholds are set over [calibrate_ns, from_ns), judged is [from_ns, to_ns)."""

    calibrate_ns: int
    from_ns: int
    to_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """What is run: detections (each at its own pace for history, or every `every_ns`), scenarios, rounds, the share of
    entities hit in a round, and the seed of the injections. Rounds None: as many as plant each scenario once, at most
    MOST_ROUNDS.
    """

    detections: tuple[Detection, ...]
    replay: Replay
    scenarios: tuple[Attack, ...] = ()
    negatives: tuple[Negative, ...] = ()
    rounds: int | None = 2
    share: float = 1.0
    seed: int = 1
    every_ns: int | None = None
    score: Score = field(default=lambda finding: score_of(finding))


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """One injection and the rows of its own store that name its entity."""

    injection: Injection
    told: tuple[Told, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Changed:
    """One benign change and what was told with it."""

    negative: Negative
    told: tuple[Told, ...]


@dataclass(slots=True)
class Measured:
    """Everything that was told: of the twin (calibration included), of each injection, of each benign change.

    `exposure` is the judged span's, `calibration` that of the time before. `scored` and `unscored` count what was
    looked at in the twin, by detection. `keys` are the columns by which all detections tell entities apart.
    """

    span: Span
    detections: tuple[str, ...]
    keys: tuple[Key, ...]
    exposure: Exposure
    calibration: Exposure
    twin: list[Told] = field(default_factory=list)
    planted: list[Planted] = field(default_factory=list)
    changed: list[Changed] = field(default_factory=list)
    scored: dict[str, int] = field(default_factory=dict)
    left_out: int = 0


def score_of(finding: Finding) -> float:
    """The largest value over its line among a finding's metrics, at most HIGHEST (a line may be 0)."""
    ratios = [one.value / one.line if one.line > 0 else HIGHEST for one in finding.evidence.metrics]
    return float(min(max(ratios, default=0.0), HIGHEST))


def default_span(store: Store) -> Span:
    """The last third of what is stored is judged, the sixth before it calibrates. Raises NoDataError below a day."""
    known = store.reading.span()
    if known is None or known[1] - known[0] < DAY_NS:
        raise NoDataError(f"{store.path} holds less than a day", hint="evaluate needs days of history")
    first, last = known[0] // DAY_NS * DAY_NS, -(-known[1] // MINUTE_NS) * MINUTE_NS
    from_ns = last - max((last - first) // 3 // DAY_NS * DAY_NS, DAY_NS // 4)
    return Span(from_ns - (last - first) // 6 // DAY_NS * DAY_NS, from_ns, last)


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """What detections told of a store as it is: the rows, and how many pairs were looked at, by detection.

    Findings become episodes as in the service, so that a row knows the finding about a fleet that told it.
    """

    told: list[Told] = field(default_factory=list)
    scored: dict[str, int] = field(default_factory=dict)
    episodes: dict[str, tuple[Episode, ...]] = field(default_factory=dict)

    def add(self, detection: Detection, evaluation: Evaluation, score: Score) -> None:
        """Take the next tick of a detection in."""
        self.scored[detection.id] = self.scored.get(detection.id, 0) + evaluation.scored
        known = self.episodes.get(detection.id, ())
        self.episodes[detection.id] = advance(known, evaluation.findings, evaluation.now_ns).episodes
        alone = {(one.finding.entity, one.finding.last_ns) for one in self.episodes[detection.id]}
        fleets = {
            (member.entity, one.finding.last_ns): one.finding.uid
            for one in self.episodes[detection.id]
            for member in one.finding.evidence.fleet
        }
        for finding in evaluation.findings:
            key = finding.entity, finding.last_ns
            fleet = "" if key in alone else fleets.get(key, "")
            span = finding.opened_ns, finding.end_ns, finding.at_ns
            self.told.append(Told(detection.id, finding.entity, *span, score(finding), fleet))


class Study:
    """Runs one study in a directory of its own."""

    def __init__(self, work: Path, settings: Settings, notify: Notify) -> None:
        self._work, self._settings, self._notify = work, settings, notify

    def run(self, path: Path, span: Span | None = None, heard: Heard | None = None) -> Measured:
        """The twin and every round; `heard` where the store has been judged over the whole span already, and is a copy
        that may be opened. Raises NoDataError, UsageError where there is nothing to judge.
        """
        twin = copy_store(path, self._work / "twin.duckdb") if heard is None else path
        with Store.open(twin, is_new_allowed=False) as store:
            store.roll_up()
            span = span if span is not None else default_span(store)
            ground = ground_of_store(store, span.to_ns)
            measured = self._measure_twin(store, span, heard)
        for number in range(self._rounds(ground, span)):
            self._round(twin, ground, measured, number)
        return measured

    def run_negatives(self, base: Path, plan: Plan, measured: Measured) -> None:
        """Every benign change, laid over a store that holds the plan's traffic up to the judged span."""
        span = measured.span
        first, last = (at // (INTERVAL_S * SECOND_NS) for at in (span.from_ns, span.to_ns))
        for negative in self._settings.negatives:
            copy = copy_store(base, self._work / "changed.duckdb")
            with Store.open(copy, is_new_allowed=False) as store:
                lay_over(store, apply(negative, plan, first, last), negative.name)
                told = tuple(self._heard(store, span.from_ns, span.to_ns).told)
            _remove(copy)
            measured.changed.append(Changed(negative, told))
            self._notify(f"{negative.name}: {len(told)} rows")

    def _rounds(self, ground: Ground, span: Span) -> int:
        settings = self._settings
        if not settings.scenarios:
            return 0
        if settings.rounds is not None:
            return settings.rounds
        possible = [one for one in settings.scenarios if fits(ground, one, Plot(span.from_ns, span.to_ns))]
        hit = max(1, math.ceil(settings.share * len(ground.active(span.from_ns))))
        return max(1, min(MOST_ROUNDS, -(-len(possible) // hit)))

    def _measure_twin(self, store: Store, span: Span, heard: Heard | None) -> Measured:
        if span.from_ns >= span.to_ns:
            raise UsageError("the judged span is empty", hint="give --from and --to within what is stored")
        ids = tuple(one.id for one in self._settings.detections)
        judged = exposure_of(store, span.from_ns, span.to_ns)
        keys = tuple(key for key in _KEYS if all(key in one.by for one in self._settings.detections))
        measured = Measured(span, ids, keys, judged, exposure_of(store, span.calibrate_ns, span.from_ns))
        heard = heard if heard is not None else self._heard(store, span.calibrate_ns, span.to_ns)
        measured.twin, measured.scored = heard.told, heard.scored
        self._notify(f"unmodified: {len(measured.twin)} rows over {judged.entity_days:,.0f} entity-days")
        return measured

    def _round(self, twin: Path, ground: Ground, measured: Measured, number: int) -> None:
        settings, span = self._settings, measured.span
        plot = Plot(span.from_ns, span.to_ns)
        planted = plant_round(ground, settings.scenarios, plot, settings.seed, number, settings.share)
        if not planted:
            return
        copy = copy_store(twin, self._work / "round.duckdb")
        with Store.open(copy, is_new_allowed=False) as store:
            laid = lay_over(store, injected_batches(planted, ground.metrics), f"round {number}")
            measured.left_out += sum(laid.dropped.values())
            told = [row for from_ns, to_ns in self._spans(planted, span)
                    for row in self._heard(store, from_ns, to_ns).told]  # fmt: skip
        _remove(copy)
        for one in planted:
            mine = tuple(row for row in told if names(row.entity, one.event))
            measured.planted.append(Planted(one, mine))
        self._notify(f"round {number + 1}: {len(planted)} attacks")

    def _spans(self, planted: Sequence[Injection], span: Span) -> list[tuple[int, int]]:
        """When ticks must be replayed: while events last, and as long after as a window may still hold them."""
        settings = self._settings
        after = GRACE_NS + max(
            one.window_ns + one.lag_ns + (settings.every_ns or one.history_ns) for one in settings.detections
        )
        spans: list[tuple[int, int]] = []
        for event in sorted((one.event for one in planted), key=lambda one: one.start_ns):
            last = min(event.end_ns + after, span.to_ns)
            if spans and event.start_ns <= spans[-1][1]:
                spans[-1] = spans[-1][0], max(spans[-1][1], last)
            else:
                spans.append((event.start_ns, last))
        return spans

    def _heard(self, store: Store, from_ns: int, to_ns: int) -> Heard:
        heard, settings = Heard(), self._settings
        for detection in settings.detections:
            every_ns = settings.every_ns or detection.history_ns
            for evaluation in settings.replay(store, detection, from_ns + 1, to_ns, every_ns):
                heard.add(detection, evaluation, settings.score)
        return heard


def exposure_of(store: Store, from_ns: int, to_ns: int) -> Exposure:
    """Entity-days over [from_ns, to_ns): known senders of each cluster times the days its source was heard."""
    entities = store.identity.entities
    known = store.reading.span()
    senders = store.reading.senders(known[0], to_ns) if known is not None else np.empty(0, np.int32)
    clusters: dict[str, list[int]] = {}
    for number in senders.tolist():
        clusters.setdefault(entities[number].cluster, []).append(number)
    if not clusters or from_ns >= to_ns:
        return Exposure(from_ns, to_ns, len(senders), 0.0)
    firsts = sorted(numbers[0] for numbers in clusters.values())
    labels: tuple[Entity, ...] = tuple(entities[number] for number in firsts)
    grouping = Grouping(np.array(firsts, np.int32), np.arange(len(firsts)), labels)
    days = 0.0
    for at in range(from_ns, to_ns, DAY_NS):
        metrics = (store.identity.metrics[0],)
        minutes = store.minutes.of(grouping, metrics, at, min(at + DAY_NS, to_ns)).sent
        heard = np.isfinite(minutes[:, 0]).sum(axis=1) / 1440
        days += float(sum(share * len(clusters[one.cluster]) for share, one in zip(heard, labels, strict=True)))
    return Exposure(from_ns, to_ns, len(senders), days)


def _remove(copy: Path) -> None:
    for path in (copy, copy.with_name(copy.name + ".wal")):
        path.unlink(missing_ok=True)
