"""Plant attacks: when, from whom, to where, and every sample they add, with the labels to judge by.

In: the ground, scenarios, a range to plant in, a seed. Out: injections, each an `Event` (the label) and `Added`
(columns). A round plants at most one event in an entity and spreads the starts evenly over the range, so that a
detector which looks at the fleet does not see a fleet on fire.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ebbtide.lab.cluster_ground import Ground
from ebbtide.lab.cluster_pattern import Added, added_by
from ebbtide.lab.cluster_scenarios import Attack
from ebbtide.lab.simulate_plan import Draws
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Endpoint, EndpointClass, Entity, Float64

T = TypeVar("T")

HISTORY_NS = 30 * DAY_NS
#: Starts drawn per event, of which the first with a living source is taken.
CANDIDATES = 20
_NAMED = 10


@dataclass(frozen=True, slots=True)
class Event:
    """The label of one injected attack over [start_ns, end_ns); a poisoned baseline begins at `begin_ns`.

    `entity` is the victim, `sender` who sends (another process of it in X10). `sent` are the bytes added in the judged
    part. `rho`: those over the entity's largest sum of as many minutes in the 30 days before, None where that was 0 or
    where size is not what the scenario is about. `destinations` names the first of `destination_count`.
    """

    uid: str
    scenario: str
    name: str
    technique: str
    entity: Entity
    sender: Entity
    begin_ns: int
    start_ns: int
    end_ns: int
    sent: float
    rho: float | None
    destinations: tuple[str, ...]
    destination_count: int
    is_benign: bool


@dataclass(frozen=True, slots=True, eq=False)
class Injection:
    """A label and its samples."""

    event: Event
    added: Added

    def sent_before(self, at_ns: int) -> float:
        """Bytes of the judged part that had left by an instant, a sample counting in proportion."""
        added, event = self.added, self.event
        judged = added.start_ns >= event.start_ns
        span = (added.end_ns - added.start_ns)[judged]
        share = np.clip((at_ns - added.start_ns[judged]) / span, 0.0, 1.0)
        return float((share * added.sent[judged]).sum())


@dataclass(frozen=True, slots=True)
class Plot:
    """Where to plant: starts and ends, an hour of grace included, lie within [from_ns, to_ns)."""

    from_ns: int
    to_ns: int


def plant_round(
    ground: Ground, scenarios: Sequence[Attack], plot: Plot, seed: int, number: int, share: float = 1.0
) -> list[Injection]:
    """One round of events, by start. Rounds differ in who gets which scenario and when.

    Scenarios that the ground cannot show (no such metric, too long for the plot, nobody silent) are left out.
    """
    possible = [one for one in scenarios if fits(ground, one, plot)]
    pairs = _assign(ground, possible, plot, Draws(seed, 30, number), number, share)
    made = []
    for place, (entity, attack) in enumerate(pairs):
        draws = Draws(seed, 31, number, _number_of(entity), _number_of(attack.name))
        start_ns = _start(ground, entity, attack, plot, draws, (place, len(pairs)))
        uid = f"r{number}-{place:04d}"
        made.append(_inject(ground, entity, attack, start_ns, draws, uid))
    return sorted((one for one in made if len(one.added)), key=lambda one: (one.event.start_ns, one.event.uid))


def fits(ground: Ground, attack: Attack, plot: Plot) -> bool:
    """Whether a scenario can be planted here at all."""
    if plot.to_ns - plot.from_ns < attack.duration_s * SECOND_NS + HOUR_NS + DAY_NS * bool(attack.night):
        return False
    if attack.is_udp:
        return "udp.bytes" in ground.metrics
    if attack.is_lateral and not attack.sockets_per_s and not ground.knows_destinations:
        return False
    return not attack.sockets_per_s or "tcp.new_sockets" in ground.metrics


def _number_of(name: object) -> int:
    return int.from_bytes(hashlib.blake2b(str(name).encode(), digest_size=4).digest(), "big")


def _assign(
    ground: Ground, scenarios: list[Attack], plot: Plot, draws: Draws, number: int, share: float
) -> list[tuple[Entity, Attack]]:
    """Who gets what, in an order of chance. Scenarios go round, a step further each round."""
    loud = [one for one in scenarios if not one.is_silent]
    quiet = [one for one in scenarios if one.is_silent]
    active = _shuffled(ground.active(plot.from_ns), draws)
    silent = _shuffled(ground.silent(plot.from_ns), draws)
    active = active[: math.ceil(share * len(active))]
    pairs = (
        [(entity, loud[(at + number * len(active)) % len(loud)]) for at, entity in enumerate(active)] if loud else []
    )
    pairs += [(entity, quiet[(at + number * len(silent)) % len(quiet)]) for at, entity in enumerate(silent) if quiet]
    return _shuffled(pairs, draws)


def _shuffled(items: Iterable[T], draws: Draws) -> list[T]:
    """Fisher and Yates."""
    out = list(items)
    for at in range(len(out) - 1, 0, -1):
        other = draws.integer(0, at + 1)
        out[at], out[other] = out[other], out[at]
    return out


def _start(ground: Ground, entity: Entity, attack: Attack, plot: Plot, draws: Draws, stratum: tuple[int, int]) -> int:
    """A start in this event's own part of the plot, else anywhere in it, at which the source was heard; on its grid."""
    step = ground.interval_s * SECOND_NS
    room = plot.to_ns - plot.from_ns - attack.duration_s * SECOND_NS - HOUR_NS
    start_ns = plot.from_ns
    for attempt in range(CANDIDATES):
        at, of = stratum if attempt < CANDIDATES // 2 else (0, 1)
        start_ns = plot.from_ns + (at * 1_000_000 + draws.integer(0, 1_000_000)) * (room // 1000) // (of * 1000)
        if attack.night:
            start_ns = _at_night(ground, entity, attack, plot, start_ns, draws)
        start_ns = -(-start_ns // step) * step
        first = ground.minutes(entity, start_ns, start_ns + min(attack.active_s, 3600) * SECOND_NS)
        if np.isfinite(first).mean() >= 0.5:
            break
    return start_ns


def _at_night(ground: Ground, entity: Entity, attack: Attack, plot: Plot, start_ns: int, draws: Draws) -> int:
    """The same day at the entity's busiest hour, or at one in which it sends little."""
    day_ns = min(start_ns // DAY_NS, (plot.to_ns - attack.duration_s * SECOND_NS - HOUR_NS) // DAY_NS - 1) * DAY_NS
    history = ground.minutes(entity, ground.start_ns, plot.from_ns // DAY_NS * DAY_NS)
    by_hour = np.nan_to_num(history).reshape(-1, 24, 60).sum(axis=(0, 2)) if len(history) else np.zeros(24)
    order = np.argsort(by_hour, kind="stable")
    hour = int(order[-1]) if attack.night == "backup" else int(order[draws.integer(0, 6)])
    start_ns = day_ns + hour * HOUR_NS + draws.integer(0, 30) * MINUTE_NS
    return start_ns if start_ns >= plot.from_ns else start_ns + DAY_NS


def _inject(ground: Ground, entity: Entity, attack: Attack, start_ns: int, draws: Draws, uid: str) -> Injection:
    history = ground.minutes(entity, max(start_ns - HISTORY_NS, ground.start_ns), start_ns)
    if not ground.knows_destinations:
        attack = replace(attack, destinations=1)
    places, receivers = _targets(ground, entity, attack, draws)
    sender = Entity(entity.cluster, entity.namespace, entity.workload, attack.process or entity.process)
    added = added_by(attack, history, start_ns, ground.interval_s, draws, (places, receivers))
    added = added.where(_heard(ground, entity, added))
    judged = added.start_ns >= start_ns
    end_ns = start_ns + attack.duration_s * SECOND_NS
    begin_ns = min(int(added.start_ns.min()), start_ns) if len(added) else start_ns
    total = float(added.sent[judged].sum())
    names = tuple(place.workload or place.process for place in places[:_NAMED])
    rho = relative_size(total, history, attack.duration_s // 60) if attack.is_volume else None
    event = Event(uid, attack.id, attack.name, attack.technique, entity, sender, begin_ns, start_ns, end_ns, total, rho,
                  names, len(places), attack.is_benign)  # fmt: skip
    return Injection(event, added)


def _heard(ground: Ground, entity: Entity, added: Added) -> NDArray[np.bool_]:
    """Which samples a living source would have told."""
    if not len(added):
        return np.ones(0, bool)
    first = int(added.start_ns.min()) // MINUTE_NS * MINUTE_NS
    known = np.isfinite(ground.minutes(entity, first, int(added.end_ns.max())))
    heard: NDArray[np.bool_] = known[(added.start_ns - first) // MINUTE_NS]
    return heard


def relative_size(total: float, history: Float64, minutes: int) -> float | None:
    """Added bytes over the history's largest sum of as many minutes, None where that is 0 or the history too short.

    >>> relative_size(6.0, np.array([1.0, 2.0, np.nan, 1.0]), 2)
    2.0
    """
    minutes = max(minutes, 1)
    if len(history) < minutes:
        return None
    sums = np.cumsum(np.insert(np.nan_to_num(history), 0, 0.0))
    largest = float((sums[minutes:] - sums[:-minutes]).max())
    return total / largest if largest > 0 else None


def _targets(
    ground: Ground, entity: Entity, attack: Attack, draws: Draws
) -> tuple[tuple[Endpoint, ...], tuple[Entity | None, ...]]:
    """New destinations: strangers in the cluster first where the scenario stays inside, else places outside."""
    if not ground.knows_destinations:
        return (Endpoint(),), (None,)
    known = ground.contacts.get(entity, frozenset())
    places: list[Endpoint] = []
    receivers: list[Entity | None] = []
    if attack.is_lateral:
        for other in _shuffled(ground.entities, draws):
            place = Endpoint(other.cluster, other.namespace, other.workload, other.process, EndpointClass.INTERNAL)
            is_stranger = other != entity and other.namespace and place not in known and other.cluster == entity.cluster
            if is_stranger and len(places) < attack.destinations:
                places.append(place)
                receivers.append(other)
    code = draws.integer(0, 2**32)
    for at in range(len(places), attack.destinations):
        name = f"10.{(at >> 16) + 200}.{at >> 8 & 255}.{at & 255}" if attack.is_lateral else f"x{code:08x}.drop.example"
        if attack.is_udp:
            name = f"ns{code:08x}.drop.example"
        places.append(Endpoint("", "", name, "", EndpointClass.EXTERNAL))
        receivers.append(None)
    return tuple(places), tuple(receivers)
