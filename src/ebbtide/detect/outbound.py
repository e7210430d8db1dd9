"""The outbound volume detector: surprises of seven statistics, added up in two channels, on one scale.

In: the state of closed days, the current trailing statistics, and what the fleet does. Out: a score S per entity and
instant, whose unit is -ln(findings this surprising per 1000 entity-days), and what each part contributed. The same
functions score a month of hours in the laboratory and one instant of a live tick; time is an argument throughout.
Described with its measurements in docs/quality.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.records import Forecast, RecordModels, RecordSummary, forecast, latest, summarise, surprise
from ebbtide.baseline.trailing_statistics import Float32, Statistic
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_state import DayValues, OutboundState
from ebbtide.series import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Records:
    """Records of one window length: the maxima themselves, their summary, and what the next day should bring."""

    maxima: Float32
    summary: RecordSummary
    expected: Forecast

    def of(self, statistics: slice) -> Records:
        """The records of some of the statistics."""
        summary = RecordSummary(*(getattr(self.summary, name)[:, statistics] for name in RecordSummary.__slots__))
        expected = Forecast(self.expected.chance[:, statistics], self.expected.excess[:, statistics])
        return Records(self.maxima[:, statistics], summary, expected)


@dataclass(frozen=True, slots=True, eq=False)
class DayRecords:
    """What a day's values are measured against, made once when the day before is closed: one per history length."""

    windows: tuple[Records, ...]


def day_records(state: OutboundState, models: RecordModels, options: OutboundOptions) -> DayRecords:
    """Records of the closed days for each history length of the options."""
    windows = []
    for days in options.history_days:
        maxima = latest(state.maxima, days)
        summary = summarise(maxima)
        windows.append(Records(maxima, summary, forecast(summary, models)))
    return DayRecords(tuple(windows))


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """One value per channel: `ratio` (sent against received) and `volume`, each (entities, instants)."""

    ratio: Float64
    volume: Float64

    def at(self, where: slice) -> Channels:
        """The values of some instants."""
        return Channels(self.ratio[:, where], self.volume[:, where])


@dataclass(frozen=True, slots=True, eq=False)
class RawScores:
    """Scores before context: each statistic's `surprises` (entities, STATISTICS, instants), and the channels' sums.

    `unexplained` (entities, instants) is the surprise of the usual hour once the inbound's growth is taken off: the
    ratio channel counts it in place of the usual hour's own.
    """

    surprises: Float64
    unexplained: Float64
    channels: Channels


def score_day(values: DayValues, records: DayRecords, options: OutboundOptions) -> RawScores:
    """Surprise of each statistic in nats, squashed and added up in the two channels; what is missing adds nothing."""
    surprises = surprise_of(values.statistics, records, options)
    unexplained = _unexplained(values, records, options)
    squashed = squash(surprises, options.squash_nats)
    volume = _weigh(squashed, options.volume_weights)
    squashed[:, Statistic.USUAL_HOUR] = squash(unexplained, options.squash_nats)
    return RawScores(surprises, unexplained, Channels(_weigh(squashed, options.ratio_weights), volume))


def _weigh(squashed: Float64, weights: tuple[tuple[Statistic, float], ...]) -> Float64:
    total = np.zeros((squashed.shape[0], squashed.shape[2]))
    for statistic, weight in weights:
        total += weight * squashed[:, statistic]
    return total


def surprise_of(values: Float32, records: DayRecords, options: OutboundOptions) -> Float64:
    """Surprises (entities, STATISTICS, instants) averaged over the history lengths, less a discount for the young.

    The usual hour has 14 days of its own, so only the first history length (30 days) is asked.
    """
    each = [surprise(values, one.maxima, one.summary, one.expected) for one in records.windows]
    mean: Float64 = np.mean(each, axis=0)
    mean[:, Statistic.USUAL_HOUR] = each[0][:, Statistic.USUAL_HOUR]
    return _discount_young(mean, records.windows[0].summary.days, options)


def _unexplained(values: DayValues, records: DayRecords, options: OutboundOptions) -> Float64:
    """Surprise of the usual hour, growth of the inbound taken off, (entities, instants)."""
    row = slice(Statistic.USUAL_HOUR, Statistic.USUAL_HOUR + 1)
    one = records.windows[0].of(row)
    explained = values.explained[:, None] if options.inbound_explains else np.float32(0)
    raw = surprise(values.statistics[:, row] - explained, one.maxima, one.summary, one.expected)
    return _discount_young(raw, one.summary.days, options)[:, 0]


def _discount_young(nats: Float64, days: NDArray[np.int64], options: OutboundOptions) -> Float64:
    young = options.young_discount * np.log(np.maximum(options.young_days / np.maximum(days, 1), 1.0))
    discounted: Float64 = np.maximum(nats - young[..., None], 0.0)
    return discounted


def squash(nats: Float64, limit: float) -> Float64:
    """A surprise beyond `limit` counts by its logarithm: limit * (1 + ln(s / limit)).

    >>> squash(np.array([2.0, 4.0, 4.0 * np.e]), 4.0)
    array([2., 4., 8.])
    """
    return np.where(nats <= limit, nats, limit * (1.0 + np.log(np.maximum(nats, limit) / limit)))


def hours_of_day(instants: NDArray[np.int64]) -> NDArray[np.int64]:
    """UTC hours 0-23 of instants given in Unix seconds."""
    return (instants // 3600) % 24
