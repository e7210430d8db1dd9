"""One tick of the live service: what is due is judged and kept, with what follows from it, or nothing changes.

No thread, no clock: time is an argument. A tick calls the same `engine.evaluate` as `detect` and `backtest`, at the
same instants, so the same data give the same findings whenever ticks happen, in whatever order data arrive within the
lateness, and however often the process is started anew. Findings, risk, messages and progress are one transaction.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass, field

from ebbtide.agenda import Due, Pace, due, due_again, too_old, watermarks
from ebbtide.deliver.message import queue
from ebbtide.deliver.sink import SinkSettings
from ebbtide.detect.detection import Detection, Detectors
from ebbtide.engine import SHARD, Evaluation, evaluate
from ebbtide.errors import EbbtideError, ServiceError
from ebbtide.finding.lifecycle import FORGET_AFTER_NS, Change, Episode, advance
from ebbtide.health import Judged
from ebbtide.incidents import contributions_of, weigh
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, MINUTE_NS
from ebbtide.store.outbox import Bounds
from ebbtide.store.progress import TOGETHER, Late, Reach
from ebbtide.store.store import Store
from ebbtide.triage import filtered, lapse

#: Late hours are judged once more no more often than this.
LATE_EVERY_NS = 10 * MINUTE_NS


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where changes are queued for: the sinks by name, what each may hold, and a finding's page (`{uid}`)."""

    sinks: Mapping[str, SinkSettings] = field(default_factory=dict)
    bounds: Bounds = field(default_factory=Bounds)
    link: str = ""


@dataclass(slots=True)
class Ticked:
    """What one call did. `failed` tells, by detection, why it could not be judged: it is tried again.

    `superseded` are detections whose result was thrown away because the names were read back meanwhile.
    `late` is how many hours were judged once more, `too_old` how many lay too far back for that. `is_behind`: more is
    due than was done at once.
    """

    now_ns: int
    evaluations: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    failed: dict[str, str] = field(default_factory=dict)
    superseded: set[str] = field(default_factory=set)
    late: int = 0
    too_old: int = 0
    is_behind: bool = False


class Superseded(ServiceError):
    """The names were read back while an evaluation ran: its result may mean others, so it is made again."""


def _no_time() -> float:
    return 0.0


def _never() -> bool:
    return False


