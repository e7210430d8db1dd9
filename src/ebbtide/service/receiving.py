"""The receivers as a server of the service: one intake behind the cardinality guard, and its open ports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ebbtide.guard import Guard
from ebbtide.receive.intake import Intake
from ebbtide.receive.serving import Server, serve
from ebbtide.receive.settings import Receivers
from ebbtide.service.steady import SteadyClock
from ebbtide.service.vitals import Figures
from ebbtide.store.store import Store


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
        except BaseException:
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
        return Figures(dict(received), capacity)
