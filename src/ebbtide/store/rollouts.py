"""Which workloads run an image they did not run before: the first hours after a rollout are a probation.

Read from the samples of a day, so a version that was away for longer is new again. Asked for few workloads at a time:
those of which something is about to be told, or one that somebody looks at.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.identity import Identity
from ebbtide.store.learned_novelty import Workload, workload_of
from ebbtide.store.segments import CommittedSegments

#: How long a probation lasts, and how far back another version must have been seen.
PROBATION_NS = 6 * HOUR_NS
_BEFORE_NS = DAY_NS


@dataclass(frozen=True, slots=True)
class Rollout:
    """The newest image version of a workload, and the end of its first sample."""

    version: str
    since_ns: int


class Rollouts:
    """Reads the image versions of samples."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, segments: CommittedSegments) -> None:
        self._con = con
        self._identity = identity
        self._segments = segments

    def of(self, workloads: Collection[Workload], now_ns: int) -> dict[Workload, Rollout]:
        """The workloads in probation at `now_ns`; others, and sources that tell no images, are left out.

        A workload is in probation for 6 h after its newest version was first seen, if it ran another one before.
        """
        entities = self._identity.entities
        numbers = [number for number, one in enumerate(entities) if workload_of(one) in workloads] if workloads else []
        if not numbers:
            return {}
        samples = self._segments.between(now_ns - _BEFORE_NS - PROBATION_NS + 1, now_ns + 1)
        rows = self._con.execute(
            "WITH seen AS (SELECT series, min(end_ns) AS since "
            f"FROM {samples} WHERE list_contains(?::INTEGER[], sender) GROUP BY series) "
            "SELECT series.sender, image_version, min(since) FROM seen JOIN series USING (series) "
            "WHERE image_version <> '' GROUP BY ALL",
            [numbers],
        ).fetchall()
        first: dict[Workload, dict[str, int]] = {}
        for sender, version, since_ns in rows:
            known = first.setdefault(workload_of(entities[sender]), {})
            known[version] = min(since_ns, known.get(version, since_ns))
        return {
            workload: Rollout(newest, versions[newest])
            for workload, versions in first.items()
            if (newest := max(versions, key=lambda one: (versions[one], one)))
            and versions[newest] > max(now_ns - PROBATION_NS, min(versions.values()))
        }
