"""What a day's scores are measured with, as JSON and back.

Kept with the day, so that a score can be repeated long after the scores it was learned from are gone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ebbtide.baseline.calibration import Curve
from ebbtide.baseline.calibration_context import Context
from ebbtide.baseline.records import RecordModels
from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_clues import ClueOptions, clue_share
from ebbtide.detect.outbound_scale import ChannelScale, OutboundScale
from ebbtide.errors import DataError
from ebbtide.series import Float64

_SHIPPED = shipped_models()


@dataclass(frozen=True, slots=True, eq=False)
class DayScale:
    """A day's scale and the thresholds on S for budgets (findings per 1000 entity-days), rare first.

    `plain` are the thresholds without clues (None: the same), `thresholds` those with the clues that ship. `entities`
    is how many were learned from on the last day; `is_own` says that the fleet's own scores were, not those that ship.
    `own_models` are the fleet's record models, None where it has none.
    """

    scale: OutboundScale
    budgets: Float64
    thresholds: Float64
    entities: int
    is_own: bool
    plain: Float64 | None = None
    own_models: RecordModels | None = None

    @property
    def models(self) -> RecordModels:
        """The record models of the day: the fleet's own, or those that ship."""
        return _SHIPPED if self.own_models is None else self.own_models

    def under(self, options: ClueOptions) -> DayScale:
        """The scale with the thresholds for other clues: in proportion to their nats between those that were learned.

        Exact without clues and with those that ship; more than those have the same thresholds.
        """
        share = clue_share(options)
        if self.plain is None or share == 1.0:
            return self
        return replace(self, thresholds=self.plain + share * (self.thresholds - self.plain))

    def shift(self, options: ClueOptions) -> float:
        """Nats added to the score of who has a usual mix: none on a scale that the fleet learned with clues."""
        return 0.0 if self.is_own else options.shipped_shift * clue_share(options)

    def threshold(self, budget: float) -> float:
        """The threshold for a budget, linear in its logarithm, held at the ends."""
        return float(np.interp(np.log(budget), np.log(self.budgets), self.thresholds))

    def budget(self, score: float) -> float:
        """The budget whose threshold a score is; beyond the rarest one, what the score itself says."""
        order = np.argsort(self.thresholds, kind="stable")
        told = float(np.exp(np.interp(score, self.thresholds[order], np.log(self.budgets[order]))))
        return told if score <= self.thresholds.max() else min(told, float(np.exp(-score)))


def to_object(one: DayScale) -> dict[str, object]:
    """The scale as JSON-ready dictionaries and lists."""
    row: dict[str, object] = {
        "ratio": _channel(one.scale.ratio),
        "volume": _channel(one.scale.volume),
        "budgets": one.budgets.tolist(),
        "thresholds": one.thresholds.tolist(),
        "entities": one.entities,
        "is_own": one.is_own,
        "plain": None if one.plain is None else one.plain.tolist(),
    }
    if one.own_models is not None:
        row["models"] = {name: getattr(one.own_models, name).tolist() for name in RecordModels.__slots__}
    return row


def to_json(one: DayScale) -> str:
    """The scale as one JSON object."""
    return json.dumps(to_object(one))


def from_object(found: Any) -> DayScale:
    """The scale that `to_object` made. Raises DataError for anything else."""
    try:
        return DayScale(
            OutboundScale(_read(found["ratio"]), _read(found["volume"])),
            _array(found["budgets"]),
            _array(found["thresholds"]),
            int(found["entities"]),
            bool(found["is_own"]),
            None if found.get("plain") is None else _array(found["plain"]),
            _models(found["models"]) if found.get("models") else None,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"not a stored scale: {error}") from error


def from_json(text: str) -> DayScale:
    """The scale that `to_json` wrote. Raises DataError for anything else."""
    try:
        return from_object(json.loads(text))
    except ValueError as error:
        raise DataError(f"not a stored scale: {error}") from error


def _channel(one: ChannelScale) -> dict[str, object]:
    return {
        "passing": one.context.passing,
        "others": one.context.others,
        "rhythm": one.context.rhythm.tolist(),
        "scores": one.curve.scores.tolist(),
        "log_budget": one.curve.log_budget.tolist(),
    }


def _read(found: Any) -> ChannelScale:
    context = Context(float(found["passing"]), float(found["others"]), _array(found["rhythm"]))
    return ChannelScale(context, Curve(_array(found["scores"]), _array(found["log_budget"])))


def _models(found: Any) -> RecordModels:
    models = RecordModels(*(np.array(found[name], np.float64) for name in RecordModels.__slots__))
    for name in RecordModels.__slots__:
        if getattr(models, name).shape != getattr(_SHIPPED, name).shape:
            raise ValueError(f"record models of another shape: {name}")
    return models


def _array(values: Any) -> Float64:
    return np.array([float(one) for one in values], np.float64)
