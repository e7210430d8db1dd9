"""Detector `novelty` as detections name it: its settings, and why it is judged on its own path.

It compares the last hour's destinations with all that were ever met, not a window with moments, so the engine hands it
what the store has learned instead of calling `score`.
"""

from __future__ import annotations

import math
from typing import ClassVar

from pydantic import Field

from ebbtide.detect.detector import Options


class NoveltySettings(Options):
    """What can be set in a detection. Nothing that is stored depends on it, so it can change at any time."""

    budget: float = Field(1.0, gt=0, le=400)
    """False findings that are acceptable, per 1000 entity-days: the knob."""

    findings_per_day: float = Field(3.0, gt=0)
    """The same for the whole installation; the lower of the two counts."""

    def effective_budget(self, entities: int) -> float:
        """Findings per 1000 entity-days for an installation with so many entities.

        >>> NoveltySettings().effective_budget(100), NoveltySettings().effective_budget(10_000)
        (1.0, 0.3)
        """
        return min(self.budget, self.findings_per_day * 1000.0 / max(entities, 1))

    def threshold(self, entities: int) -> float:
        """What S must exceed."""
        return -math.log(self.effective_budget(entities))


class Novelty:
    """Surprise of what is new: destinations, processes, wakings, UDP, fan-out, under one budget of false findings."""

    name: ClassVar[str] = "novelty"
    options: ClassVar[type[Options]] = NoveltySettings
