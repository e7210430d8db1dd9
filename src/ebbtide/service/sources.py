"""How each cluster's telemetry fares, from what arrived when: live, late, silent or new.

Pure: the time of each look is an argument. No data is a state of its own: a silent cluster is not a quiet one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ebbtide.agenda import Pace
from ebbtide.health import SourceState
from ebbtide.series import HOUR_NS, SECOND_NS

#: A cluster whose first sample is younger than this is new.
NEW_NS = HOUR_NS


@dataclass(frozen=True, slots=True)
class Sighting:
    """The newest end of a cluster's samples (None: never heard), when that last changed, and its clock then.

    `is_fresh`: it changed since the service was started.
    """

    newest_ns: int | None
    changed_ns: int
    skew_s: float = 0.0
    is_fresh: bool = False


class Sightings:
    """What was seen of each cluster, look by look. A cluster known at the start counts as just heard."""

    def __init__(self, expected: Iterable[str], started_ns: int) -> None:
        self._has_looked = False
        self._seen: dict[str, Sighting] = {name: Sighting(None, started_ns) for name in expected}

    def look(self, newest: Mapping[str, int], now_ns: int) -> None:
        """Note how far each cluster has come."""
        seen = dict(self._seen)
        for cluster, newest_ns in newest.items():
            before = seen.get(cluster)
            if before is None or before.newest_ns != newest_ns:
                skew_s = (newest_ns - now_ns) / SECOND_NS if self._has_looked else 0.0
                seen[cluster] = Sighting(newest_ns, now_ns, skew_s, self._has_looked)
        self._seen, self._has_looked = seen, True

    def all(self) -> dict[str, Sighting]:
        """By cluster, in the order of their names."""
        return dict(sorted(self._seen.items()))


def state_of(one: Sighting, first_ns: int | None, now_ns: int, pace: Pace) -> SourceState:
    """How a cluster fares at `now_ns`; `first_ns` is its first sample, None where it has none.

    Silent: nothing new for the silence and the lateness together. Late: something comes, but further behind than that.
    """
    patience_ns = pace.lateness_ns + pace.silence_ns
    if now_ns - one.changed_ns > patience_ns:
        return SourceState.SILENT
    if one.newest_ns is None or first_ns is None or now_ns - first_ns < NEW_NS:
        return SourceState.NEW
    return SourceState.LATE if now_ns - one.newest_ns > patience_ns else SourceState.LIVE
