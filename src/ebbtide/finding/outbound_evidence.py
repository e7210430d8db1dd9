"""What a finding of the outbound detector rests on: enough to judge the instant again, and to say why.

Plain numbers only. Maxima of closed days, what was usual at that hour, the sums themselves and the scale of the day are
all there, so the score can be repeated when nothing else is left.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebbtide.detect.outbound_scale_form import DayScale


@dataclass(frozen=True, slots=True)
class Part:
    """What one statistic contributed: its name, `value` and `record` (logarithms), `surprise` in nats.

    `record_days_ago` valid days before, None where there is no record. `return_days` is exp(surprise): a day like this
    is expected once in so many days. `days` are the valid days it is compared with.
    """

    statistic: str
    value: float
    record: float
    record_days_ago: int | None
    surprise: float
    return_days: float
    days: int


@dataclass(frozen=True, slots=True)
class MixEvidence:
    """Where the entity's bytes of the last hour went: `total`, of it `unfamiliar` to places never met before, `overlap`
    the share that went where its usual mix would send it (NaN: nothing sent), `line` from what overlap on it is the
    usual one. `known_places` and `usual_mix` are the nats these clues took off the score, `shift` what was added
    because the scale that ships knows no clues.
    """

    total: float
    unfamiliar: float
    overlap: float
    line: float
    known_places: float
    usual_mix: float
    shift: float


@dataclass(frozen=True, slots=True)
class PairEvidence:
    """One metric of the entity at the instant.

    `sent`, `received`, `covered` are of the last 1, 6 and 24 hours (unit of the metric; known share). `score` is S;
    `ratio` and `volume` the channels' parts of it (-inf where absent). `others_*` is how many other pairs were
    surprising with it. `maxima` are, per statistic, the closed days' maxima that were looked at, oldest first, NaN
    where not valid. `mix` is None for an entity without a usual mix.
    """

    metric: str
    floor: float
    sent: tuple[float, ...]
    received: tuple[float, ...]
    covered: tuple[float, ...]
    score: float
    ratio: float
    volume: float
    others_ratio: float
    others_volume: float
    has_received: bool
    usual_volume: float
    usual_inbound: float
    usual_ratio: float
    ratio_spread: float
    cusum: float
    maxima: tuple[tuple[float, ...], ...]
    parts: tuple[Part, ...]
    mix: MixEvidence | None = None


@dataclass(frozen=True, slots=True)
class OutboundEvidence:
    """The verdict: `score` S above `threshold`, which is what `budget` findings per 1000 entity-days leave.

    `hour` is the UTC hour of day, `at_ns` the instant (0 where it was not recorded). exp(-S)
    reads "findings this surprising per 1000 entity-days".
    """

    score: float
    threshold: float
    budget: float
    hour: int
    scale: DayScale
    pairs: tuple[PairEvidence, ...]
    at_ns: int = 0

    @property
    def main(self) -> PairEvidence:
        """The metric that decided."""
        return max(self.pairs, key=lambda one: one.score)
