"""Judge a finding of the novelty detector again, from its evidence alone."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ebbtide.detect.novelty import Facts, Met, NoveltyScale, score_novelty
from ebbtide.detect.novelty_options import NoveltyOptions
from ebbtide.finding.novelty_evidence import NoveltyEvidence

_FLAGS = ("is_new", "is_stranger", "had_udp", "is_steady_stranger", "in_probation", "is_familiar")


def facts_of(evidence: NoveltyEvidence) -> Facts:
    """The facts as the detector takes them, of one entity; raises KeyError where one is missing."""
    # `Any`: a mapping of names to columns of two types.
    columns: dict[str, Any] = {one.name: _one(one.name, evidence.facts[one.name]) for one in fields(Facts)}
    return Facts(**columns)


def repeat_score(evidence: NoveltyEvidence, options: NoveltyOptions) -> float:
    """S of the evidence; raises KeyError where a fact is missing."""
    facts = facts_of(evidence)
    kinds = [(one, is_inside) for one, is_inside in ((evidence.outside, False), (evidence.inside, True)) if one]
    met = Met(
        np.zeros(len(kinds), np.int64),
        np.array([is_inside for _, is_inside in kinds], np.bool_),
        np.array([one.deciding for one, _ in kinds], np.float64),
        np.array([one.rank for one, _ in kinds], np.int64),
        np.array([one.seldom for one, _ in kinds], np.float64),
        np.array([one.is_familiar for one, _ in kinds], np.bool_),
    )
    scale = NoveltyScale(np.array(evidence.usual), np.array(evidence.shift))
    return float(score_novelty(facts, met, scale, options).score[0])


def _one(name: str, value: float) -> NDArray[np.generic]:
    return np.array([value], np.bool_ if name in _FLAGS else np.float64)
