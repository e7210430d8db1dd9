"""What users would pick instead, in the same harness: each peer as a causal score per hour.

In: sent bytes on the 5-minute grid. Out: a score per entity and hour, higher being more anomalous, and the line it
ships with. Each looks at no more than its memory, so an event is scored on a window cut out of the stream. Peers see
what is sent only; that is all they know of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ebbtide.baseline.trailing import block_max, trailing_sums
from ebbtide.lab.evaluate import EventScores
from ebbtide.lab.inject import Events, with_events
from ebbtide.lab.peers_bands import adaptive_bands, robust_bands
from ebbtide.lab.peers_series import PER_HOUR, decomposition, hour_of_week, log_mad
from ebbtide.lab.peers_tail import drifting_tail
from ebbtide.lab.traffic import Traffic
from ebbtide.series import Float64

MB = 1e6
#: Stands for "infinitely many standard deviations": a constant baseline that moved.
HUGE = 1e9
BASELINE_HOURS = 30 * 24


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer: `shipped` is its line (fires above), `memory_days` how far it looks back, `score` what it computes.

    `score` takes sent bytes (rows, steps) in whole days and gives (rows, hours).
    """

    name: str
    shipped: float
    memory_days: int
    score: Callable[[Float64], Float64]


def upstream(sent: Float64) -> Float64:
    """C0, the upstream rule carried to 5 minutes: the sixth largest of an hour's 12 spans, in standard deviations.

    Mean and sample standard deviation are those of the samples of the 30 days up to the hour; the rule asks for more
    than 5 of 12 spans above mean + 3 sd. Absent samples are absent; with a constant baseline anything above it is a
    hit; without two samples it is silent.
    """
    spans = sent.reshape(len(sent), -1, PER_HOUR)
    known = np.isfinite(spans)
    count = known.sum(axis=-1).astype(float)
    total = np.where(known, spans, 0.0).sum(axis=-1)
    squares = np.where(known, spans, 0.0) ** 2
    n, s, q = (_before(part) for part in (count, total, squares.sum(axis=-1)))
    mean = s / np.maximum(n, 1)
    deviation = np.sqrt(np.maximum(q - n * mean**2, 0.0) / np.maximum(n - 1, 1))
    over = np.where(known, spans, -np.inf) - mean[..., None]
    z = np.where(deviation[..., None] > 0, over / np.maximum(deviation, 1e-3)[..., None], np.sign(over) * HUGE)
    sixth = np.sort(z, axis=-1)[..., -6]
    return np.where(n >= 2, np.clip(sixth, -HUGE, HUGE), -HUGE)


def _before(hourly: Float64) -> Float64:
    """Sums over the 30 days of hours before each hour, (rows, hours)."""
    padded = np.concatenate([np.zeros((len(hourly), BASELINE_HOURS)), hourly[:, :-1]], axis=1)
    total: Float64 = sliding_window_view(padded, BASELINE_HOURS, axis=1).sum(axis=-1)
    return total


def repaired(sent: Float64) -> Float64:
    """C1, the upstream rule repaired: the hour's sum against mean and sd of the hours' sums of 30 days.

    The same statistic on both sides, a deviation of at least 1 MB, and a day of history before it speaks.
    """
    hour = _hour_sums(sent)
    known = np.isfinite(hour)
    filled = np.where(known, hour, 0.0)
    n, s, q = (_before(part) for part in (known.astype(float), filled, filled**2))
    mean = s / np.maximum(n, 1)
    deviation = np.sqrt(np.maximum(q - n * mean**2, 0.0) / np.maximum(n - 1, 1))
    now = block_max(trailing_sums(sent, PER_HOUR), PER_HOUR)
    z = (now - mean) / np.maximum(deviation, MB)
    return np.where(np.isfinite(z) & (n >= 24), z, -HUGE)


def _hour_sums(sent: Float64) -> Float64:
    return trailing_sums(sent, PER_HOUR)[:, PER_HOUR - 1 :: PER_HOUR]


def thirty_day_record(sent: Float64) -> Float64:
    """C2: by how much, in nats, the largest hour passes the largest of the 30 days before (10 MB/h floor)."""
    volume = np.log(block_max(trailing_sums(sent, PER_HOUR), PER_HOUR) + 10 * MB)
    daily = block_max(volume, 24)
    padded = np.concatenate([np.full((len(sent), 30), np.nan), daily[:, :-1]], axis=1)
    record = np.where(np.isnan(padded), -np.inf, padded)
    record = sliding_window_view(record, 30, axis=1).max(axis=-1)
    over = volume - np.repeat(record, 24, axis=1)
    return np.where(np.isfinite(over), over, -HUGE)


PEERS: tuple[Peer, ...] = (
    Peer("C0 upstream rule", 3.0, 31, upstream),
    Peer("C1 upstream, repaired", 3.0, 31, repaired),
    Peer("C2 30-day record", 0.0, 31, thirty_day_record),
    Peer("C3 Grafana adaptive", 0.0, 9, adaptive_bands),
    Peer("C4 Grafana robust", 0.0, 10, robust_bands),
    Peer("C5 Sentinel decomposition", 5.0, 14, decomposition),
    Peer("C6 MAD on log", 3.5, 31, log_mad),
    Peer("C7 hour of week", 3.5, 29, hour_of_week),
    Peer("C8 DSPOT", float(-np.log(1e-4)), 31, drifting_tail),
)


def peer_events(peer: Peer, traffic: Traffic, events: Events) -> EventScores:
    """A peer's scores of injected events, from the day of the first added byte on."""
    injected = with_events(traffic, events, peer.memory_days)
    scores = peer.score(injected.sent)[:, peer.memory_days * 24 :]
    per_hour = traffic.steps_per_hour
    return EventScores(
        events.scenario.name,
        events.entity,
        events.rho,
        scores,
        (injected.first_day + peer.memory_days) * 24,
        events.start // per_hour,
        (events.end + per_hour - 1) // per_hour + 1,
    )
