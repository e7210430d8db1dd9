"""From findings to risk and from risk to incidents, inside the transaction of a tick.

A finding adds its risk when it opens or re-opens; detections that reproduce upstream (`upstream_row`) add at each
evaluation that fires, as there. Hidden findings add nothing: upstream's filter drops the row before its risk. An
incident is a notice about the object; it opens when a rule begins to hold, is updated as findings join it, and closes
when no rule holds any more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence, Set

from ebbtide.detect.detection import Detection
from ebbtide.finding.annotations import Annotations
from ebbtide.finding.finding import Finding
from ebbtide.finding.incident import TACTICS_SPAN_NS, Assessment, Contribution, assess
from ebbtide.finding.joined import is_joined, part_risks, parts_of
from ebbtide.finding.lifecycle import Change, Episode, key_of
from ebbtide.finding.notice import INCIDENT, notice
from ebbtide.finding.risk import Risk, RiskEvent
from ebbtide.series import Entity
from ebbtide.store.notices import Notice
from ebbtide.store.store import Store


def contributions_of(
    detection: Detection,
    found: Sequence[Finding],
    changes: Iterable[tuple[Change, Episode]],
    episodes: Sequence[Episode],
) -> list[tuple[Finding, Contribution]]:
    """What one evaluation adds to whose risk. `episodes` are those of today, with the marks of filters."""
    if detection.upstream_row:
        of_key = {key_of(one.finding): one.finding for one in episodes}
        known = [(of_key.get(key_of(one), one), one.at_ns) for one in found]
    else:
        added = (Change.OPENED, Change.REOPENED)
        changes = list(changes)
        known = [(one.finding, one.finding.at_ns) for change, one in changes if change in added]
        joined = [one for one in changes if is_joined(one[1].finding)]
        if joined:
            return _of_parts(found, joined, episodes)
    return [
        (one, Contribution(_event(one, at_ns), one.uid, one.detection_id, one.annotations.tactics))
        for one, at_ns in known
        if not one.is_hidden and one.risk.score > 0
    ]


def _of_parts(
    found: Sequence[Finding], changes: Iterable[tuple[Change, Episode]], episodes: Sequence[Episode]
) -> list[tuple[Finding, Contribution]]:
    """What each part adds: once when the finding opens or re-opens with it, or when it joins the finding later."""
    fresh = {key_of(one): parts_of(one.evidence).keys() for one in found}
    before: dict[str, Set[str]] = {}
    for episode in episodes:
        before.setdefault(episode.finding.uid, parts_of(episode.finding.evidence).keys())
    result = []
    for change, one in changes:
        finding = one.finding
        firing: Set[str] = fresh.get(one.key, frozenset())
        if finding.evidence.fleet:
            firing = parts_of(finding.evidence).keys()
        if change is Change.UPDATED:
            firing = firing - before.get(finding.uid, frozenset())
        elif change is Change.CLOSED:
            continue
        for name, score in part_risks(finding).items():
            if name in firing and score > 0 and not finding.is_hidden:
                event = RiskEvent(finding.risk.object, finding.risk.object_type, score, finding.at_ns)
                result.append((finding, Contribution(event, finding.uid, name, finding.annotations.tactics)))
    return result


def _event(finding: Finding, at_ns: int) -> RiskEvent:
    return RiskEvent(finding.risk.object, finding.risk.object_type, finding.risk.score, at_ns)


def weigh(
    store: Store, added: Sequence[tuple[Finding, Contribution]], at_ns: int, clusters: Collection[str] | None
) -> list[tuple[Change, Notice]]:
    """Keep what was added, each once, and say which incidents opened, changed or ended by it, or by `at_ns` itself.

    `clusters` are those judged at this instant (None: all): incidents of others end by their own time.
    """
    first_ns = min((one.event.at_ns for _, one in added), default=at_ns)
    before = store.risks.of_each({_key(one) for _, one in added}, first_ns - 1)
    added = [(finding, one) for finding, one in added if one not in before[_key(one)]]
    store.risks.add(one for _, one in added)
    lasting = store.notices.lasting(INCIDENT.id)
    entities = {_subject(one.event): finding for finding, one in added}
    watched = [
        subject
        for subject, one in lasting.items()
        if subject not in entities and (clusters is None or one.record.entity.cluster in clusters)
    ]
    changes = []
    subjects = [*entities, *sorted(watched)]
    histories = store.risks.of_each([_parts(one) for one in subjects], at_ns - TACTICS_SPAN_NS)
    for subject in subjects:
        history = histories[_parts(subject)]
        # Late findings lie in the past: an object is judged as of the latest that is known of it.
        now_ns = max([at_ns, *(one.event.at_ns for one in history)])
        told = _change(subject, lasting.get(subject), entities.get(subject), assess(history, now_ns), now_ns)
        if told is not None:
            changes.append(told)
            store.notices.save(told[1])
    return changes


def _change(
    subject: str, known: Notice | None, joined: Finding | None, now: Assessment, now_ns: int
) -> tuple[Change, Notice] | None:
    if known is None:
        if not now.is_incident or joined is None:
            return None
        return Change.OPENED, Notice(INCIDENT.id, subject, _record(subject, joined, now, now_ns, now_ns))
    if not now.is_incident:
        record = dataclasses.replace(known.record, at_ns=now_ns, last_ns=now_ns)
        return Change.CLOSED, dataclasses.replace(known, record=record, closed_ns=now_ns)
    if joined is None:
        return None
    record = _record(subject, joined, now, known.record.opened_ns, now_ns)
    return Change.UPDATED, dataclasses.replace(known, record=record)


def _record(subject: str, joined: Finding, now: Assessment, opened_ns: int, at_ns: int) -> Finding:
    name, kind = _parts(subject)
    listed = ", ".join(f"{one.finding[:8]} {one.detection} ({one.event.score:g})" for one in now.contributions[-10:])
    entity = Entity(joined.entity.cluster, "", "")
    if name != joined.entity.cluster:
        entity = dataclasses.replace(joined.entity, process=joined.entity.process if name.count("/") > 2 else "")
    score = min(100.0, now.points)
    return notice(
        INCIDENT,
        subject,
        entity,
        opened_ns,
        at_ns,
        now.sentence(name),
        Risk(score, 100.0, score, name, kind),
        message=f"{now.sentence(name)}: {listed}",
        annotations=Annotations((), (), (), (), (), (), INCIDENT.type, "network"),
        count=len(now.contributions),
        details={
            "rules": list(now.rules),
            "points": now.points,
            "findings": list(dict.fromkeys(one.finding for one in now.contributions)),
            "detections": list(now.detections),
            "tactics": list(now.tactics),
        },
    )


def _key(one: Contribution) -> tuple[str, str]:
    return one.event.object, one.event.object_type


def _subject(event: RiskEvent) -> str:
    return f"{event.object_type}:{event.object}"


def _parts(subject: str) -> tuple[str, str]:
    kind, _, name = subject.partition(":")
    return name, kind
