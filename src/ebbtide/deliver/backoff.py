"""How long to leave a sink alone after a failure, and when to give a delivery up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ebbtide.detect.detection import Duration
from ebbtide.series import DAY_NS, MINUTE_NS, SECOND_NS

#: A number in [0, 1), such as `random.Random(seed).random`.
Rng: TypeAlias = Callable[[], float]


class Retry(BaseModel):
    """A sink's patience.

    The n-th failure in a row waits a random time of 0 to min(`longest`, `first` x 2^(n-1)): full jitter, so that many
    that failed together do not come back together (Brooker, "Exponential Backoff And Jitter", AWS 2015). A delivery is
    given up after `attempts` of its own, or when it is older than `age` and an attempt fails. With the defaults one
    that its peer chokes on holds up the others for about eight hours.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: Annotated[Duration, Field(gt=0)] = SECOND_NS
    longest: Annotated[Duration, Field(gt=0)] = 5 * MINUTE_NS
    attempts: Annotated[int, Field(ge=1)] = 200
    age: Annotated[Duration, Field(gt=0)] = DAY_NS

    def wait_ns(self, failures: int, rng: Rng, retry_after_s: float | None = None) -> int:
        """Nanoseconds to wait after so many failures in a row (1 or more); never less than the peer asked for.

        >>> Retry().wait_ns(3, lambda: 0.5)
        2000000000
        """
        ceiling_ns = min(self.longest, self.first * 2 ** min(failures - 1, 40))
        return max(int(ceiling_ns * rng()), round((retry_after_s or 0.0) * SECOND_NS))
