"""What each statistic contributed to a score, so that a finding can explain itself.

In: the arrays a score was made of. Out: one record per statistic of one entity at one instant, in plain numbers. It is
made only for what fires.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ebbtide.baseline.records import MATURE_DAYS
from ebbtide.baseline.trailing_statistics import Statistic
from ebbtide.detect.outbound import DayRecords, RawScores, Records
from ebbtide.detect.outbound_state import DayValues


@dataclass(frozen=True, slots=True)
class RecordEvidence:
    """One history length's view of a statistic.

    `window_days` looked back, of which `days` were valid; `record` their largest value, set `days_ago` valid days
    before (None in an empty window); `chance` of a new record that day, mean `excess` in nats if there is one;
    `is_young` says that the young model spoke.
    """

    window_days: int
    days: int
    record: float
    days_ago: int | None
    chance: float
    excess: float
    is_young: bool


@dataclass(frozen=True, slots=True)
class Contribution:
    """One statistic of one entity at one instant: `value` (NaN where missing) and its `surprise` in nats.

    `return_days` is exp(surprise): a day like this is expected once in so many days.
    """

    statistic: Statistic
    value: float
    surprise: float
    return_days: float
    evidence: tuple[RecordEvidence, ...]


def explain(
    values: DayValues, records: DayRecords, raw: RawScores, entity: int, instant: int
) -> tuple[Contribution, ...]:
    """The contributions of all statistics, the most surprising first.

    `values` are those that were scored; `entity` and `instant` are places on its axes.
    """
    contributions = []
    for statistic in Statistic:
        nats = float(raw.surprises[entity, statistic, instant])
        # The usual hour has 14 days of its own: only the first window is asked.
        windows = records.windows[:1] if statistic is Statistic.USUAL_HOUR else records.windows
        evidence = tuple(_evidence(one, entity, statistic) for one in windows)
        value = float(values.statistics[entity, statistic, instant])
        contributions.append(Contribution(statistic, value, nats, float(np.exp(nats)), evidence))
    return tuple(sorted(contributions, key=lambda one: -one.surprise))


def _evidence(window: Records, entity: int, statistic: Statistic) -> RecordEvidence:
    maxima = window.maxima[entity, statistic]
    days = int(window.summary.days[entity, statistic])
    days_ago = len(maxima) - int(np.nanargmax(maxima)) if days else None
    return RecordEvidence(
        len(maxima),
        days,
        float(window.summary.record[entity, statistic]),
        days_ago,
        float(window.expected.chance[entity, statistic]),
        float(window.expected.excess[entity, statistic]),
        days < MATURE_DAYS,
    )
