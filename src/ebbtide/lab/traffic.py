"""Traffic of a fleet on a fixed grid: what detectors are judged on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Float64

DAY_S = 86_400
HOUR_S = 3_600


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """Bytes sent and received per step, (entities, steps) float64, NaN where nothing is known.

    The grid starts at `start_s` (Unix seconds, a UTC midnight) and has whole days of steps of `step_s` seconds.
    """

    names: tuple[str, ...]
    sent: Float64
    received: Float64
    start_s: int
    step_s: int

    @property
    def steps_per_hour(self) -> int:
        """Steps in an hour."""
        return HOUR_S // self.step_s

    @property
    def steps_per_day(self) -> int:
        """Steps in a day."""
        return DAY_S // self.step_s

    @property
    def days(self) -> int:
        """Whole days on the grid."""
        return int(self.sent.shape[1]) // self.steps_per_day

    def take(self, entities: NDArray[np.int64]) -> Traffic:
        """The traffic of some entities."""
        names = tuple(self.names[int(entity)] for entity in entities)
        return Traffic(names, self.sent[entities], self.received[entities], self.start_s, self.step_s)

    def cut(self, entities: NDArray[np.int64], first_step: NDArray[np.int64], steps: int) -> tuple[Float64, Float64]:
        """Sent and received of (entity, first step) rows, (rows, steps) each; NaN outside the grid."""
        at = first_step[:, None] + np.arange(steps)
        inside = (at >= 0) & (at < self.sent.shape[1])
        place = np.clip(at, 0, self.sent.shape[1] - 1)
        rows = entities[:, None]
        return (
            np.where(inside, self.sent[rows, place], np.nan),
            np.where(inside, self.received[rows, place], np.nan),
        )
