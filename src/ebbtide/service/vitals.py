"""Gathers `health.Health`: what every part of the running service says of itself, and what an operator should know.

Called from any thread, as often as a page is opened or metrics are read; it changes nothing.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ebbtide.agenda import watermarks
from ebbtide.deliver.sink import SinkSettings
from ebbtide.errors import ServiceError
from ebbtide.finding.text import duration_text
from ebbtide.health import Health, Port, Problem, Severity, SinkHealth, Source, SourceState
from ebbtide.series import DAY_NS, SECOND_NS
from ebbtide.service.rounds import Rounds
from ebbtide.service.sources import state_of
from ebbtide.store.retention import Retention, budget_room, short_ns
from ebbtide.store.store import Store
from ebbtide.store.view import View

#: A round that did not go well for so many intervals makes the service unready.
OVERDUE_TICKS = 5
#: A cluster's clock that is further ahead than this is told.
SKEW_S = 60.0
#: Fewer findings say nothing about a filter's share.
LEAST_FINDINGS = 20


@dataclass(frozen=True, slots=True)
class Figures:
    """What parts beside the clockwork count: `received` points by outcome, `capacity` by name, and what they tell."""

    received: Mapping[str, int] = field(default_factory=dict)
    capacity: Mapping[str, float] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """What one look into the store told; nothing where it cannot be read."""

    sources: tuple[Source, ...] = ()
    sinks: tuple[SinkHealth, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    entities: int = 0
    series: int = 0
    held_bytes: int = 0
    kept_ns: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Vitals:
    """Where health is read from. `figures` asks the receivers, `filter_share` is what a filter may hide."""

    store: Store
    rounds: Rounds
    sinks: Mapping[str, SinkSettings]
    tick_ns: int
    figures: Callable[[], Figures] = Figures
    filter_share: float = 0.5

    def gather(self, now_ns: int) -> Health:
        """Everything as of `now_ns`."""
        try:
            known = self._read(now_ns)
        except ServiceError as error:
            known = _Read(problems=[_unreadable(error)])
        figures = self.figures()
        detections = tuple(self.rounds.clockwork.judged[id] for id in sorted(self.rounds.clockwork.judged))
        capacity = {
            "entities": float(known.entities),
            "series": float(known.series),
            "dirty_hours": float(self.store.dirty_hours),
            **_disk(self.store.path, known.held_bytes, self.rounds.retention),
            **{f"history_kept_{table}_s": kept / SECOND_NS for table, kept in known.kept_ns.items()},
            **{f"history_short_{table}_s": short / SECOND_NS for table, short in self._short(known).items()},
            **{f"clockwork_{name}": float(count) for name, count in sorted(self.rounds.clockwork.counts.items())},
            **{f"retention_dropped_{name}": float(count) for name, count in sorted(self.rounds.dropped.items())},
            **figures.capacity,
        }
        problems = [
            *self._clockwork(now_ns),
            *_of_sources(known.sources),
            *_of_sinks(known.sinks),
            *known.problems,
            *_of_history(self._short(known), known.kept_ns),
            *figures.problems,
            *_of_figures(figures.received, capacity),
        ]
        order = [Severity.CRITICAL, Severity.WARNING, Severity.NOTE]
        problems.sort(key=lambda one: order.index(one.severity))
        return Health(
            now_ns,
            self.rounds.started_ns,
            known.sources,
            detections,
            known.sinks,
            figures.received,
            capacity,
            tuple(problems),
            figures.ports,
        )

    def _read(self, now_ns: int) -> _Read:
        """What the store knows. Raises ServiceError while it cannot be opened."""
        with self.store.lock:
            view = self.store.view()
            newest, first = self.store.arrivals.newest(), self.store.arrivals.first()
            series = self.store.identity.series_count
        with view:
            return _Read(
                self._sources(view, newest, first, now_ns),
                tuple(self._sinks(view)),
                [*self._changed_intervals(view, now_ns), *self._hiding(view, now_ns)],
                len(view.identity.entities),
                series,
                view.held_bytes,
                view.kept_ns(now_ns),
            )

    def is_ready(self, now_ns: int) -> bool:
        """Whether rounds go well: cheap, for a probe.

        After a step of the clock, forwards or back, it is so again from the next round on. Commits that fail do not
        make it unready: where nothing is sent to what is unready, none could succeed again.
        """
        return abs(now_ns - self.rounds.succeeded_ns) <= OVERDUE_TICKS * self.tick_ns

    def trouble(self) -> str:
        """What a probe tells beside "ready", cheap; "" where nothing stands in the way of what arrives."""
        failing = self.figures().capacity.get("commits_failing", 0)
        return f"nothing that arrives can be stored: {failing:.0f} commits in a row have failed" if failing else ""

    def _sources(
        self, view: View, newest: Mapping[str, int], first: Mapping[str, int], now_ns: int
    ) -> tuple[Source, ...]:
        pace = self.rounds.clockwork.pace
        marks = watermarks(newest, now_ns, pace)
        intervals, gaps = view.reading.intervals_s(now_ns), view.coverage.gap_minutes(now_ns - DAY_NS, now_ns)
        entities = Counter(one.cluster for one in list(view.identity.entities))
        return tuple(
            Source(
                cluster,
                state_of(seen, first.get(cluster), now_ns, pace),
                newest.get(cluster, 0),
                marks.get(cluster, 0),
                intervals.get(cluster, 0),
                gaps.get(cluster, 0),
                seen.skew_s,
                entities[cluster],
            )
            for cluster, seen in self.rounds.sightings.all().items()
        )

    def _sinks(self, view: View) -> Iterator[SinkHealth]:
        for name in sorted({*self.sinks, *view.outbox.sinks()}):
            state, counts = view.outbox.state(name), view.outbox.counts(name)
            settings = self.sinks.get(name)
            kind = "not configured" if settings is None else settings.kind
            every_s = 0.0 if settings is None else (settings.heartbeat or 0) / SECOND_NS
            accepted_ns = view.outbox.heartbeat(name).accepted_ns
            yield SinkHealth(
                name, kind, counts["delivered"], state.waiting, state.dead, state.error, accepted_ns, every_s
            )

    def _clockwork(self, now_ns: int) -> Iterator[Problem]:
        rounds = self.rounds
        if not self.is_ready(now_ns):
            behind = (now_ns - rounds.succeeded_ns) // SECOND_NS
            yield Problem(
                Severity.CRITICAL, f"Nothing was judged for {behind} s: {rounds.error or 'a tick is still running'}",
                "see the log; is the disk full, or the machine too small?",
            )  # fmt: skip
        for one in rounds.clockwork.judged.values():
            if one.error:
                yield Problem(
                    Severity.WARNING, f"The detection {one.detection} fails: {one.error}",
                    "it is tried again at each tick; what is missed is caught up once it works",
                )  # fmt: skip
        if old := rounds.clockwork.counts["too_old_hours"]:
            yield Problem(
                Severity.WARNING, f"{old} hours changed when they were too old to be judged again",
                "is a collector delayed, or was data of the past imported?",
            )  # fmt: skip
        if rounds.backups is not None and rounds.backups.error:
            yield Problem(
                Severity.WARNING, f"The last backup failed: {rounds.backups.error}", "it is tried again every hour"
            )  # fmt: skip

    def _short(self, known: _Read) -> dict[str, int]:
        """What the disk budget took of what detections look back over; nothing without a budget."""
        rounds = self.rounds
        return (
            {}
            if rounds.retention.disk_budget_bytes is None
            else short_ns(known.kept_ns, rounds.dropped, rounds.retention)
        )

    def _changed_intervals(self, view: View, now_ns: int) -> list[Problem]:
        before, after = view.reading.intervals_s(now_ns - DAY_NS), view.reading.intervals_s(now_ns)
        return [
            Problem(
                Severity.NOTE, f"Cluster {cluster} reports every {after[cluster]} s, before every {before[cluster]} s",
                "baselines of rates hold; those of counts per sample learn anew",
            )
            for cluster in sorted(before.keys() & after.keys())
            if before[cluster] != after[cluster]
        ]  # fmt: skip

    def _hiding(self, view: View, now_ns: int) -> list[Problem]:
        shares = hiding_shares(view.findings.marks(now_ns - 30 * DAY_NS))
        return [
            Problem(
                Severity.NOTE, f"The filter {name} hides {share:.0%} of the findings of 30 days",
                "would a narrower matcher do?",
            )
            for name, share in sorted(shares.items())
            if share > self.filter_share
        ]  # fmt: skip


def _disk(path: Path | None, held_bytes: int, policy: Retention) -> dict[str, float]:
    """The store's file, how much of it holds data, what the budget leaves for data, and the disk's own room."""
    found = {"file_bytes": 0.0, "held_bytes": float(held_bytes)}
    if policy.disk_budget_bytes is not None:
        found["budget_bytes"] = float(budget_room(policy.disk_budget_bytes))
    if path is not None and path.exists():
        disk = shutil.disk_usage(path)
        size = float(path.stat().st_size)
        found |= {"file_bytes": size, "disk_free_bytes": float(disk.free), "disk_size_bytes": float(disk.total)}
    return found


def _unreadable(error: ServiceError) -> Problem:
    return Problem(Severity.CRITICAL, f"The store cannot be read: {error.message}", error.hint)


def hiding_shares(marks: list[tuple[str, ...]]) -> dict[str, float]:
    """By filter, the share of findings it hides; none where there are too few to tell."""
    if len(marks) < LEAST_FINDINGS:
        return {}
    hidden = Counter(name for mark in marks for name in mark)
    return {name: count / len(marks) for name, count in hidden.items()}


def _of_sources(sources: tuple[Source, ...]) -> Iterator[Problem]:
    for one in sources:
        if one.state is SourceState.SILENT:
            yield Problem(
                Severity.WARNING, f"Nothing arrives from cluster {one.cluster}: what it sends is not watched",
                "does its collector run, and can it reach the receivers?",
            )  # fmt: skip
        elif one.state is SourceState.LATE:
            yield Problem(
                Severity.WARNING, f"The data of cluster {one.cluster} come late, and are judged late",
                "look at the collector's queue; a longer `lateness` waits for all clusters' data",
            )  # fmt: skip
        if one.skew_s > SKEW_S:
            yield Problem(
                Severity.WARNING, f"The clock of cluster {one.cluster} is {one.skew_s:.0f} s ahead", "check its NTP"
            )  # fmt: skip


def _of_sinks(sinks: tuple[SinkHealth, ...]) -> Iterator[Problem]:
    for one in sinks:
        if one.waiting and one.error:
            yield Problem(
                Severity.WARNING, f"The sink {one.name} fails, {one.waiting} deliveries wait: {one.error}",
                f"try it with: ebbtide sinks test {one.name}",
            )  # fmt: skip
        if one.dead:
            yield Problem(
                Severity.WARNING, f"{one.dead} deliveries to the sink {one.name} were given up",
                f"list them with: ebbtide sinks dead; queue them with: ebbtide sinks replay --sink {one.name}",
            )  # fmt: skip


def _of_history(short: Mapping[str, int], kept: Mapping[str, int]) -> Iterator[Problem]:
    """What the budget gave up is told where detections miss it; the rest is what a budget is for."""
    for table, lacking in short.items():
        if lacking:
            yield Problem(
                Severity.WARNING, f"The disk budget leaves {duration_text(kept.get(table, 0))} of {table}; detections "
                f"look back {duration_text(lacking)} further", "raise store.disk_budget, or watch fewer entities",
            )  # fmt: skip


def _of_figures(received: Mapping[str, int], capacity: Mapping[str, float]) -> Iterator[Problem]:
    if failing := capacity.get("commits_failing", 0):
        yield Problem(
            Severity.CRITICAL, f"Nothing that arrives can be stored: {failing:.0f} commits in a row have failed",
            "is the disk full or read-only? senders are told to come again",
        )  # fmt: skip
    if step_s := capacity.get("clock_step_s", 0):
        yield Problem(
            Severity.WARNING, f"The clock of this machine has jumped by {step_s:+.0f} s, and is not followed",
            "check its NTP; it is followed once data arrive that end near its time, or none for an hour",
        )  # fmt: skip
    if late := received.get("dropped_too_late", 0):
        yield Problem(
            Severity.WARNING, f"{late} samples came more than a day late and were dropped",
            "is a collector delayed? delaying it must not be a way to hide",
        )  # fmt: skip
    if any(name.startswith(("guard_folded", "guard_dropped")) and count for name, count in capacity.items()):
        yield Problem(
            Severity.WARNING, "More names arrive than the caps allow: some are counted as (other)",
            "see which in the metrics ebbtide_capacity; raise `guard` if they are real",
        )  # fmt: skip
