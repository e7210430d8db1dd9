"""What an attack adds, sample by sample: volume over time, shared out among destinations, with packets and sockets.

In: a scenario, the victim's own minutes, a start, the source's interval. Out: `Added`, sparse columns with one zero
after each stretch, as the source tells them. Everything is whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.lab.cluster_scenarios import DAY_S, MB, Attack
from ebbtide.lab.simulate_plan import Draws
from ebbtide.series import SECOND_NS, Endpoint, Entity, Float64, Int64

#: A relative burst adds at least this over its whole length: three times nothing is no attack.
LEAST_RELATIVE = 3 * MB
#: Least of a first contact "at normal volume", bytes a minute.
LEAST_USUAL = 1000.0
#: Received bytes per byte sent, in thousandths, and bytes of a packet, both drawn evenly.
RETURN_THOUSANDTHS = (10, 41)
PACKET_BYTES = (900, 1401)
#: The share of the history before the attack in which a poisoning runs.
POISONED_SHARE = 1 / 3


@dataclass(frozen=True, slots=True, eq=False)
class Added:
    """Samples in columns (rows,), whole numbers as float64: `place` indexes `places`, each over [start_ns, end_ns).

    `sent` and `received` are bytes of the sender, with their packets; `sockets` are new connections. `receivers` are
    the entities behind the places, None outside.
    """

    places: tuple[Endpoint, ...]
    receivers: tuple[Entity | None, ...]
    is_udp: bool
    place: Int64
    start_ns: Int64
    end_ns: Int64
    sent: Float64
    received: Float64
    packets_out: Float64
    packets_in: Float64
    sockets: Float64

    def __len__(self) -> int:
        return len(self.place)

    def where(self, rows: NDArray[np.bool_]) -> Added:
        """Some of the samples."""
        names = ("place", "start_ns", "end_ns", "sent", "received", "packets_out", "packets_in", "sockets")
        columns = (getattr(self, name)[rows] for name in names)
        return Added(self.places, self.receivers, self.is_udp, *columns)


Targets = tuple[tuple[Endpoint, ...], tuple[Entity | None, ...]]


def added_by(attack: Attack, history: Float64, start_ns: int, interval_s: int, draws: Draws, targets: Targets) -> Added:
    """The samples of one attack. `history` (minutes,) ends at the start; NaN where not known."""
    steps = max(attack.duration_s // interval_s, 1)
    volume = _volume(attack, history, interval_s, steps, draws)
    first = 0
    if attack.poison_rate:
        first = int(len(history) * 60 / interval_s * POISONED_SHARE)
        lead = np.full(first, attack.poison_rate * interval_s)
        volume = np.concatenate([lead, volume])
    sockets = _sockets(attack, volume, interval_s)
    place, step, sent, opened = _shared(attack, volume, sockets, len(targets[0]))
    sent = np.floor(sent)
    keep = (sent > 0) | (opened > 0)
    place, step, sent, opened = place[keep], step[keep], sent[keep], opened[keep]
    place, step, sent, opened = _with_zeros(place, step, sent, opened)
    size, back = draws.integer(*PACKET_BYTES), draws.integer(*RETURN_THOUSANDTHS) / 1000.0
    back = back if attack.return_share is None else attack.return_share
    begin = start_ns + (step - first) * interval_s * SECOND_NS
    speaks = (sent > 0) | (opened > 0)
    packets = np.where(speaks, np.maximum(np.floor(sent / size), 1.0), 0.0)
    answers = np.where(speaks, np.maximum(np.floor(packets / 2), 1.0), 0.0)
    received = np.where(speaks, np.maximum(np.floor(sent * back), 40.0), 0.0)
    end = begin + interval_s * SECOND_NS
    return Added(*targets, attack.is_udp, place, begin, end, sent, received, packets, answers, opened)


def _volume(attack: Attack, history: Float64, interval_s: int, steps: int, draws: Draws) -> Float64:
    """Bytes per step over all destinations, (steps,)."""
    if attack.of_profile:
        return attack.of_profile * _profile(history, interval_s, steps)
    total = attack.rate * attack.duration_s
    if attack.period_s:
        return _beats(steps, interval_s, float(attack.period_s), attack.rate * attack.period_s, attack.jitter, draws)
    if attack.chunk:
        return _beats(steps, interval_s, attack.chunk / attack.rate, attack.chunk, attack.jitter, draws)
    if attack.repeats == 1 and attack.rate and attack.active_s < interval_s * steps:
        return np.full(steps, total / steps, np.float64)
    at = np.arange(steps) * interval_s % DAY_S if attack.repeats > 1 else np.arange(steps) * interval_s
    volume: Float64 = np.where(at < attack.active_s, _level(attack, history) * interval_s, 0.0)
    return volume


def _level(attack: Attack, history: Float64) -> float:
    """Bytes a second while it runs."""
    if attack.rate:
        return attack.rate
    known = history[np.isfinite(history)]
    if not len(known):
        known = np.zeros(1)
    if attack.is_usual:
        busy = known[known > 0]
        return max(float(np.median(busy)) if len(busy) else 0.0, LEAST_USUAL) / 60
    relative = attack.of_maximum * float(known.max()) + attack.of_p99 * float(np.percentile(known, 99))
    return max(relative / 60, LEAST_RELATIVE / attack.active_s)


def _profile(history: Float64, interval_s: int, steps: int) -> Float64:
    """The victim's own traffic a week earlier where that is known, else a day earlier, repeated."""
    minutes = -(-steps * interval_s // 60)
    back = 7 * 1440 if len(history) >= 7 * 1440 else 1440
    own = np.nan_to_num(history[-back:]) if len(history) else np.zeros(1)
    own = np.resize(own, minutes)
    at = np.minimum(np.arange(steps) * interval_s // 60, minutes - 1)
    profile: Float64 = own[at] * (interval_s / 60)
    return profile


def _beats(steps: int, interval_s: int, every_s: float, size: float, jitter: float, draws: Draws) -> Float64:
    """`size` bytes every `every_s` seconds, each up to a share of that early or late."""
    volume = np.zeros(steps)
    for beat in range(int(steps * interval_s / every_s)):
        late = (draws.integer(0, 2001) - 1000) / 1000 * jitter
        volume[min(max(int((beat + 0.5 + late) * every_s / interval_s), 0), steps - 1)] += size
    return volume


def _sockets(attack: Attack, volume: Float64, interval_s: int) -> Float64:
    """New connections per step: a scan's rate; else one where a stretch of sending begins, a beacon's only once."""
    if attack.sockets_per_s:
        return np.full(len(volume), np.floor(attack.sockets_per_s * interval_s))
    speaks = volume > 0
    begins = speaks & ~np.append(False, speaks[:-1])
    if attack.period_s:
        begins &= np.cumsum(begins) == 1
    opened: Float64 = begins.astype(np.float64)
    return opened


def _shared(attack: Attack, volume: Float64, sockets: Float64, places: int) -> tuple[Int64, Int64, Float64, Float64]:
    """Place, step, bytes and sockets of each row: evenly among destinations, a scan going round."""
    steps = np.arange(len(volume))
    if not attack.sockets_per_s:
        place, step = np.tile(np.arange(places), len(volume)), np.repeat(steps, places)
        return place, step, volume[step] / places, sockets[step]
    each = min(places, int(sockets[0]))
    step = np.repeat(steps, each)
    place = np.arange(len(step)) % places
    turn = np.arange(len(step)) % each
    opened = sockets[step] // each + (turn < sockets[step] % each)
    return place, step, volume[step] / sockets[step] * opened, opened


def _with_zeros(place: Int64, step: Int64, sent: Float64, opened: Float64) -> tuple[Int64, Int64, Float64, Float64]:
    """The rows, and one of zeros wherever a place falls silent; by step, then place."""
    wide = int(step.max(initial=0)) + 2
    here, following = place * wide + step, place * wide + step + 1
    silent = np.flatnonzero(~np.isin(following, here))
    nothing = np.zeros(len(silent))
    place, step = np.concatenate([place, place[silent]]), np.concatenate([step, step[silent] + 1])
    sent, opened = np.concatenate([sent, nothing]), np.concatenate([opened, nothing])
    order = np.lexsort((place, step))
    return place[order], step[order], sent[order], opened[order]
