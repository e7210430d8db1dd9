"""Detector `outbound` as detections name it: its settings, and why it is judged on its own path.

It compares trailing sums with records of closed days, not a window with moments, so the engine hands it what the store
has learned instead of calling `score`.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from pydantic import Field

from ebbtide.detect.detector import Options
from ebbtide.detect.outbound_clues import CLUES
from ebbtide.detect.outbound_options import OutboundOptions


class OutboundSettings(Options):
    """What can be set in a detection. What is learned does not depend on it, so it can change at any time."""

    budget: float = Field(10.0, gt=0, le=400)
    """False findings that are acceptable, per 1000 entity-days: the knob. A smaller one misses smaller attacks."""

    findings_per_day: float = Field(10.0, gt=0)
    """The same for the whole installation; the lower of the two counts."""

    ratio_share: float = Field(0.8, gt=0, lt=1)
    """The share of the budget for sending that receiving does not explain; plain volume has the rest."""

    known_places: float = Field(2.0, ge=0, le=10)
    """What is taken off the score (nats) where nearly all bytes go to places the entity sent to before; 0: nothing."""

    usual_mix: float = Field(2.0, ge=0, le=10)
    """The same where the bytes are spread over places as they usually are."""

    def effective_budget(self, entities: int) -> float:
        """Findings per 1000 entity-days for an installation with so many entities.

        >>> OutboundSettings().effective_budget(252), OutboundSettings().effective_budget(10_000)
        (10.0, 1.0)
        """
        return min(self.budget, self.findings_per_day * 1000.0 / max(entities, 1))

    def options(self) -> OutboundOptions:
        """The options of the pure functions."""
        clues = dataclasses.replace(CLUES, known_places=self.known_places, usual_mix=self.usual_mix)
        return dataclasses.replace(OutboundOptions(), budget=self.budget, ratio_share=self.ratio_share, clues=clues)


class Outbound:
    """Surprise of what leaves, against the records of each process, under one budget of false findings."""

    name: ClassVar[str] = "outbound"
    options: ClassVar[type[Options]] = OutboundSettings
