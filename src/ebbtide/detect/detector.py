"""The contract of a detector: a window and what was usual go in, anomalies come out.

A detector is pure. It is called from one thread, once per shard of entities; it must not keep or change its arguments,
and its result for an entity must not depend on which other entities share the shard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ebbtide.baseline.moments import Moments
from ebbtide.series import Float64, Int32, Int64, Window


class Options(BaseModel):
    """What a detector can be told; unknown keys are refused. Subclassed by each detector."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """What was usual for the window's entities and metrics, in the same order and in the statistic that is tested.

    `moments` are (entities, metrics), count 0 where nothing is known. They cover [from_ns, to_ns); `snapped` says that
    `from_ns` was moved to a full hour because only summaries reach back that far.
    """

    moments: Moments
    from_ns: int
    to_ns: int
    snapped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Anomalies:
    """What a detector found in one window, and what it could not judge.

    Hits are rows (h,), ordered by entity, bucket, metric: `entity` and `metric` (int32) index the window's, `bucket_ns`
    (int64) is the bucket's start, `value`, `mean`, `stdev` and `line` (float64) are in the unit of the statistic.
    `stdev` is what took the place of the standard deviation (NaN never). `count` (entities,) is how many hits count,
    `fired` (entities,) whether they are enough. `unscored` tells, for each reason, how many (entity, metric) pairs that
    sent something could not be judged, as a mask (entities, metrics). `lines` (entities, metrics) is what a bucket has
    to exceed, NaN where nothing is known.
    """

    entity: Int32
    metric: Int32
    bucket_ns: Int64
    value: Float64
    mean: Float64
    stdev: Float64
    line: Float64
    count: Int64
    fired: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    lines: Float64
    unscored: dict[str, NDArray[np.bool_]]


O = TypeVar("O", bound=Options, contravariant=True)  # noqa: E741 the usual letter for options


class Detector(Protocol, Generic[O]):
    """Judges windows. Stateless; everything it may be told is in its options."""

    name: ClassVar[str]
    options: ClassVar[type[Options]]

    def score(self, window: Window, baseline: Baseline, options: O) -> Anomalies:
        """Anomalies of every entity of the window. Legal: no entities, no points, no baseline. Raises nothing."""
        ...
