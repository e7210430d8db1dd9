"""The receivers as a server of the service: one intake behind the cardinality guard, and its open ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from ebbtide.guard import Guard
from ebbtide.health import Port, Problem, Severity
from ebbtide.receive.intake import Intake
from ebbtide.receive.receipt import Unread
from ebbtide.receive.serving import Server, serve
from ebbtide.receive.settings import Listener, Receivers
from ebbtide.service.steady import SteadyClock
from ebbtide.service.vitals import Figures
from ebbtide.store.store import Store

#: Fewer points that are not taken say nothing about a preset.
UNREAD_POINTS = 100
#: Of a source that was read before so many bodies in a row: senders cut what they have into bodies by metric.
UNREAD_BODIES = 500


class Receiving:
    """Opens what the settings say; stops ports first, then the intake, so that what is in flight is answered."""

    def __init__(self, store: Store, receivers: Receivers, guard: Guard, clock: SteadyClock | None = None) -> None:
        clock = clock or SteadyClock()
        self._store = store
        self._intake = Intake(store, receivers.intake, clock=clock, admit=guard.admit, witness=clock.witness)
        self._receivers = receivers
        self._guard = guard
        self._servers: Sequence[Server] = ()

    @property
    def ports(self) -> list[int]:
        """The open ports, in the order of the settings."""
        return [one.port for one in self._servers]

    def start(self) -> None:
        """Begin to take data. Raises ConfigError or ServiceError, and then nothing is open."""
        with self._store.lock:
            self._intake.start()
        try:
            self._servers = serve(self._intake, self._receivers)
        except BaseException:  # a start that fails or is broken off leaves nothing open
            self._intake.stop()
            raise

    def stop(self) -> None:
        """Close the ports, commit what waits."""
        for server in self._servers:
            server.stop()
        self._servers = ()
        self._intake.stop()

    def figures(self) -> Figures:
        """Points by what became of them, requests that were refused, and what waits."""
        counts = self._intake.counts()
        received: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        for traffic in counts.traffic.values():
            points = traffic.points
            received["accepted"] += points.accepted
            received.update({f"rejected_{why}": count for why, count in points.rejected.items()})
            received.update({f"ignored_{why}": count for why, count in points.ignored.items()})
            received.update({f"clipped_{why}": count for why, count in points.clipped.items()})
            refused.update({f"requests_refused_{why}": count for why, count in traffic.refused.items()})
        received.update({f"dropped_{why}": count for why, count in counts.dropped.items()})
        capacity = {
            "queue_bytes": float(counts.held_bytes),
            "queue_bodies": float(counts.waiting_bodies),
            "commits": float(counts.commits),
            "commit_failures": float(counts.commit_failures),
            "commits_failing": float(counts.commits_failing),
            "commit_seconds": counts.commit_seconds,
            "counters_forgotten": float(counts.readings_evicted),
            **{name: float(count) for name, count in sorted(refused.items())},
            **{f"guard_{name}": float(count) for name, count in sorted(self._guard.counts.items())},
        }
        for names in list(self._guard.active().values()):
            for name, count in names.items():
                capacity[f"guard_active_{name}"] = capacity.get(f"guard_active_{name}", 0.0) + count
        return Figures(dict(received), capacity, tuple(_unread(counts.unread)), tuple(self._told()))

    def _told(self) -> Iterator[Port]:
        """What is listened on, and who may send there."""
        for at, (kind, one) in enumerate(self._receivers.listeners()):
            cluster = one.cluster if one.is_pinned else f"what the data say, else {one.cluster}"
            port = self._servers[at].port if at < len(self._servers) else one.port
            address = f"{one.address.rpartition(':')[0]}:{port}"
            yield Port(kind, address, one.preset, cluster, one.tls is not None, at < len(self._servers), _senders(one))


def _senders(one: Listener) -> str:
    """Who may send to a listener."""
    known = []
    if one.tokens:
        known.append(f"{len(one.tokens)} with a token" if len(one.tokens) > 1 else "one with a token")
    if one.tls is not None and one.tls.client_ca is not None:
        known.append("who has a certificate")
    if one.ingest_without_token:
        known.append(f"anybody in {', '.join(map(str, one.ingest_without_token))}, without a token")
    return "; ".join(known) or "anybody who reaches it"


def _unread(sources: Mapping[tuple[str, str], Unread]) -> Iterator[Problem]:
    """Sources of which nothing is taken: what they send is not watched, though it arrives."""
    for (preset, cluster), one in sorted(sources.items()):
        points = one.reasons.total()
        if points < UNREAD_POINTS or one.bodies < (1 if one.is_new else UNREAD_BODIES):
            continue
        why = ", ".join(f"{many} {reason}" for reason, many in one.reasons.most_common(3))
        yield Problem(
            Severity.WARNING,
            f"The preset {preset} takes nothing of what comes for cluster {cluster}: {points} points ({why})",
            "is it the sender's preset, and has the sender changed its names? see docs/presets.md",
        )
