"""What one thread reads with: a connection of its own, the names of all.

A view sees what was committed before each of its queries. Threads that read beside the writer take one each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import duckdb

from ebbtide.baseline.floors import FLOORS
from ebbtide.errors import ServiceError
from ebbtide.series import Entity
from ebbtide.store.contacts import Contacts
from ebbtide.store.coverage import Coverage
from ebbtide.store.filters import Filters
from ebbtide.store.findings import Findings
from ebbtide.store.identity import Identity
from ebbtide.store.learned_days import LearnedDays
from ebbtide.store.learning import Learned, learned
from ebbtide.store.minutes import MinuteReading
from ebbtide.store.notices import Notices
from ebbtide.store.novelty import NoveltyReading
from ebbtide.store.opened_days import OpenedCache, OutboundReading
from ebbtide.store.outbox import Outbox
from ebbtide.store.piece_sums import PieceReading
from ebbtide.store.plans import Plans
from ebbtide.store.profile import Profile
from ebbtide.store.progress import Progress
from ebbtide.store.reading import Reading
from ebbtide.store.retention import held_bytes, kept_ns
from ebbtide.store.risks import Risks
from ebbtide.store.rollouts import Rollouts
from ebbtide.store.search import FindingSearch
from ebbtide.store.segments import CommittedSegments
from ebbtide.store.trailing_sums import TrailingReading


class View:
    """The reading half of a store; writing through it raises ServiceError."""

    identity: Identity
    reading: Reading
    contacts: Contacts
    minutes: MinuteReading
    findings: Findings
    filters: Filters
    outbox: Outbox
    outbound: OutboundReading
    pieces: PieceReading
    progress: Progress
    notices: Notices
    plans: Plans
    risks: Risks
    coverage: Coverage
    search: FindingSearch
    profile: Profile
    novelty: NoveltyReading
    rollouts: Rollouts

    def __init__(
        self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments, cache: OpenedCache
    ) -> None:
        self._con = con
        self._cache = cache
        self._show(identity, segments)

    def _show(self, identity: Identity, segments: CommittedSegments) -> None:
        con = self._con
        self.identity = identity
        self.reading = Reading(con, identity, segments)
        self.contacts = Contacts(con, identity, segments)
        self.minutes = MinuteReading(con, identity, segments)
        self.findings = Findings(con, self.transaction)
        self.filters = Filters(con, self.transaction)
        days = LearnedDays(con, identity, self.floors)
        self.pieces = PieceReading(con, identity, segments, self._cache.pieces)
        self.outbound = OutboundReading(
            days, TrailingReading(con, identity, segments, self.pieces), self.pieces, self._cache
        )
        self.novelty = NoveltyReading(con, identity, self.pieces, self._cache)
        self.outbox = Outbox(con, self.transaction)
        self.progress = Progress(con, self.transaction)
        self.notices = Notices(con, self.transaction)
        self.risks = Risks(con, self.transaction)
        self.plans = Plans(con, self.transaction)
        self.coverage = Coverage(con)
        self.search = FindingSearch(con)
        self.profile = Profile(con, identity, segments)
        self.rollouts = Rollouts(con, identity, segments)

    @property
    def floors(self) -> dict[str, float]:
        """From what on an hour's traffic counts, by metric, in its unit: those set, else those that ship."""
        rows = self._con.execute("SELECT metric, per_hour FROM floors").fetchall()
        return dict(rows) or dict(FLOORS)

    def learning(self, now_ns: int, chosen: Sequence[int] | None = None) -> list[Learned]:
        """How far each entity is learned, by name; of all, or of those with these numbers."""
        return learned(self._con, self.identity, now_ns, self.floors, chosen)

    def masks(self) -> list[tuple[Entity, int, int, str]]:
        """What is left out of baselines: entity, from, to, reason; what begins last first, then by reason and name."""
        names = "cluster, namespace, workload, process"
        rows = self._con.execute(f"SELECT * FROM masks ORDER BY from_ns DESC, reason, {names}, to_ns").fetchall()
        return [(Entity(*row[:4]), *row[4:]) for row in rows]

    @property
    def held_bytes(self) -> int:
        """Bytes of the file that hold data; what is free in it is used again. 0 in memory."""
        return held_bytes(self._con)

    def kept_ns(self, now_ns: int) -> dict[str, int]:
        """How far back each table that detections look into reaches; none where it is empty."""
        return kept_ns(self._con, now_ns)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Refused: a view only reads."""
        raise ServiceError("a view of the store cannot write")
        yield  # the type of a context manager needs it

    def close(self) -> None:
        """Let go of the connection."""
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
