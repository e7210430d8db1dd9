"""What the service does over and over: tick, look who is silent, keep house. One round after the other, in one thread.

No thread and no clock of its own, so that a test is a loop over instants.
"""

from __future__ import annotations

import dataclasses
from collections import Counter

from ebbtide.deliver.heartbeat import queue_heartbeats
from ebbtide.deliver.message import queue
from ebbtide.finding.lifecycle import Change, Episode
from ebbtide.finding.notice import SILENCE, notice
from ebbtide.finding.risk import Risk
from ebbtide.finding.text import duration_text, rfc3339
from ebbtide.health import SourceState
from ebbtide.live import Clockwork, Ticked
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Entity
from ebbtide.service.backups import Backups
from ebbtide.service.sources import Sighting, Sightings, state_of
from ebbtide.store.notices import Notice
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store

RETAIN_EVERY_NS = HOUR_NS
CHECKPOINT_EVERY_NS = 15 * MINUTE_NS
#: Risk is looked at over 7 days; what is older is kept for a while for people.
RISK_NS = 35 * DAY_NS


class Rounds:
    """The service's repeated work on one store. `go` is called from one thread; the rest may be read from any.

    `succeeded_ns` is when a round last went well, `error` why the last one did not. `dropped` counts what retention has
    dropped, by table.
    """

    def __init__(
        self,
        store: Store,
        clockwork: Clockwork,
        sightings: Sightings,
        retention: Retention,
        started_ns: int,
        backups: Backups | None = None,
    ) -> None:
        self.clockwork = clockwork
        self.sightings = sightings
        self.retention = retention
        self.backups = backups
        self.started_ns = started_ns
        self.succeeded_ns = started_ns
        self.error = ""
        self.dropped: Counter[str] = Counter()
        self._store = store
        self._retained_ns = started_ns
        self._checkpoint_ns = started_ns

    def go(self, now_ns: int) -> Ticked:
        """One round at `now_ns`. Raises what the store raises; the next round tries again."""
        try:
            self._store.heal()
            ticked = self.clockwork.tick(now_ns)
            with self._store.lock:
                newest, first = self._store.arrivals.newest(), self._store.arrivals.first()
            self.sightings.look(newest, now_ns)
            self._tell_silence(first, now_ns)
            if not ticked.is_behind:
                self._keep_house(now_ns)
        except Exception as error:
            self.error = str(error) or type(error).__name__
            raise
        failed = list(ticked.failed.values())
        if failed and not ticked.evaluations:
            self.error = failed[0]
        else:
            self.error, self.succeeded_ns = "", now_ns
            self._beat(now_ns)
        return ticked

    def _tell_silence(self, first: dict[str, int], now_ns: int) -> None:
        """Open a notice for each cluster that has gone silent, close it once the cluster is heard again."""
        with self._store.lock:
            lasting = self._store.notices.lasting(SILENCE.id)
        changes: list[tuple[Change, Notice]] = []
        for cluster, seen in self.sightings.all().items():
            is_silent = state_of(seen, first.get(cluster), now_ns, self.clockwork.pace) is SourceState.SILENT
            known = lasting.pop(cluster, None)
            if is_silent and known is None:
                changes.append((Change.OPENED, _silence(cluster, seen, now_ns)))
            elif known is not None and not is_silent and seen.is_fresh:
                changes.append((Change.CLOSED, _ended(known, now_ns)))
        changes += [(Change.CLOSED, _ended(gone, now_ns)) for gone in lasting.values()]
        if changes:
            self._keep(changes, now_ns)

    def _keep(self, changes: list[tuple[Change, Notice]], now_ns: int) -> None:
        outlet = self.clockwork.outlet
        with self._store.transaction():
            for _, one in changes:
                self._store.notices.save(one)
            told = [(change, Episode(one.record, one.record.count, one.closed_ns)) for change, one in changes]
            queue(self._store.outbox, told, outlet.sinks, now_ns, outlet.link, outlet.bounds)

    def _beat(self, now_ns: int) -> None:
        """Queue heartbeats, only where the round went well: a service that cannot judge must not look alive."""
        outlet = self.clockwork.outlet
        if any(one.heartbeat is not None for one in outlet.sinks.values()):
            with self._store.transaction():
                queue_heartbeats(self._store.outbox, outlet.sinks, now_ns, outlet.bounds)

    def _keep_house(self, now_ns: int) -> None:
        if now_ns - self._retained_ns >= RETAIN_EVERY_NS:
            self._retained_ns = now_ns
            self.dropped.update(self._store.retain(now_ns, self.retention))
            self.dropped["risk_events"] += self._store.risks.forget(now_ns - RISK_NS)
        if now_ns - self._checkpoint_ns >= CHECKPOINT_EVERY_NS:
            self._checkpoint_ns = now_ns
            self._store.checkpoint()
        if self.backups is not None:
            self.backups.make_if_due(self._store, now_ns)


def _silence(cluster: str, seen: Sighting, now_ns: int) -> Notice:
    since_ns = seen.changed_ns if seen.newest_ns is None else seen.newest_ns
    told = f"Nothing arrives from cluster {cluster or '-'}"
    if seen.newest_ns is None:
        told += ": it is expected, and was never heard"
    else:
        last_ns = seen.newest_ns // SECOND_NS * SECOND_NS
        told += f" since {rfc3339(last_ns)} ({duration_text(now_ns - last_ns)}): what it sends is not watched"
    record = notice(
        SILENCE, cluster, Entity(cluster, "", ""), since_ns, now_ns, told, Risk(0.0, 0.0, 0.0, cluster, "system")
    )
    return Notice(SILENCE.id, cluster, record)


def _ended(known: Notice, now_ns: int) -> Notice:
    record = dataclasses.replace(known.record, at_ns=now_ns, last_ns=now_ns)
    return dataclasses.replace(known, record=record, closed_ns=now_ns)