class Clockwork:
    """Judges what is due, for one store; used from one thread. `judged` and `counts` tell how it fares.

    `timer` measures evaluations, in seconds; where `is_stopping` says so, a tick ends after the evaluation under way.

    What it keeps in memory can be lost at any time: all that matters is in the store.
    """

    def __init__(
        self,
        store: Store,
        detections: Iterable[Detection],
        *,
        detectors: Detectors = DETECTORS,
        pace: Pace | None = None,
        outlet: Outlet | None = None,
        shard_entities: int = SHARD,
        timer: Callable[[], float] = _no_time,
        is_stopping: Callable[[], bool] = _never,
    ) -> None:
        self.detections = tuple(detections)
        self.pace = pace or Pace()
        self.outlet = outlet or Outlet()
        self.judged: dict[str, Judged] = {}
        self.counts: Counter[str] = Counter()
        self._store = store
        self._detectors = detectors
        self._shard_entities = shard_entities
        self._timer = timer
        self._is_stopping = is_stopping
        self._late_at_ns: int | None = None
        self._filters_at_ns: int | None = None
        self._rolled_hour = 0

    def tick(self, now_ns: int) -> Ticked:
        """Judge what is due at `now_ns`. What fails is told, leaves everything as it was and is due again.

        Raises ServiceError where the store cannot be read or rolled up.
        """
        ticked = Ticked(now_ns)
        with self._store.lock:
            newest, first = self._store.arrivals.newest(), self._store.arrivals.first()
            reached = self._store.progress.reached()
            late = self._store.progress.late()
        steps, ticked.is_behind = due(self.detections, newest, first, reached, now_ns, self.pace)
        # No further than data have arrived (an hour that a lag looks ahead to would be derived twice), and as soon as
        # they have, though no detection is due: coverage and baselines are shown by the hour. After a long stop no
        # further than is judged in this tick, so that none takes long.
        until_ns = max(watermarks(newest, now_ns, self.pace).values(), default=0)
        if ticked.is_behind:
            until_ns = min(until_ns, max(step.at_ns for step in steps))
        if steps or until_ns // HOUR_NS != self._rolled_hour:
            self._store.roll_up(until_ns)
            self._rolled_hour = until_ns // HOUR_NS
        self._run(steps, ticked, is_late=False)
        if late.hours and (self._late_at_ns is None or now_ns - self._late_at_ns >= LATE_EVERY_NS):
            self._late_at_ns = now_ns
            self._judge_again(late, newest, ticked)
        self._end_of_the_silent(newest, now_ns, ticked)
        self._end_of_filters(now_ns, ticked)
        return ticked

    def _run(self, steps: Iterable[Due], ticked: Ticked, *, is_late: bool) -> None:
        for step in steps:
            if self._is_stopping():
                ticked.is_behind = True
                return
            if step.detection.id in ticked.failed or step.detection.id in ticked.superseded:
                continue
            try:
                self._judge(step, ticked, is_late=is_late)
            except Superseded:
                ticked.superseded.add(step.detection.id)
                ticked.is_behind = True
            except Exception as error:  # noqa: BLE001  a detector may be a plug-in; its fault must not stop the others
                told = str(error) if isinstance(error, EbbtideError) else f"{type(error).__name__}: {error}"
                ticked.failed[step.detection.id] = told
                self.counts["failed_evaluations"] += 1
                self._note_failure(step, told)

    def _judge(self, step: Due, ticked: Ticked, *, is_late: bool) -> None:
        began = self._timer()
        with self._store.lock:
            self._store.arrivals.judging(dict.fromkeys(step.clusters, step.data_ns))
            generation, view = self._store.generation, self._store.view()
        with view:
            evaluation = evaluate(
                view,
                step.detection,
                step.at_ns,
                detectors=self._detectors,
                shard_entities=self._shard_entities,
                clusters=None if step.clusters == (TOGETHER,) else frozenset(step.clusters),
            )
        if is_late:
            evaluation.findings = [dataclasses.replace(one, is_late=True) for one in evaluation.findings]
        changes = self._keep(step, evaluation, generation, ticked.now_ns, is_late=is_late)
        ticked.evaluations += 1
        ticked.changes.update(change.value for change, _ in changes)
        self.counts["evaluations"] += 1
        if not is_late:
            self._note(step, evaluation, self._timer() - began)

    def _keep(
        self, step: Due, evaluation: Evaluation, generation: int, now_ns: int, *, is_late: bool
    ) -> list[tuple[Change, Episode]]:
        """Everything that follows from one evaluation, in one transaction."""
        store, detection = self._store, step.detection
        with store.lock:
            if store.generation != generation:
                raise Superseded("the names were read back meanwhile; this instant is judged again")
            with store.transaction():
                since_ns = step.at_ns - detection.every_ns - FORGET_AFTER_NS
                known = store.findings.current(since_ns, detection.id)
                if step.clusters != (TOGETHER,):
                    known = [one for one in known if one.finding.entity.cluster in step.clusters]
                taken = advance(known, evaluation.findings, step.at_ns)
                changes = self._tell(taken.changes, now_ns, known)
                self._weigh(step, evaluation, changes, known, now_ns)
                if not is_late:
                    store.progress.save(detection.id, step.clusters, Reach(step.at_ns, step.data_ns))
        return changes

    def _tell(
        self, changes: Iterable[tuple[Change, Episode]], now_ns: int, known: Iterable[Episode] = ()
    ) -> list[tuple[Change, Episode]]:
        """Keep changed episodes with the marks of today's filters, and queue what is to be told.

        One of the `known` that filters hid until this update opens with it, for whoever is told.
        """
        hidden = {one.finding.uid for one in known if one.finding.is_hidden}
        told = list(changes)
        last = {episode.finding.uid: episode for _, episode in told}
        marked = {one.uid: one.hidden_by for one in filtered(self._store, [e.finding for e in last.values()], now_ns)}
        told = [(change, _marked(episode, marked[episode.finding.uid])) for change, episode in told]
        told = [
            (Change.OPENED if change is Change.UPDATED and _is_shown_again(one, hidden) else change, one)
            for change, one in told
        ]
        self._store.findings.save_all(episode for _, episode in told)
        queue(self._store.outbox, told, self.outlet.sinks, now_ns, self.outlet.link, self.outlet.bounds)
        return told

    def _weigh(
        self,
        step: Due,
        evaluation: Evaluation,
        changes: list[tuple[Change, Episode]],
        known: list[Episode],
        now_ns: int,
    ) -> None:
        """Add the risk of findings, and queue what becomes of incidents."""
        today = [*known, *(episode for _, episode in changes)]
        added = contributions_of(step.detection, evaluation.findings, changes, today)
        clusters = None if step.clusters == (TOGETHER,) else step.clusters
        notices = weigh(self._store, added, step.at_ns, clusters)
        told = [(change, Episode(one.record, one.record.count, one.closed_ns)) for change, one in notices]
        queue(self._store.outbox, told, self.outlet.sinks, now_ns, self.outlet.link, self.outlet.bounds)
        self.counts.update(f"incidents_{change.value}" for change, _ in notices)

    def _judge_again(self, late: Late, newest: Mapping[str, int], ticked: Ticked) -> None:
        """Judge hours that changed after they were judged, once more, those that are not too old for it."""
        old = too_old(late.hours, newest, self.pace)
        again = sorted(set(late.hours) - set(old))
        with self._store.lock:
            # What comes from here on is noted anew, so that it is not settled with these.
            self._store.arrivals.forget_late()
            reached = self._store.progress.reached()
        if again:
            self._store.roll_up((max(one.hour for one in again) + 1) * HOUR_NS)
        self._run(due_again(self.detections, again, reached), ticked, is_late=True)
        if not ticked.failed and not ticked.superseded and not self._is_stopping():
            with self._store.transaction():
                self._store.progress.settle(late)
        ticked.late, ticked.too_old = len(again), len(old)
        self.counts.update(late_hours=len(again), too_old_hours=len(old))

    def _end_of_the_silent(self, newest: Mapping[str, int], now_ns: int, ticked: Ticked) -> None:
        """Episodes of clusters silent for so long that nothing of that time is taken any more end with it."""
        gone = {cluster for cluster, end_ns in newest.items() if end_ns < now_ns - self.pace.late_ns}
        if not gone:
            return
        with self._store.transaction():
            known = self._store.findings.current(now_ns)
            open_ones = [one for one in known if one.closed_ns is None and one.finding.entity.cluster in gone]
            changes = self._tell(advance(open_ones, (), now_ns - self.pace.late_ns).changes, now_ns)
        ticked.changes.update(change.value for change, _ in changes)

    def _end_of_filters(self, now_ns: int, ticked: Ticked) -> None:
        """What only filters hid that have ended since the last look is shown again, and told where it goes on."""
        since_ns, self._filters_at_ns = self._filters_at_ns, now_ns
        with self._store.transaction():
            ends = [one.expires_ns for one in self._store.filters.all() if one.expires_ns is not None]
            if not any(end_ns <= now_ns and (since_ns is None or since_ns < end_ns) for end_ns in ends):
                return
            going_on = [(Change.OPENED, one) for one in lapse(self._store, now_ns) if one.closed_ns is None]
            queue(self._store.outbox, going_on, self.outlet.sinks, now_ns, self.outlet.link, self.outlet.bounds)
        ticked.changes.update(change.value for change, _ in going_on)

    def _note(self, step: Due, evaluation: Evaluation, took_s: float) -> None:
        """Remember what a detection looked at last; clusters that are judged apart at one instant count together."""
        before = self.judged.get(step.detection.id)
        unscored = Counter(evaluation.unscored)
        entities, scored, found = evaluation.entities, evaluation.scored, len(evaluation.findings)
        if before is not None and before.judged_until_ns == step.at_ns and not before.error:
            unscored.update(before.unscored)
            entities, scored = entities + before.entities, scored + before.scored
            found, took_s = found + before.findings, took_s + before.took_s
        if evaluation.missing:
            unscored["missing_column"] += evaluation.missing
        self.judged[step.detection.id] = Judged(
            step.detection.id, step.at_ns, step.at_ns, took_s, entities, scored, dict(unscored), found
        )

    def _note_failure(self, step: Due, error: str) -> None:
        before = self.judged.get(step.detection.id)
        if before is None:
            before = Judged(step.detection.id, 0, step.at_ns, 0.0, 0, 0)
        self.judged[step.detection.id] = dataclasses.replace(before, tick_ns=step.at_ns, error=error)


def _is_shown_again(episode: Episode, hidden: Set[str]) -> bool:
    return episode.finding.uid in hidden and not episode.finding.is_hidden


def _marked(episode: Episode, hidden_by: tuple[str, ...]) -> Episode:
    return dataclasses.replace(episode, finding=dataclasses.replace(episode.finding, hidden_by=hidden_by))
