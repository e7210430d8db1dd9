"""What people decide about a finding, and what follows from it for what is learned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """What a finding turned out to be. Only `attack` stays out of the baseline: the rest is how the entity behaves."""

    ATTACK = "attack"
    BENIGN = "benign"
    EXPECTED = "expected"
    UNSURE = "unsure"

    @property
    def masks(self) -> bool:
        """Whether the time of the finding must not be learned from."""
        return self is Verdict.ATTACK


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict on one finding, by whom, why and when."""

    uid: str
    verdict: Verdict
    author: str
    note: str
    at_ns: int
