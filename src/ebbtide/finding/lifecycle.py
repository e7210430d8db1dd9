"""Findings of one evaluation after the other become episodes: told once, kept up to date, closed, re-opened.

An evaluation looks at a window, so the same event is found again at every tick, each time with another first bucket.
Here it stays one finding with the uid it was opened with. An episode ends 6 h after its last bucket above the line;
what comes within another 6 h re-opens it. Both are measured on the data's own time, so a tick that comes late closes
and re-opens just what a tick in time would have.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ebbtide.finding.cap import capped
from ebbtide.finding.finding import HELD_BACK, Finding
from ebbtide.finding.fleet import AT_ONCE_NS, SAME_CAUSE_NS, gather, gather_by_receiver
from ebbtide.finding.joined import is_joined, with_kept
from ebbtide.series import HOUR_NS, Entity

#: An episode ends this long after the end of its last bucket above the line.
CLOSE_AFTER_NS = 6 * HOUR_NS
#: What comes within this time after the end re-opens it.
REOPEN_WITHIN_NS = 6 * HOUR_NS
#: Remembered this long after its end: late data (up to 24 h) may bring the same finding again, which is no news.
FORGET_AFTER_NS = 30 * HOUR_NS


class Change(StrEnum):
    """What happened to an episode. `opened` and `reopened` add risk; `updated` brings later buckets."""

    OPENED = "opened"
    UPDATED = "updated"
    CLOSED = "closed"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class EpisodeKey:
    """What makes findings the same matter: detection, its major version, entity, whether it is about a fleet.

    A finding about a fleet has an entity of its own (a cluster, a receiver), which may also be one that sends.
    """

    detection_id: str
    major: int
    entity: Entity
    is_fleet: bool = False


@dataclass(frozen=True, slots=True)
class Episode:
    """A finding over time. `finding` is the latest evaluation's, with the uid and opening of the first.

    `peak_count` is the highest count of one evaluation, `reopened` how often it came back. `closed_ns` is the time at
    which it ended, None while it is open.
    """

    finding: Finding
    peak_count: int
    closed_ns: int | None = None
    reopened: int = 0

    @property
    def key(self) -> EpisodeKey:
        """What later findings must share to belong to it."""
        return key_of(self.finding)

    @property
    def ends_ns(self) -> int:
        """When it ends if nothing more comes."""
        return self.finding.end_ns + CLOSE_AFTER_NS


@dataclass(frozen=True, slots=True)
class Step:
    """One evaluation's outcome: the episodes to hand to the next one, and what changed, in order.

    Episodes are left out once they ended `FORGET_AFTER_NS` ago: they are history.
    """

    episodes: tuple[Episode, ...]
    changes: tuple[tuple[Change, Episode], ...]


def key_of(finding: Finding) -> EpisodeKey:
    """The key of the episode a finding belongs to."""
    major = int(finding.detection_version.partition(".")[0])
    return EpisodeKey(finding.detection_id, major, finding.entity, bool(finding.evidence.fleet))


def advance(episodes: Iterable[Episode], findings: Iterable[Finding], now_ns: int) -> Step:
    """Take one evaluation's findings in, then close what has ended by `now_ns`.

    A finding whose last bucket an episode already has changes nothing: it has been told. Findings of corrected data may
    lie before an episode that is open; far enough before (12 h), they are an episode of their own. Filters are applied
    afterwards: an episode keeps the marks of its filters until then, so that their hits are counted once.
    """
    known: dict[EpisodeKey, list[Episode]] = {}
    for episode in episodes:
        known.setdefault(episode.key, []).append(episode)
    changes: list[tuple[Change, Episode]] = []
    for finding in sorted(_gathered(known, findings), key=lambda one: (one.opened_ns, one.last_ns, one.uid)):
        _take(known.setdefault(key_of(finding), []), finding, changes)
    kept: list[Episode] = []
    for group in known.values():
        for episode in group:
            closed = _close(episode, now_ns, changes)
            if now_ns < closed.ends_ns + FORGET_AFTER_NS:
                kept.append(closed)
    kept.sort(key=lambda one: (one.finding.opened_ns, one.finding.uid))
    return Step(tuple(kept), tuple(changes))


def _gathered(known: Mapping[EpisodeKey, list[Episode]], findings: Iterable[Finding]) -> list[Finding]:
    """The findings, with those of an event that hits many entities of a cluster as one about the fleet."""
    result: list[Finding] = []
    groups: dict[EpisodeKey, list[Finding]] = {}
    for finding in findings:
        key = key_of(finding)
        is_known = any(_belongs(one, finding) for one in known.get(key, ()))
        if is_known or not is_joined(finding) or finding.evidence.fleet:
            result.append(finding)
        else:
            groups.setdefault(_about_cluster(key), []).append(finding)
    for key, fresh in groups.items():
        fresh.sort(key=lambda one: one.entity)
        alive = next((one.finding for one in reversed(known.get(key, [])) if _belongs(one, fresh[0])), None)
        gathered = gather(fresh, _opened_within(AT_ONCE_NS, known, fresh[0], key), alive)
        result += [one for one in gathered if one.evidence.fleet]
        alone = [one for one in gathered if not one.evidence.fleet]
        recent = _opened_within(SAME_CAUSE_NS, known, fresh[0], key)
        result += gather_by_receiver(alone, recent, _receivers(known, fresh[0], key))
    return result


def _about_cluster(key: EpisodeKey) -> EpisodeKey:
    """The key of findings about the whole cluster."""
    return dataclasses.replace(key, entity=Entity(key.entity.cluster, "", "", ""), is_fleet=True)


def _opened_within(
    span_ns: int, known: Mapping[EpisodeKey, list[Episode]], first: Finding, cluster: EpisodeKey
) -> list[Finding]:
    """Findings about one entity of the cluster that opened so shortly before this one."""
    return [
        one.finding
        for key, episodes in known.items()
        if not key.is_fleet and _about_cluster(key) == cluster
        for one in episodes
        if first.opened_ns - span_ns < one.finding.opened_ns <= first.opened_ns
    ]


def _receivers(known: Mapping[EpisodeKey, list[Episode]], first: Finding, cluster: EpisodeKey) -> dict[Entity, Finding]:
    """The findings about receivers in the cluster that this one could belong to."""
    return {
        key.entity: one.finding
        for key, episodes in known.items()
        if key.is_fleet and key != cluster and _about_cluster(key) == cluster
        for one in episodes
        if _belongs(one, first)
    }


def _take(group: list[Episode], finding: Finding, changes: list[tuple[Change, Episode]]) -> None:
    """Let a finding join one of its key's episodes, or open a new one."""
    position = next((i for i in reversed(range(len(group))) if _belongs(group[i], finding)), None)
    if position is None:
        group[:] = [_close(one, finding.opened_ns, changes) for one in group]
        opened = Episode(capped(finding, [one.finding for one in group]), finding.count)
        group.append(opened)
        group.sort(key=lambda one: one.finding.opened_ns)
        changes.append((Change.OPENED, opened))
        return
    episode = group[position]
    if finding.last_ns <= episode.finding.last_ns:
        _complete(group, position, finding, changes)
        return
    # The bucket that comes next after the known ones tells whether the episode had ended in between.
    episode = _close(episode, _next_hit(finding, episode.finding.last_ns), changes)
    joined = _joined(episode, finding)
    if HELD_BACK in joined.finding.hidden_by:
        joined = dataclasses.replace(joined, finding=capped(joined.finding, [one.finding for one in group]))
        if HELD_BACK not in joined.finding.hidden_by:
            group[position] = dataclasses.replace(joined, closed_ns=None)
            changes.append((Change.OPENED, group[position]))
            return
    if episode.closed_ns is None:
        group[position] = joined
        changes.append((Change.UPDATED, joined))
    else:
        group[position] = dataclasses.replace(joined, closed_ns=None, reopened=episode.reopened + 1)
        changes.append((Change.REOPENED, group[position]))


