"""An event that hits many entities of a cluster becomes one finding about the fleet, which lists them.

In: findings of one instant that would each open, and what is known of the hours before. Out: the same, or one in the
place of several. A rollout, a new mirror or a worm is one matter; told thirty times it would hide what else there is.
So are processes that one receiver makes send more: when an ingress is scaled out, all web servers answer it.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from ebbtide.finding.evidence import Evidence, Member
from ebbtide.finding.finding import Finding
from ebbtide.finding.risk import path_of
from ebbtide.finding.text import one_line
from ebbtide.series import DAY_NS, HOUR_NS, EndpointClass, Entity

#: What begins within this time is at once.
AT_ONCE_NS = HOUR_NS
#: What one receiver causes may take so long to show in all who send to it, as windows look back up to a day.
SAME_CAUSE_NS = DAY_NS
#: A receiver is the main one with at least this share of the bytes, if no more than the second goes to strangers.
_MAIN_SHARE, _STRANGE_SHARE = 0.8, 0.05


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


def gather_by_receiver(
    fresh: Sequence[Finding], recent: Sequence[Finding], alive: Mapping[Entity, Finding]
) -> list[Finding]:
    """The findings to go on with: those that are unusual by amount alone and send to one receiver are one.

    `fresh` and `recent` as in `gather`, but of `SAME_CAUSE_NS`; `alive` the findings about receivers that go on, by
    receiver (an entity without a process). It takes `receiver_least` entities, those told before included, whose
    `receiver_of` is the same. With one alive its members stay with it while they send nothing new, others join within
    `SAME_CAUSE_NS` of its opening. It is about the receiver; what the receiver itself sends is told by itself.
    """
    least = fresh[0].evidence.options.get("receiver_least") if fresh else None
    if not isinstance(least, int):
        return list(fresh)
    result: list[Finding] = []
    groups: dict[Entity, list[Finding]] = {}
    for one in fresh:
        receiver = _known_receiver(one, alive) or receiver_of(one)
        if receiver is None:
            result.append(one)
        else:
            groups.setdefault(receiver, []).append(one)
    for receiver, ours in groups.items():
        going = alive.get(receiver)
        if going is not None:
            members = {one.entity for one in going.evidence.fleet}
            until_ns = going.opened_ns + SAME_CAUSE_NS
            joining = [one for one in ours if one.entity in members or one.opened_ns < until_ns]
            result += [one for one in ours if one not in joining]
            result += [_about_receiver(receiver, joining, going.evidence.fleet)] if joining else []
            continue
        fresh_ones = {one.entity for one in ours}
        before = [one for one in recent if one.entity not in fresh_ones and receiver_of(one) == receiver]
        if len(fresh_ones | {one.entity for one in before}) < least:
            result += ours
        else:
            result.append(_about_receiver(receiver, ours, tuple(_member(one) for one in before)))
    return result


def receiver_of(finding: Finding) -> Entity | None:
    """The workload of the cluster that nearly all of it went to, as an entity without a process.

    None where something new has a part in it, where a stranger got more than a little, or where it went elsewhere.
    """
    if _has_new(finding):
        return None
    shares: dict[Entity, float] = {}
    for one in finding.evidence.destinations:
        place = one.endpoint
        if place.kind is EndpointClass.INTERNAL and place.workload:
            # Some sources name no cluster for the other side of a connection within one.
            cluster = place.cluster or finding.entity.cluster
            receiver = Entity(cluster, place.namespace, place.workload, "")
            shares[receiver] = shares.get(receiver, 0.0) + one.share
    shares.pop(dataclasses.replace(finding.entity, process=""), None)
    main = max(shares, key=lambda one: (shares[one], one), default=None)
    return main if main is not None and shares[main] >= _MAIN_SHARE else None


def _has_new(finding: Finding) -> bool:
    """Whether more than the amount is unusual: something new decided too, or strangers got more than a little."""
    evidence = finding.evidence
    strange = sum(one.share for one in evidence.destinations if one.first_seen_ns is None)
    return evidence.novelty is not None or evidence.outbound is None or strange > _STRANGE_SHARE


def _known_receiver(finding: Finding, alive: Mapping[Entity, Finding]) -> Entity | None:
    """The receiver whose finding lists this entity already; None where it sends something new by now."""
    if _has_new(finding):
        return None
    listed = (of for of, one in alive.items() if any(member.entity == finding.entity for member in one.evidence.fleet))
    return min(listed, default=None)


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
    """One finding about a cluster in the place of these."""
    cluster = ours[0].entity.cluster
    place = _shared_place(ours, 2)
    many = sum(place in _strangers(one) for one in ours)
    where = f", {many} of them to {one_line(place)}, never seen before" if place else ""
    what = f"processes of cluster {one_line(cluster) or '-'} sent what they never did within an hour{where}"
    return _in_place_of(ours, known, Entity(cluster, "", "", ""), what, cluster, "system")


def _about_receiver(receiver: Entity, ours: Sequence[Finding], known: tuple[Member, ...]) -> Finding:
    """One finding about a receiver in the place of these."""
    name = "/".join(one_line(part) for part in (receiver.namespace, receiver.workload) if part)
    what = f"processes sent unusually much to {name}"
    return _in_place_of(ours, known, receiver, what, path_of(receiver), ours[0].risk.object_type)


def _in_place_of(
    ours: Sequence[Finding], known: tuple[Member, ...], about: Entity, what: str, risk_object: str, object_type: str
) -> Finding:
    """One finding in the place of these; it rests on the evidence of the riskiest."""
    by_entity: Mapping[Entity, Member] = {one.entity: one for one in (*map(_member, ours), *known)}
    fleet = tuple(by_entity[entity] for entity in sorted(by_entity))
    first = max(ours, key=lambda one: (one.risk.score, one.entity))
    sentence = f"{len(fleet)} {what}; the most surprising: {first.headline}"
    evidence: Evidence = dataclasses.replace(first.evidence, fleet=fleet)
    return dataclasses.replace(
        first,
        uid=str(uuid.uuid5(uuid.UUID(first.uid), "fleet")),
        entity=about,
        headline=sentence,
        message=sentence,
        risk=dataclasses.replace(first.risk, object=risk_object, object_type=object_type),
        count=len(fleet),
        evidence=evidence,
    )
