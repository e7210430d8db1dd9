"""What a finding of the novelty detector rests on: enough to judge the hour again, and to say why.

Plain numbers only: the facts of the entity, the new destinations that decided, and the scale of the day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ebbtide.detect.novelty_options import Channel


@dataclass(frozen=True, slots=True)
class NewPlaces:
    """New destinations of one kind: how many, their bytes, and the one that decided: its bytes and its rank by size
    (0: the largest), as `rank` + 1 that large are what is surprising. `seldom` is the share of the cluster's contacts
    that go to places no better known than that one (1 outside). `is_familiar`: others of the same process know it, or
    all of the workload met it in that hour."""

    count: int
    sent: float
    deciding: float
    rank: int
    is_familiar: bool = False
    seldom: float = 1.0


@dataclass(frozen=True, slots=True)
class NoveltyEvidence:
    """The verdict: `score` S above `threshold`, which is what `budget` findings per 1000 entity-days leave.

    `parts` are the channels' surprises in the order of `Channel`, -inf where nothing is new. `facts` are those of
    `ebbtide.detect.novelty.Facts`, by name, flags as 0 and 1. `usual` and `shift` are the day's scale, `at_ns` is
    the instant (0 where it was not recorded). `image` is what the workload changed to at `image_since_ns`, where that
    was within the hours of a probation, else "" and 0.
    """

    score: float
    threshold: float
    budget: float
    parts: tuple[float, ...]
    facts: Mapping[str, float]
    outside: NewPlaces | None
    inside: NewPlaces | None
    usual: tuple[float, ...]
    shift: tuple[float, ...]
    at_ns: int = 0
    image: str = ""
    image_since_ns: int = 0

    @property
    def main(self) -> Channel:
        """The channel that decided."""
        return max(Channel, key=lambda channel: self.parts[channel])
