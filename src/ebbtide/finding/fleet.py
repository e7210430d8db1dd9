"""An event that hits many entities of a cluster at once becomes one finding about the fleet, which lists them.

In: findings of one instant that would each open, and what is known of the hour before. Out: the same, or one in their
place. A rollout, a new mirror or a worm is one matter; told thirty times it would hide what else there is.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ebbtide.finding.evidence import Evidence, Member
from ebbtide.finding.finding import Finding
from ebbtide.finding.text import one_line
from ebbtide.series import HOUR_NS, Entity

#: What begins within this time is at once.
AT_ONCE_NS = HOUR_NS


def gather(fresh: Sequence[Finding], recent: Sequence[Finding], alive: Finding | None) -> list[Finding]:
    """The findings to go on with: those of one event are one.

    `fresh` are of one detection, cluster and instant, each about an entity of which nothing is open; `recent` those
    of the cluster that opened within the hour before; `alive` a finding about the fleet that goes on. With one alive
    its members stay with it, others join within an hour of its opening. Else it takes `fleet_least` entities, or half
    as many that send to the same place never seen before, those of the hour included; a single fresh one stays alone.
    A detection whose options have no `fleet_least` gathers nothing.
    """
    least = fresh[0].evidence.options.get("fleet_least") if fresh else None
    if not isinstance(least, int):
        return list(fresh)
    if alive is not None:
        known = {one.entity for one in alive.evidence.fleet}
        ours = [one for one in fresh if one.entity in known or one.opened_ns < alive.opened_ns + AT_ONCE_NS]
        others = [one for one in fresh if one not in ours]
        return [*others, *([_about(ours, alive.evidence.fleet)] if ours else [])]
    place = _shared_place([*fresh, *recent], -(-least // 2))
    ours = [one for one in fresh if place and place in _strangers(one)] if place else list(fresh)
    before = [one for one in recent if not place or place in _strangers(one)]
    if len(ours) < 2 or (not place and len(ours) + len(before) < least):
        return list(fresh)
    others = [one for one in fresh if one not in ours]
    return [*others, _about(ours, tuple(_member(one) for one in before))]


def with_members(earlier: Finding, later: Finding) -> Finding:
    """The later finding about a fleet with the members of the earlier one it lacks; as it is where it lacks none."""
    known = {one.entity for one in later.evidence.fleet}
    more = tuple(one for one in earlier.evidence.fleet if one.entity not in known)
    if not more:
        return later
    fleet = tuple(sorted((*later.evidence.fleet, *more), key=lambda one: one.entity))
    return dataclasses.replace(later, count=len(fleet), evidence=dataclasses.replace(later.evidence, fleet=fleet))


def _strangers(finding: Finding) -> set[str]:
    """The places it sent to that were never seen before."""
    return {one.name for one in finding.evidence.destinations if one.first_seen_ns is None and one.bytes > 0}


def _shared_place(findings: Iterable[Finding], least: int) -> str:
    """The place most of them share, if it is at least so many; "" else."""
    counts = Counter(name for one in findings for name in _strangers(one))
    name, many = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return name if many >= max(least, 2) else ""


def _member(one: Finding) -> Member:
    return Member(one.entity, one.uid, one.opened_ns, one.risk.score, one.headline)


def _about(ours: Sequence[Finding], known: tuple[Member, ...]) -> Finding:
    """One finding in the place of these; it rests on the evidence of the riskiest."""
    by_entity: Mapping[Entity, Member] = {one.entity: one for one in (*map(_member, ours), *known)}
    fleet = tuple(by_entity[entity] for entity in sorted(by_entity))
    first = max(ours, key=lambda one: (one.risk.score, one.entity))
    cluster = first.entity.cluster
    place = _shared_place(ours, 2)
    many = sum(place in _strangers(one) for one in ours)
    where = f", {many} of them to {one_line(place)}, never seen before" if place else ""
    sentence = (
        f"{len(fleet)} processes of cluster {one_line(cluster) or '-'} sent what they never did within an hour{where}; "
        f"the most surprising: {first.headline}"
    )
    evidence: Evidence = dataclasses.replace(first.evidence, fleet=fleet)
    return dataclasses.replace(
        first,
        uid=str(uuid.uuid5(uuid.UUID(first.uid), "fleet")),
        entity=Entity(cluster, "", "", ""),
        headline=sentence,
        message=sentence,
        risk=dataclasses.replace(first.risk, object=cluster, object_type="system"),
        count=len(fleet),
        evidence=evidence,
    )
