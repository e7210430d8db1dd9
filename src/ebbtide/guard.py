"""The cardinality guard: what one cluster, workload or entity may add to the names the store keeps.

A pure step between a decoded batch and the store. Labels come from what runs in the clusters, so a process can make up
names without end; without a bound they would fill memory and disk, and with a bound for all together one pod would
starve the rest. What exceeds a cap is not dropped but folded, so that flooding hides no bytes: processes into
`(other)`, destinations into `(other)`, series into one of `FOLDS` per sender and metric. Everything folded or dropped
is counted.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from ebbtide.detect.detection import Duration
from ebbtide.series import HOUR_NS, MINUTE_NS, Batch, Endpoint, Entity, Int64, Series

#: Stands for everything over a cap.
OTHER = "(other)"
#: Series of one sender and metric that those over the cap are folded into: one for each batch, by what it holds, so
#: that a batch that comes again is known, and two batches of one instant are rarely taken for the same.
FOLDS = 4096

#: What a folded series has in place of its attributes, as one JSON object.
_FOLDED = '{"ebbtide.folded":true}'

Workload = tuple[str, str, str]


class Caps(BaseModel):
    """How many names are active at once, per cluster where it does not say otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    clusters: Annotated[int, Field(ge=1)] = 100
    """Clusters. Data of further ones are dropped and counted."""

    entities: Annotated[int, Field(ge=1)] = 20_000
    series: Annotated[int, Field(ge=1)] = 500_000
    destinations: Annotated[int, Field(ge=1)] = 1_000
    """Destinations of one entity that are told apart; the first come, idle ones make room."""

    share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The part of entities and series of its cluster that one workload may take."""

    idle: Annotated[Duration, Field(gt=0)] = HOUR_NS
    """What was not seen for so long makes room."""


@dataclass(slots=True)
class _Seen:
    """Names of one kind in one cluster: for each workload its names, with the minute each was seen last."""

    cap: int
    share: int
    total: int = 0
    swept: int = 0
    of: dict[Workload, dict[int | Entity, int]] = field(default_factory=dict)

    def admit(self, workload: Workload, name: int | Entity, minute: int, idle: int) -> bool:
        names = self.of.setdefault(workload, {})
        if name not in names:
            is_full = len(names) >= self.share or self.total >= self.cap
            if is_full and self.swept < minute:
                self.sweep(minute, idle)
                names = self.of.setdefault(workload, {})
                is_full = len(names) >= self.share or self.total >= self.cap
            if is_full:
                return False
            self.total += 1
        names[name] = minute
        return True

    def sweep(self, minute: int, idle: int) -> None:
        """Forget what was not seen for `idle` minutes; at most once a minute, since it looks at everything."""
        self.swept = minute
        kept = {who: {name: at for name, at in names.items() if at > minute - idle} for who, names in self.of.items()}
        self.of = {who: names for who, names in kept.items() if names}
        self.total = sum(len(names) for names in self.of.values())


@dataclass(slots=True)
class _Cluster:
    entities: _Seen
    series: _Seen
    minute: int = 0


class Guard:
    """Keeps count of what is active. `admit` is called for each batch before it is stored, from one thread.

    `counts` say what was folded or dropped: `folded_entities`, `folded_destinations` (series), `folded_series`,
    `dropped_clusters` (points).
    """

    def __init__(self, caps: Caps | None = None) -> None:
        self.caps = caps or Caps()
        self.counts: Counter[str] = Counter()
        self._clusters: dict[str, _Cluster] = {}
        self._destinations: dict[Entity, dict[Endpoint, int]] = {}
        #: Series that passed as they were, and when that was looked at: for a quarter of `idle` it is not again.
        self._passed: dict[int, int] = {}
        self._forgot = 0

    def admit(self, batch: Batch, now_ns: int) -> Batch:
        """The batch with what exceeds a cap folded or dropped; its own `counts` stay as they are."""
        minute = now_ns // MINUTE_NS
        taken = self._changed(batch.series, minute)
        self._forget_idle(minute)
        if taken is None:
            return batch
        is_folded = np.array([one is not None and one.attributes == _FOLDED for one in taken], bool)
        if is_folded.any():
            taken = _with_keys(taken)
        series: list[Series] = []
        places: dict[int, int] = {}
        at = np.full(len(batch.series), -1, np.int64)
        for number, one in enumerate(taken):
            if one is not None:
                at[number] = places.setdefault(one.key, len(series))
                if at[number] == len(series):
                    series.append(one)
        kept = at[batch.ref] >= 0
        self.counts["dropped_clusters"] += int((~kept).sum())
        return _folded(batch, tuple(series), at, is_folded, np.flatnonzero(kept))

    def active(self) -> dict[str, dict[str, int]]:
        """By cluster how many `entities` and `series` are active."""
        return {
            name: {"entities": one.entities.total, "series": one.series.total} for name, one in self._clusters.items()
        }

    def _changed(self, series: tuple[Series, ...], minute: int) -> list[Series | None] | None:
        """What becomes of these series; None where they all stay as they are, which costs next to nothing."""
        taken: list[Series | None] | None = None
        passed, since = self._passed, minute - max(1, self.caps.idle // MINUTE_NS // 4)
        for number, one in enumerate(series):
            if passed.get(one.key, -1) > since:
                continue
            found = self._take(one, minute)
            if found is one:
                passed[one.key] = minute
                continue
            passed.pop(one.key, None)
            if taken is None:
                taken = list(series)
            taken[number] = found
        return taken

    def _take(self, one: Series, minute: int) -> Series | None:
        who = one.sender or one.receiver
        name = who.cluster if who is not None else ""
        cluster = self._cluster(name, minute)
        if cluster is None:
            return None
        idle = max(1, self.caps.idle // MINUTE_NS)
        sender, receiver = (self._entity(entity, minute, idle) for entity in (one.sender, one.receiver))
        destination = self._destination(sender, one.destination, minute)
        workload = (name, who.namespace, who.workload) if who is not None else ("", "", "")
        if cluster.series.admit(workload, one.key, minute, idle):
            if (sender, receiver, destination) == (one.sender, one.receiver, one.destination):
                return one
            return dataclasses.replace(one, sender=sender, receiver=receiver, destination=destination)
        self.counts["folded_series"] += 1
        place = dataclasses.replace(one.destination, cluster="", namespace="", workload=OTHER, process="")
        return dataclasses.replace(
            one, sender=sender, receiver=receiver, destination=place, image_version="", attributes=_FOLDED
        )

    def _cluster(self, name: str, minute: int) -> _Cluster | None:
        found = self._clusters.get(name)
        if found is None:
            if len(self._clusters) >= self.caps.clusters:
                idle = minute - max(1, self.caps.idle // MINUTE_NS)
                self._clusters = {key: one for key, one in self._clusters.items() if one.minute > idle}
            if len(self._clusters) >= self.caps.clusters:
                return None
            caps = self.caps
            found = self._clusters[name] = _Cluster(
                _Seen(caps.entities, max(1, int(caps.entities * caps.share))),
                _Seen(caps.series, max(1, int(caps.series * caps.share))),
            )
        found.minute = minute
        return found

    def _entity(self, entity: Entity | None, minute: int, idle: int) -> Entity | None:
        """The entity, or what stands for it where there is no room for its process, or for its workload."""
        if entity is None:
            return None
        cluster = self._cluster(entity.cluster, minute)
        if cluster is None:
            return None
        workload = (entity.cluster, entity.namespace, entity.workload)
        if cluster.entities.admit(workload, entity, minute, idle):
            return entity
        self.counts["folded_entities"] += 1
        is_known = workload in cluster.entities.of
        return dataclasses.replace(entity, workload=entity.workload if is_known else OTHER, process=OTHER)

    def _destination(self, sender: Entity | None, place: Endpoint, minute: int) -> Endpoint:
        if sender is None:
            return place
        known = self._destinations.setdefault(sender, {})
        if place in known or len(known) < self.caps.destinations:
            known[place] = minute
            return place
        self.counts["folded_destinations"] += 1
        return dataclasses.replace(place, cluster="", namespace="", workload=OTHER, process="")

    def _forget_idle(self, minute: int) -> None:
        """Once in a while, destinations and series that were not seen for long make room."""
        idle = max(1, self.caps.idle // MINUTE_NS)
        if minute - self._forgot < idle:
            return
        self._forgot = minute
        self._passed = {key: at for key, at in self._passed.items() if at > minute - idle}
        kept = {
            who: {place: at for place, at in places.items() if at > minute - idle}
            for who, places in self._destinations.items()
        }
        self._destinations = {who: places for who, places in kept.items() if places}


def _with_keys(taken: list[Series | None]) -> list[Series | None]:
    """Folded series with their new key: one for what they have in common, told apart by the least key among them."""
    least: dict[tuple[object, ...], int] = {}
    for one in taken:
        if one is not None and one.attributes == _FOLDED:
            least[_common(one)] = min(least.get(_common(one), one.key), one.key)
    return [
        dataclasses.replace(one, key=_key(_common(one), least[_common(one)] % FOLDS))
        if one is not None and one.attributes == _FOLDED
        else one
        for one in taken
    ]


def _common(one: Series) -> tuple[object, ...]:
    return one.metric, one.sender, one.receiver, one.source, one.destination


def _key(common: tuple[object, ...], fold: int) -> int:
    text = repr((common, fold))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big", signed=True)


def _folded(batch: Batch, series: tuple[Series, ...], at: Int64, is_folded: NDArray[np.bool_], kept: Int64) -> Batch:
    """The kept samples; those of folded series with one end are one sample, so that none is taken for a repetition."""
    ref, end = at[batch.ref[kept]], batch.end_ns[kept]
    start, value = batch.start_ns[kept], batch.value[kept]
    folded = is_folded[batch.ref[kept]]
    # A counter's reading says nothing about a sum of counters.
    reading = np.where(folded, np.nan, batch.reading[kept])
    group = np.where(folded, ref, -1 - np.arange(len(ref)))
    _, first, to = np.unique(np.stack([group, end]), axis=1, return_index=True, return_inverse=True)
    to = to.reshape(-1)
    unknown = folded & np.isnan(value)
    total = np.bincount(to, np.where(unknown, 0.0, value), len(first)).astype(np.float64)
    begins = np.full(len(first), np.iinfo(np.int64).max)
    np.minimum.at(begins, to, start)
    order = np.argsort(first, kind="stable")
    first = first[order]
    return dataclasses.replace(
        batch,
        series=series,
        ref=ref[first].astype(np.int32),
        start_ns=begins[order],
        end_ns=end[first],
        value=total[order],
        reading=reading[first],
    )
