"""Detector `joined` as detections name it: outbound and novelty at the same instant, under one budget.

It has no statistic of its own. Each part is judged with its share of the budget, and what fires for one entity is one
finding, so that the budget counts what people are told.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from ebbtide.detect.detector import Options
from ebbtide.detect.novelty_detector import NoveltySettings
from ebbtide.detect.outbound_detector import OutboundSettings


class JoinedSettings(Options):
    """What can be set in a detection. What is learned does not depend on it, so it can change at any time."""

    budget: float = Field(10.0, gt=0, le=400)
    """False findings that are acceptable, per 1000 entity-days, all parts together: the knob."""

    findings_per_day: float = Field(10.0, gt=0)
    """The same for the whole installation; the lower of the two counts."""

    novelty_share: float = Field(0.1, gt=0, lt=1)
    """The share of both for what is new; what is unusual in amount has the rest."""

    ratio_share: float = Field(0.8, gt=0, lt=1)
    """Of the amount's share, the part for sending that receiving does not explain; plain volume has the rest."""

    known_places: float = Field(2.0, ge=0, le=10)
    """What is taken off the amount's score (nats) where nearly all bytes go to places the entity sent to before; 0:
    nothing."""

    usual_mix: float = Field(2.0, ge=0, le=10)
    """The same where the bytes are spread over places as they usually are."""

    findings_per_entity_day: int = Field(1, ge=1)
    """So many findings of one entity are told on one day (UTC); later ones only where they are surer than all told."""

    fleet_least: int = Field(10, ge=2)
    """So many entities of a cluster that begin within an hour are one finding about the fleet; half as many where they
    send to the same place never seen before."""

    receiver_least: int = Field(2, ge=2)
    """So many entities that send unusually much to one workload of the cluster within 24 h, and nothing new, are one
    finding about that workload."""

    def outbound(self) -> OutboundSettings:
        """What the outbound part is judged with.

        >>> JoinedSettings().outbound().budget, JoinedSettings().novelty().budget
        (9.0, 1.0)
        """
        rest = 1.0 - self.novelty_share
        return OutboundSettings(
            budget=self.budget * rest,
            findings_per_day=self.findings_per_day * rest,
            ratio_share=self.ratio_share,
            known_places=self.known_places,
            usual_mix=self.usual_mix,
        )

    def novelty(self) -> NoveltySettings:
        """What the novelty part is judged with."""
        share = self.novelty_share
        return NoveltySettings(budget=self.budget * share, findings_per_day=self.findings_per_day * share)


class Joined:
    """What leaves by its amount and by what is new about it: one verdict per entity, one budget of false findings."""

    name: ClassVar[str] = "joined"
    options: ClassVar[type[Options]] = JoinedSettings
