"""The outbound detector over a store: one instant of every pair, and which entities pass the threshold.

Read-only and as of `now_ns`: the day's references come from closed days, the sums from samples that end by then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ebbtide.baseline.cusum import accumulate
from ebbtide.baseline.trailing_statistics import HOURS, PEAKS, Float32
from ebbtide.detect.outbound import Channels, score_day
from ebbtide.detect.outbound_clues import SentMix
from ebbtide.detect.outbound_detector import OutboundSettings
from ebbtide.detect.outbound_instant import Instant, Quieted, measure, quiet, show
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.detect.outbound_scale import Scored
from ebbtide.detect.outbound_state import day_values
from ebbtide.series import DAY_NS, HOUR_NS, Float64, Int64
from ebbtide.store.opened_days import Opened
from ebbtide.store.pairs import VALUES
from ebbtide.store.view import View

#: Less than this share of a window known leaves its sum unknown.
LEAST_COVERED = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Every pair at one instant, judged with `options`.

    `sent` and `received` (pairs, windows) with gaps filled, `covered` (pairs, windows) the known shares. `mix` and
    `line` (pairs, 1) say where the last hour's bytes went, `quieted` what that takes off. `entities` are
    the numbers of the entities, `score` their S (the largest of their pairs), `fired` those above `threshold`. `new`
    has the entity of each pair that sent something and has no closed day to be judged with.
    """

    opened: Opened
    options: OutboundOptions
    hour: int
    sent: Float64
    received: Float64
    covered: Float64
    cusum: Float32
    instant: Instant
    others: Channels
    mix: SentMix
    line: Float64
    quieted: Quieted
    scored: Scored
    entities: Int64
    score: Float64
    fired: NDArray[np.bool_]
    threshold: float
    budget: float
    new: Int64

    def pairs_of(self, entity: int) -> Int64:
        """The places of an entity's judged pairs, the highest S first."""
        places = np.flatnonzero((self.opened.pairs.entity == entity) & ~np.isneginf(self.scored.score[:, 0]))
        return places[np.argsort(-self.scored.score[places, 0], kind="stable")]


