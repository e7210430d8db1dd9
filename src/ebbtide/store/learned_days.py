"""Days closed for the outbound detector: their maxima as kept, their surprising hours, and the next day's scale.

In: peaks by the hour. Out: rows that the next day is judged with. A day is closed on the state of the days before it,
so late data close it and all days after it again. Entities are read a shard at a time; only the scale looks at the
whole fleet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ebbtide.baseline.calibration import CURVE_BUDGETS
from ebbtide.baseline.records import RecordModels
from ebbtide.baseline.trailing_statistics import HOURS, PEAKS, STATISTICS, Float32, Statistic
from ebbtide.detect.outbound import Channels, day_records, score_day
from ebbtide.detect.outbound_clues import Clues, clues
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import apply_scale, count_others, learn_scale, learn_thresholds
from ebbtide.detect.outbound_scale_form import DayScale, from_json, to_json
from ebbtide.detect.outbound_shipped import shipped_scale, shipped_threshold
from ebbtide.detect.outbound_state import OutboundState, close_day, day_maxima, day_values, open_day, run_cusum
from ebbtide.series import Float64
from ebbtide.store.identity import Identity
from ebbtide.store.learned_models import learn_models
from ebbtide.store.pairs import VALUES, PairHours, Pairs, masked_hours, pairs_between
from ebbtide.store.usual_mixes import ClosedMix, MixReading, UsualMix

#: Pairs whose state is in memory at once while a day is closed: about 60 MB.
SHARD = 4096
#: A pair without anything for so long is forgotten.
FORGET_DAYS = 30
CALIBRATION_DAYS = 30
#: Hours less surprising than this are not kept: they start no finding at any budget of the curve.
LEAST_SCORE = 1.0
#: Fewer entity-days than this are no fleet to learn a scale from.
LEAST_ENTITY_DAYS = 2000

#: How often a fleet's own record models are learned anew.
REFIT_DAYS = 7
#: How clues are stored: added up.
KNOWN_PLACES, USUAL_MIX = 1, 2

OPTIONS = OutboundOptions()


@dataclass(frozen=True, slots=True, eq=False)
class ScoredHours:
    """Closed hours of pairs that were surprising in any: `raw` scores (pairs, hours), 0 where they were not, and the
    `clues` that held.
    """

    pairs: Pairs
    raw: Channels
    clues: Clues


class LearnedDays:
    """Closes days, and reads what a day opens with."""

    def __init__(self, con: duckdb.DuckDBPyConnection, identity: Identity, floors: Mapping[str, float]) -> None:
        self._con = con
        self._identity = identity
        self._floors = floors
        self._hours = PairHours(con, identity)
        self.mixes = MixReading(con, identity)

    def forget_from(self, day: int) -> None:
        """Take back this day and all after it; part of the caller's transaction."""
        for table in ("day_maxima", "learned_days"):
            self._con.execute(f"DELETE FROM {table} WHERE day >= ?", [day])
        for table in ("outbound_scores", "sent_mixes"):
            self._con.execute(f"DELETE FROM {table} WHERE hour >= ?", [day * HOURS])
        self._con.execute("DELETE FROM outbound_scales WHERE day > ?", [day])

    def to_close(self, before_hour: int) -> range:
        """The days to close, ascending: after the last closed one (or from the first with peaks), and passed."""
        row = self._con.execute("SELECT (SELECT max(day) FROM learned_days), (SELECT min(hour) FROM peaks)").fetchall()[
            0
        ]
        last, first_hour = row
        if first_hour is None:
            return range(0)
        first = first_hour // HOURS if last is None else last + 1
        return range(first, max(first, before_hour // HOURS))

    def close(self, day: int) -> None:
        """Close one day, whose predecessors are closed; part of the caller's transaction."""
        known, entities = 0, set()
        models = self.scale(day).models
        usual = self.mixes.usual(day)
        closed = self.mixes.closed(day, usual)
        self._keep_overlaps(day, closed, usual)
        for pairs in self._shards(day):
            valid = self._close(day, pairs, models, closed, usual)
            known += int(valid.sum())
            entities |= set(pairs.entity[valid].tolist())
        self._con.execute("INSERT INTO learned_days VALUES (?, ?, ?)", [day, known, len(entities)])
        scale = self._learn(day + 1)
        self._con.execute("INSERT INTO outbound_scales VALUES (?, ?)", [day + 1, to_json(scale)])

    def numbers(self) -> dict[int, float]:
        """The floor of each metric that is learned, by its number."""
        numbers = {name: self._identity.find_metric(name) for name in self._floors}
        return {number: self._floors[name] for name, number in numbers.items() if number is not None}

    def pairs(self, day: int) -> Pairs:
        """The pairs that are not forgotten on a day: with peaks on it or in the days before."""
        return pairs_between(self._con, self.numbers(), (day - FORGET_DAYS) * HOURS, (day + 1) * HOURS)

    def _shards(self, day: int) -> Iterator[Pairs]:
        pairs = self.pairs(day)
        for at in range(0, len(pairs), SHARD):
            yield pairs.take(slice(at, at + SHARD))

    def state(self, pairs: Pairs, day: int) -> OutboundState:
        """What a day opens with: the state after the day before it."""
        state = OutboundState.empty(len(pairs), OPTIONS)
        first = (day - OPTIONS.ratio_days) * HOURS
        hours = self._hours.read(pairs, first, day * HOURS)
        shape = (len(pairs), OPTIONS.ratio_days, HOURS)
        usual = slice(-OPTIONS.usual_days, None)
        volume = hours[..., Statistic.VOLUME_1H].reshape(shape)[:, usual]
        inbound, ratio = (hours[..., at].reshape(shape) for at in (VALUES - 2, VALUES - 1))
        cusum = np.zeros(len(pairs), np.float32)
        self._maxima(pairs, day, state.maxima, cusum)
        return OutboundState(state.maxima, volume, inbound[:, usual], ratio.astype(np.float16), cusum)

    def _maxima(self, pairs: Pairs, day: int, maxima: Float32, cusum: Float32) -> None:
        kept_days = maxima.shape[-1]
        if not len(pairs):
            return
        kept_columns = ", ".join(f"kept[{at + 1}] AS kept{at}" for at in range(STATISTICS))
        rows = self._con.execute(
            f"SELECT entity, metric, day, cusum, {kept_columns} FROM day_maxima WHERE day >= ? AND day < ? "
            "AND entity BETWEEN ? AND ?",
            [day - kept_days, day, int(pairs.entity[0]), int(pairs.entity[-1])],
        ).fetchnumpy()
        at = pairs.place(rows["entity"], rows["metric"])
        here = at >= 0
        days = np.asarray(rows["day"], np.int64)[here]
        for statistic in range(STATISTICS):
            maxima[at[here], statistic, days - (day - kept_days)] = rows[f"kept{statistic}"][here]
        last = days == day - 1
        cusum[at[here][last]] = np.asarray(rows["cusum"], np.float32)[here][last]
        for entity, start, end in masked_hours(self._con, (day - kept_days) * HOURS, day * HOURS):
            days_of = slice(max(0, start // HOURS - day + kept_days), -(-end // HOURS) - day + kept_days)
            maxima[pairs.entity == entity, :, days_of] = np.nan

    def today(self, pairs: Pairs, day: int, hours: int = HOURS) -> Float32:
        """(pairs, hours, VALUES): the peaks of a day's first hours."""
        return self._hours.read(pairs, day * HOURS, day * HOURS + hours)

    def _close(
        self, day: int, pairs: Pairs, models: RecordModels, closed: ClosedMix, usual: UsualMix
    ) -> NDArray[np.bool_]:
        state, today = self.state(pairs, day), self.today(pairs, day)
        reference = open_day(state, OPTIONS)
        ratio = np.ascontiguousarray(today[..., VALUES - 1])
        cusum = run_cusum(state, reference, ratio, OPTIONS)
        peaks = today[..., :PEAKS].transpose(0, 2, 1)
        values = day_values(peaks, today[..., VALUES - 2], np.arange(HOURS), cusum, reference)
        kept = close_day(state, values, ratio, cusum, OPTIONS).maxima[..., -1]
        seen = day_maxima(values.statistics)
        valid = ~np.isnan(kept).all(axis=1)
        self._insert(
            "day_maxima",
            {
                "entity": pairs.entity[valid],
                "metric": pairs.metric[valid].astype(np.int16),
                "day": np.full(int(valid.sum()), day, np.int32),
                "kept": _vectors(kept[valid]),
                "seen": _vectors(seen[valid]),
                "cusum": cusum[valid, -1],
            },
        )
        raw = score_day(values, day_records(state, models, OPTIONS), OPTIONS).channels
        row, hour = np.nonzero(np.maximum(raw.ratio, raw.volume) >= LEAST_SCORE)
        line = usual.lines_of(pairs.entity)[:, None]
        held = clues(self._sent(pairs, day), closed.of(pairs.entity), np.repeat(line, HOURS, axis=1), OPTIONS.clues)
        self._insert(
            "outbound_scores",
            {
                "entity": pairs.entity[row],
                "metric": pairs.metric[row].astype(np.int16),
                "hour": (day * HOURS + hour).astype(np.int32),
                "ratio": raw.ratio[row, hour].astype(np.float32),
                "volume": raw.volume[row, hour].astype(np.float32),
                "clues": _packed(held)[row, hour],
            },
        )
        return np.asarray(valid, bool)

    def _sent(self, pairs: Pairs, day: int) -> Float64:
        """What each pair sent in each hour of a day, (pairs, HOURS)."""
        sent = np.zeros((len(pairs), HOURS))
        if not len(pairs):
            return sent
        rows = self._con.execute(
            "SELECT entity, metric, hour, sent FROM hours WHERE hour >= ? AND hour < ? AND entity BETWEEN ? AND ?",
            [day * HOURS, (day + 1) * HOURS, int(pairs.entity[0]), int(pairs.entity[-1])],
        ).fetchnumpy()
        at = pairs.place(rows["entity"], rows["metric"])
        here = at >= 0
        sent[at[here], np.asarray(rows["hour"], np.int64)[here] - day * HOURS] = rows["sent"][here]
        return sent

    def _keep_overlaps(self, day: int, closed: ClosedMix, usual: UsualMix) -> None:
        line = usual.lines_of(closed.entities)
        row, hour = np.nonzero(np.isfinite(line)[:, None] & (closed.mix.total > 0))
        self._insert(
            "sent_mixes",
            {
                "entity": closed.entities[row],
                "hour": (day * HOURS + hour).astype(np.int32),
                "overlap": closed.mix.overlap[row, hour].astype(np.float32),
            },
        )

    def _insert(self, table: str, columns: dict[str, object]) -> None:
        self._con.register("incoming", pa.table(columns))
        try:
            self._con.execute(f"INSERT INTO {table} SELECT * FROM incoming")
        finally:
            self._con.unregister("incoming")

    def has_received(self, pairs: Pairs, day: int) -> NDArray[np.bool_]:
        """Whether a pair's source told before this day what is received: an entity of its cluster received of it."""
        rows = self._con.execute(
            "SELECT DISTINCT cluster, metric FROM hours JOIN entities USING (entity) WHERE received > 0 AND hour < ?",
            [day * HOURS],
        ).fetchall()
        told = {(cluster, metric) for cluster, metric in rows}
        of = zip(pairs.entity.tolist(), pairs.metric.tolist(), strict=True)
        return np.array([(self._identity.entities[entity].cluster, metric) in told for entity, metric in of], bool)

    def scale(self, day: int) -> DayScale:
        """What a day's scores are measured with."""
        rows = self._con.execute("SELECT document FROM outbound_scales WHERE day = ?", [day]).fetchall()
        return from_json(rows[0][0]) if rows else _shipped(0)

    def _learn(self, day: int) -> DayScale:
        """The scale of a day, from the scores of the 30 days before it; the shipped one without enough of them."""
        first = day - CALIBRATION_DAYS
        rows = self._con.execute(
            "SELECT count(*), coalesce(sum(pairs), 0), coalesce(sum(entities), 0), coalesce(max_by(entities, day), 0) "
            "FROM learned_days WHERE day >= ? AND day < ?",
            [first, day],
        ).fetchall()
        days, pair_days, entity_days, entities = rows[0]
        if days < CALIBRATION_DAYS or entity_days < LEAST_ENTITY_DAYS:
            return _shipped(int(entities))
        found = self.hours(first * HOURS, day * HOURS)
        pairs, raw = found.pairs, found.raw
        hours = np.arange(raw.ratio.shape[1]) % HOURS
        scale = learn_scale(raw, hours, OPTIONS, float(pair_days))
        others = count_others(scale, raw, OPTIONS.context_hours)
        score = apply_scale(scale, raw, others, hours, self.has_received(pairs, day), OPTIONS).score
        budgets = np.array(CURVE_BUDGETS[::-1])
        plain, lines = (
            np.array(learn_thresholds(joined_by_entity(pairs, one), budgets, OPTIONS, float(entity_days)))
            for one in (score, score - found.clues.nats(OPTIONS.clues))
        )
        before = self.scale(day - 1)
        models = before.own_models
        if not before.is_own or day % REFIT_DAYS == 0:
            models = learn_models(self._con, self.pairs(day - 1), range(first, day), before.models)
        return DayScale(scale, budgets, lines, int(entities), is_own=True, plain=plain, own_models=models)

    def scores(self, first: int, last: int) -> tuple[Pairs, Channels]:
        """Raw scores of the hours [first, last) of the pairs that had any, 0 where they were not surprising."""
        found = self.hours(first, last)
        return found.pairs, found.raw

    def hours(self, first: int, last: int) -> ScoredHours:
        """What was kept of the hours [first, last)."""
        rows = self._con.execute(
            "SELECT * FROM outbound_scores WHERE hour >= ? AND hour < ? ", [first, last]
        ).fetchnumpy()
        keys = np.asarray(rows["entity"], np.int64) << 16 | np.asarray(rows["metric"], np.int64)
        pairs = Pairs.of(np.unique(keys), self.numbers())
        at, hour = np.searchsorted(pairs.keys, keys), np.asarray(rows["hour"], np.int64) - first
        ratio, volume = (np.zeros((len(pairs), last - first)) for _ in range(2))
        ratio[at, hour], volume[at, hour] = rows["ratio"], rows["volume"]
        packed = np.zeros(ratio.shape, np.int8)
        packed[at, hour] = rows["clues"]
        for entity, start, end in masked_hours(self._con, first, last):
            for channel in (ratio, volume):
                channel[pairs.entity == entity, max(start, first) - first : end - first] = 0
        held = Clues((packed & KNOWN_PLACES) > 0, (packed & USUAL_MIX) > 0)
        return ScoredHours(pairs, Channels(ratio, volume), held)


def _packed(held: Clues) -> NDArray[np.int8]:
    packed: NDArray[np.int8] = held.known_places * np.int8(KNOWN_PLACES) + held.usual_mix * np.int8(USUAL_MIX)
    return packed


def joined_by_entity(pairs: Pairs, score: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest score of each entity's metrics, (entities, hours) in the order of the entities."""
    if not len(pairs):
        return score
    starts = np.flatnonzero(np.diff(pairs.entity, prepend=pairs.entity[0] - 1))
    return np.asarray(np.maximum.reduceat(score, starts, axis=0), np.float64)


def _shipped(entities: int) -> DayScale:
    budgets = np.array(CURVE_BUDGETS[::-1])
    lines = np.array([shipped_threshold(one) for one in budgets])
    return DayScale(shipped_scale(max(entities, 1)), budgets, lines, entities, is_own=False, plain=lines)


def _vectors(values: Float32) -> pa.Array[Any]:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), STATISTICS)
