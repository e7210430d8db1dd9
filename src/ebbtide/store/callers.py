"""How well known each place of a cluster is there: by how many entities, and how few contacts go to the less known.

A new contact of a process most often goes where others go already: DNS, metrics, a shared database. One that goes to a
place hardly anybody knows is rarer, by the share of contacts that do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Entity, Float64, Int64
from ebbtide.store.places import is_inside

_KEY = np.dtype([("cluster", np.int64), ("place", np.int64)])


@dataclass(frozen=True, slots=True, eq=False)
class Callers:
    """What was known when a day began. `keys` (places,) are (cluster of the entity, place inside) in order, `many`
    (places,) by how many entities of that cluster each was met. `cluster_of` (entities,) has each entity's cluster.
    `steps` has of each cluster its `many` in ascending order, and how many contacts go to the first n of them (n + 1,),
    one more to each. `doubt` is how many contacts the share of an unknown cluster counts as.
    """

    keys: NDArray[np.void]
    many: Int64
    cluster_of: Int64
    steps: dict[int, tuple[Int64, Float64]]
    doubt: float

    @classmethod
    def of(cls, pairs: NDArray[np.void], entities: Sequence[Entity], doubt: float) -> Callers:
        """From all (entity, place) ever met; `entities` by number."""
        numbers: dict[str, int] = {}
        cluster_of = np.array([numbers.setdefault(one.cluster, len(numbers)) for one in entities], np.int64)
        inside = pairs[is_inside(pairs["place"])]
        keys, many = np.unique(_keys(cluster_of[inside["entity"]], inside["place"]), return_counts=True)
        steps = {}
        for cluster in np.unique(keys["cluster"]).tolist():
            ascending = np.sort(many[keys["cluster"] == cluster])
            steps[cluster] = ascending, np.cumsum(np.insert(ascending + 1.0, 0, 0.0))
        return cls(keys, many, cluster_of, steps, doubt)

    def seldom(self, entity: Int64, place: Int64, known: int = 0) -> Float64:
        """Of the contacts in the entity's cluster, and one more to expect of each place, the share that goes to places
        no better known than this one; (rows,), above 0 and at most 1.

        `known` is how many of those who know it do not count: 1 where the entity itself is among them. 1 for entities
        that came since, and where nothing is known.
        """
        share = np.ones(len(entity))
        rows = np.flatnonzero(entity < len(self.cluster_of))
        if not len(self.keys) or not len(rows):
            return share
        keys = _keys(self.cluster_of[entity[rows]], place[rows])
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        many = np.maximum(np.where(self.keys[at] == keys, self.many[at], 0) - known, 0)
        for cluster, (ascending, contacts) in self.steps.items():
            of = keys["cluster"] == cluster
            below = contacts[np.searchsorted(ascending, many[of], side="right")]
            share[rows[of]] = (below + self.doubt) / (contacts[-1] + self.doubt)
        return share


def _keys(cluster: Int64, place: Int64) -> NDArray[np.void]:
    keys = np.empty(len(place), _KEY)
    keys["cluster"], keys["place"] = cluster, place
    return keys