def fleet(view: View, now_ns: int) -> int:
    """How many entities the scale of the day was learned from."""
    return view.outbound.opened((now_ns - 1) // DAY_NS).scale.entities


def judge(
    view: View,
    now_ns: int,
    settings: OutboundSettings,
    metrics: tuple[str, ...] | None = None,
    *,
    entities: int | None = None,
) -> Judged:
    """S of every pair at `now_ns`; pairs of metrics that are not asked for have -inf. An empty store is legal.

    `entities` is how many share the budget; None: those the scale was learned from.
    """
    options = settings.options()
    hour = (now_ns - 1) // HOUR_NS
    day = (now_ns - 1) // DAY_NS
    opened = view.outbound.opened(day)
    opened = replace(opened, scale=opened.scale.under(options.clues))
    sent, received, covered, new = _sums(view, opened, now_ns)
    today = view.outbound.learned.today(opened.pairs, day, hour - day * HOURS)
    cusum = _cusum(opened, today, options)
    instant = show(sent, received, opened.pairs.floor, hour % HOURS, cusum, opened.reference, opened.records, options)
    others = _others(view, opened, hour, today, instant.raw.channels, options)
    loud = measure(instant.raw.channels, others, hour % HOURS, opened.has_received, opened.scale.scale, options)
    mix, line = _mix(view, opened, now_ns)
    quieted = quiet(loud, sent[:, :1], opened.pairs.floor, mix, line, opened.scale, options)
    scored = quieted.scored
    if metrics is not None:
        numbers = [view.identity.find_metric(name) for name in metrics]
        scored.score[~np.isin(opened.pairs.metric, [one for one in numbers if one is not None])] = -np.inf
    numbers_of, starts = np.unique(opened.pairs.entity, return_index=True)
    score = np.maximum.reduceat(scored.score[:, 0], starts) if len(starts) else np.empty(0)
    budget = settings.effective_budget(opened.scale.entities if entities is None else entities)
    threshold = opened.scale.threshold(budget)
    return Judged(
        opened, options, hour, sent, received, covered, cusum, instant, others, mix, line, quieted, scored,
        numbers_of.astype(np.int64), score, score > threshold, threshold, budget, new,
    )  # fmt: skip


def _sums(view: View, opened: Opened, now_ns: int) -> tuple[Float64, Float64, Float64, Int64]:
    """Sent, received and known shares (pairs, windows), and the entities of pairs without history."""
    pairs = opened.pairs
    found = view.outbound.sums(now_ns)
    at = pairs.place(found.entity, found.metric)
    here = at >= 0
    sent, received = (np.zeros((len(pairs), found.sent.shape[1])) for _ in range(2))
    sent[at[here]], received[at[here]] = found.sent[here], found.received[here]
    clusters = [view.identity.entities[entity].cluster for entity in pairs.entity.tolist()]
    nothing = np.zeros(found.sent.shape[1])
    covered = np.array([found.covered.get(cluster, nothing) for cluster in clusters]).reshape(sent.shape)
    filled = np.where(covered >= LEAST_COVERED, 1.0 / np.maximum(covered, LEAST_COVERED), np.nan)
    new = found.entity[~here & (found.sent[:, 0] > 0)]
    return sent * filled, received * filled, covered, new.astype(np.int64)


def _mix(view: View, opened: Opened, now_ns: int) -> tuple[SentMix, Float64]:
    """Where the last hour's bytes of each pair's entity went, and its line, (pairs, 1) each."""
    of, entity = view.outbound.hour_mix(now_ns, opened), opened.pairs.entity
    mix = SentMix(*(getattr(of, name)[entity][:, None] for name in SentMix.__slots__))
    return mix, opened.mix.lines_of(entity)[:, None]


def _cusum(opened: Opened, today: Float32, options: OutboundOptions) -> Float32:
    """The drip's sum at the end of the last full hour of the day."""
    if not today.shape[1]:
        return opened.cusum
    ratio = np.ascontiguousarray(today[..., VALUES - 1])
    return accumulate(opened.cusum, ratio, opened.reference.usual, options.drip_drift, options.drip_clip)[:, -1]


def _others(view: View, opened: Opened, hour: int, today: Float32, now: Channels, options: OutboundOptions) -> Channels:
    """How many other pairs passed each channel's line in this hour or the one before, (pairs, 1)."""
    before = _previous_hour(view, opened, hour, today, options)
    scale = opened.scale.scale
    counts = []
    for current, previous, line in (
        (now.ratio, before.ratio, scale.ratio.context.passing),
        (now.volume, before.volume, scale.volume.context.passing),
    ):
        passed = (current > line) | (previous > line)
        counts.append((passed.sum() - passed).astype(np.float64))
    return Channels(counts[0], counts[1])


def _previous_hour(view: View, opened: Opened, hour: int, today: Float32, options: OutboundOptions) -> Channels:
    """Raw scores of the hour before, (pairs, 1)."""
    hours = today.shape[1]
    if not hours:
        pairs, raw = view.outbound.learned.scores(hour - 1, hour)
        ratio, volume = (np.zeros((len(opened.pairs), 1)) for _ in range(2))
        at = opened.pairs.place(pairs.entity, pairs.metric)
        ratio[at[at >= 0]], volume[at[at >= 0]] = raw.ratio[at >= 0], raw.volume[at >= 0]
        return Channels(ratio, volume)
    last = today[:, -1]
    no_drip = np.zeros((len(last), 1), np.float32)
    values = day_values(
        last[:, :PEAKS, None], last[:, VALUES - 2, None], np.array([(hour - 1) % HOURS]), no_drip, opened.reference
    )
    return score_day(values, opened.records, options).channels
