"""One budget of findings for the default detections, shared among those that run.

In: what an operator accepts. Out: the same detections with options that keep to it. Without this each detection would
have a budget of its own, and their sum would be what people are told.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

from ebbtide.detect.catalogue import Catalogue
from ebbtide.detect.detection import Detection
from ebbtide.detect.joined_detector import Joined, JoinedSettings
from ebbtide.detect.novelty_detector import Novelty
from ebbtide.detect.outbound_detector import Outbound

_PARTS = (Joined.name, Outbound.name, Novelty.name)


@dataclasses.dataclass(frozen=True, slots=True)
class Budget:
    """What is acceptable, all default detections together; None: what the detections' own files say.

    `per_1000` findings per 1000 entity-days and `per_day` findings a day of the installation, the lower of which
    counts; `novelty_share` is novelty's part of both, `per_entity_day` how many of one entity are told a day.
    """

    per_1000: float | None = None
    per_day: float | None = None
    novelty_share: float | None = None
    per_entity_day: int | None = None


def with_budget(catalogue: Catalogue, running: Collection[str], budget: Budget) -> Catalogue:
    """The catalogue with this budget in the options of its default detections; `running` are the ids that run.

    Where `outbound` and `novelty` run each by itself and no detection joins them, they share it; a single one has all.
    """
    known = catalogue.detections
    of = {name: [id for id in running if id in known and known[id].detector == name] for name in _PARTS}
    changed = {id: _changed(one, budget, of) for id, one in known.items()}
    return Catalogue(changed, catalogue.origin)


def _changed(detection: Detection, budget: Budget, of: Mapping[str, list[str]]) -> Detection:
    if detection.detector not in _PARTS:
        return detection
    share = 1.0
    if detection.detector != Joined.name and of[Outbound.name] and of[Novelty.name] and not of[Joined.name]:
        novelty = JoinedSettings().novelty_share if budget.novelty_share is None else budget.novelty_share
        share = novelty if detection.detector == Novelty.name else 1.0 - novelty
    wanted: dict[str, object] = {
        "budget": None if budget.per_1000 is None else budget.per_1000 * share,
        "findings_per_day": None if budget.per_day is None else budget.per_day * share,
    }
    if detection.detector == Joined.name:
        wanted |= {"novelty_share": budget.novelty_share, "findings_per_entity_day": budget.per_entity_day}
    options = {name: value for name, value in wanted.items() if value is not None}
    return detection.model_copy(update={"options": {**detection.options, **options}})
