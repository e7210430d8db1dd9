"""What one thread reads with: a connection of its own, the names of all.

A view sees what was committed before each of its queries. Threads that read beside the writer take one each.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import duckdb

from ebbtide.errors import ServiceError
from ebbtide.store.contacts import Contacts
from ebbtide.store.filters import Filters
from ebbtide.store.findings import Findings
from ebbtide.store.identity import Identity
from ebbtide.store.minutes import MinuteReading
from ebbtide.store.outbox import Outbox
from ebbtide.store.profile import Profile
from ebbtide.store.reading import Reading
from ebbtide.store.search import FindingSearch
from ebbtide.store.segments import CommittedSegments


class View:
    """The reading half of a store; writing through it raises ServiceError."""

    identity: Identity
    reading: Reading
    contacts: Contacts
    minutes: MinuteReading
    findings: Findings
    filters: Filters
    outbox: Outbox
    search: FindingSearch
    profile: Profile

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._show(identity, segments)

    def _show(self, identity: Identity, segments: CommittedSegments) -> None:
        con = self._con
        self.identity = identity
        self.reading = Reading(con, identity, segments)
        self.contacts = Contacts(con, identity, segments)
        self.minutes = MinuteReading(con, identity, segments)
        self.findings = Findings(con, self.transaction)
        self.filters = Filters(con, self.transaction)
        self.outbox = Outbox(con, self.transaction)
        self.search = FindingSearch(con)
        self.profile = Profile(con, identity, segments)

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
