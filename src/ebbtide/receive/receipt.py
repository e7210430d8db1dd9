"""What senders and operators are told about what came in: receipts, counters, and who was heard when.

Plain records; the intake makes them, protocols and the service read them. Without counters by reason a receiver that
drops everything would look like one that is not used.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from ebbtide.series import Counts


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one body's points, all of it on disk. `rejected` includes what was `too_late`.

    `duplicates`: how many of `accepted` were there before; None where a commit held several bodies and some samples
    that were there before, which are then not told apart.
    """

    accepted: int
    rejected: Counter[str]
    ignored: Counter[str]
    duplicates: int | None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was rejected."""
        return not self.rejected.total()

    @property
    def reasons(self) -> str:
        """The rejected points in words, "" if there are none: `3 points rejected: 2 negative, 1 not_finite`."""
        total = self.rejected.total()
        if not total:
            return ""
        named = ", ".join(f"{many} {reason}" for reason, many in sorted(self.rejected.items()) if many)
        return f"{total} point{'s' if total != 1 else ''} rejected: {named}"


@dataclass(slots=True)
class Traffic:
    """One protocol's totals since the start: bodies that were stored and their bytes, their points, refused requests.

    `refused` counts requests by reason, and `answered_late` those that were told to come again because the answer took
    too long (their samples may be stored all the same).
    """

    bodies: int = 0
    body_bytes: int = 0
    points: Counts = field(default_factory=Counts)
    refused: Counter[str] = field(default_factory=Counter)
    answered_late: int = 0


@dataclass(slots=True)
class Unread:
    """What came from one source since a point of it was last accepted, heartbeats aside.

    `bodies` that held points and brought nothing, `reasons` why their points were rejected or ignored. `is_new`: no
    point of the source was ever accepted.
    """

    bodies: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    is_new: bool = True

    def note(self, counts: Counts) -> None:
        """Count one body."""
        if counts.accepted:
            self.bodies, self.reasons, self.is_new = 0, Counter(), False
            return
        found = counts.rejected + counts.ignored
        del found["heartbeat"]
        if found:
            self.bodies += 1
            self.reasons.update(found)


@dataclass(frozen=True, slots=True)
class Heard:
    """The last sign of one cluster: the newest sample's end (0: only heartbeats), and when it arrived."""

    newest_end_ns: int
    arrived_ns: int


@dataclass(frozen=True, slots=True)
class IntakeCounts:
    """Everything an intake counts, as of one moment.

    `stored`: samples new on disk; `dropped`: decoded but not stored, by reason (duplicate, too_late). `commits` took
    `commit_seconds` altogether; `commits_failing` have failed since the last that did not. `bugs`: errors that nobody
    foresaw, each answered as such. `readings_evicted`: counters forgotten because there were too many. `unread`: by
    preset and cluster, what has brought nothing lately.
    """

    traffic: dict[str, Traffic]
    stored: int
    dropped: Counter[str]
    commits: int
    commit_failures: int
    commits_failing: int
    commit_seconds: float
    bugs: int
    waiting_bodies: int
    held_bytes: int
    readings_evicted: int
    clusters_forgotten: int
    unread: dict[tuple[str, str], Unread]