def _complete(group: list[Episode], position: int, finding: Finding, changes: list[tuple[Change, Episode]]) -> None:
    """What lies before the last that is known adds nothing but a part of the detection that had not fired yet."""
    episode = group[position]
    whole = with_kept(finding, episode.finding)
    if whole is not episode.finding:
        whole = dataclasses.replace(whole, is_late=whole.is_late or finding.is_late)
        group[position] = dataclasses.replace(episode, finding=whole)
        changes.append((Change.UPDATED, group[position]))


def _belongs(episode: Episode, finding: Finding) -> bool:
    reach_ns = CLOSE_AFTER_NS + REOPEN_WITHIN_NS
    known = episode.finding
    if known.uid == finding.uid:
        return True
    if finding.last_ns > known.last_ns:
        return _next_hit(finding, known.last_ns) < known.end_ns + reach_ns
    return finding.end_ns + reach_ns > known.opened_ns


def _next_hit(finding: Finding, after_ns: int) -> int:
    """The first bucket of a finding after an instant (its last one where the record holds none)."""
    starts = (hit.start_ns for one in finding.evidence.metrics for hit in one.hits if hit.start_ns > after_ns)
    return min(starts, default=finding.last_ns)


def _joined(episode: Episode, finding: Finding) -> Episode:
    first = episode.finding
    merged = dataclasses.replace(finding, uid=first.uid, opened_ns=first.opened_ns, hidden_by=first.hidden_by)
    merged = with_kept(first, merged)
    return dataclasses.replace(episode, finding=merged, peak_count=max(episode.peak_count, finding.count))


def _close(episode: Episode, now_ns: int, changes: list[tuple[Change, Episode]]) -> Episode:
    if episode.closed_ns is not None or now_ns < episode.ends_ns:
        return episode
    closed = dataclasses.replace(episode, closed_ns=episode.ends_ns)
    changes.append((Change.CLOSED, closed))
    return closed
