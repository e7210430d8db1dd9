"""What can be set about the outbound volume detector, with the reason for each default."""

from __future__ import annotations

from dataclasses import dataclass

from ebbtide.baseline.trailing_statistics import Statistic
from ebbtide.detect.outbound_clues import CLUES, ClueOptions


@dataclass(frozen=True, slots=True)
class OutboundOptions:
    """Options of the outbound detector. The figures behind the defaults are in docs/quality.md.

    `budget`                  findings per 1000 entity-days; the only knob most users need.
    `floor_per_hour`          in the metric's unit; below it an hour's traffic hardly counts. 10 MB for bytes.
    `ratio_weights`,
    `volume_weights`          how much each statistic's surprise adds to its channel. The optimum is flat: half or
                              double of any weight moves recall by a point or two.
    `history_days`            windows of daily maxima whose surprises are averaged.
    `usual_days`, `usual_minimum`   days of hourly maxima for the usual hour, and values that must be known.
    `ratio_days`, `ratio_minimum`   days of the hourly ratio for the drip, and hours that must be known.
    `drip_drift`, `drip_clip` in spreads per hour: what is forgiven, and how much one hour may count.
    `bound_scales`            a day lifts its record by no more than this many scales.
    `inbound_explains`        the ratio channel's usual hour is less surprised when the inbound grew alike.
    `squash_nats`             a surprise beyond this counts by its logarithm only.
    `young_days`, `young_discount`  below so many days a surprise loses discount * ln(young_days / m).
    `ratio_share`             the ratio channel's share of the budget; the volume channel has the rest.
    `context_hours`           how long an entity that passed its line counts as surprising together with others.
    `merge_hours`             firing hours of an entity no further apart are one finding.
    `clues`                   what is taken off where the bytes go where they always go.
    """

    budget: float = 10.0
    floor_per_hour: float = 10e6
    ratio_weights: tuple[tuple[Statistic, float], ...] = (
        (Statistic.RATIO_1H, 1.0),
        (Statistic.RATIO_6H, 0.5),
        (Statistic.USUAL_HOUR, 0.5),
        (Statistic.DRIP, 0.25),
    )
    volume_weights: tuple[tuple[Statistic, float], ...] = (
        (Statistic.VOLUME_1H, 0.5),
        (Statistic.VOLUME_6H, 0.5),
        (Statistic.VOLUME_24H, 0.5),
        (Statistic.USUAL_HOUR, 0.5),
    )
    history_days: tuple[int, ...] = (30, 90)
    usual_days: int = 14
    usual_minimum: int = 3
    ratio_days: int = 30
    ratio_minimum: int = 48
    drip_drift: float = 0.5
    drip_clip: float = 4.0
    bound_scales: float = 3.0
    bound_days: int = 10
    inbound_explains: bool = True
    squash_nats: float = 4.0
    young_days: int = 14
    young_discount: float = 0.5
    ratio_share: float = 0.8
    context_hours: int = 2
    merge_hours: int = 6
    clues: ClueOptions = CLUES
