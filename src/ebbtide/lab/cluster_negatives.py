"""Hard negatives on a simulated cluster: the same days with and without one benign change in every entity it can hit.

Each class is a twin: the unmodified days, and the days with the change. Some change the cluster (rollout, surge,
backup), some only how its samples arrive (duplicates, gaps with a catch-up, another interval). What a detection says
about the second and not about the first is the price of that change. In: a plan, the day of the change. Out: batches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ebbtide.errors import UsageError
from ebbtide.lab import simulate_benign as benign
from ebbtide.lab.simulate_batch import Batcher
from ebbtide.lab.simulate_plan import INTERVAL_S, PER_DAY, PER_HOUR, Draft, Draws, Effect, Plan
from ebbtide.lab.simulate_series import Labeller
from ebbtide.lab.simulate_topology import MB
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.series import MINUTE_NS, SECOND_NS, Batch, Float64, Int32, Int64, Series

Batches = Iterator[Batch]
#: Namespaces whose containers talk to everybody.
_SHARED = ("kube-system", "monitoring", "ingress-nginx")
_TEN_NS = 10 * SECOND_NS


@dataclass(frozen=True, slots=True)
class Negative:
    """A class: its name, whether a detection must say nothing new (`is_strict`), and one of the two ways to change.

    `change` edits the plan from an interval on; `deliver` edits batches, given the change's instant.
    """

    name: str
    is_strict: bool = False
    change: Callable[[Draft, Draws, int], None] | None = None
    deliver: Callable[[Batches, int], Batches] | None = None


def apply(negative: Negative, plan: Plan, first: int, last: int) -> Iterator[Batch]:
    """The batches of intervals [first, last) with the change at `first` plus six hours (noon of a first day, say)."""
    at = first + 6 * PER_HOUR
    if negative.change is not None:
        draft = Draft.of(plan)
        negative.change(draft, Draws(plan.parameters.seed, 50), at)
        plan = draft.finish()
    batches = _batches(plan, first, last)
    return negative.deliver(batches, at * INTERVAL_S * SECOND_NS) if negative.deliver else batches


def _batches(plan: Plan, first: int, last: int) -> Iterator[Batch]:
    simulation = Simulation(plan)
    labeller, batcher = Labeller(simulation), Batcher(plan.parameters.cluster)
    for hour in range(first, last, PER_HOUR):
        flows = simulation.flows(hour, min(hour + PER_HOUR, last))
        if len(flows):
            yield batcher.batch(labeller.points(flows))


# -- changes of the cluster


def _containers(draft: Draft) -> list[int]:
    """Every process in a container that talks, each once."""
    return [at for at, party in enumerate(draft.parties) if party.resolution == "K8S_CONTAINER" and draft.edges_of(at)]


def _strangers(draft: Draft) -> list[int]:
    """Containers of applications no two of which talk to each other: else an edge would change twice."""
    taken: set[int] = set()
    for party in _containers(draft):
        ends = {end for at in draft.edges_of(party) for end in (draft.edges[at].client, draft.edges[at].server)}
        if draft.parties[party].namespace not in _SHARED and not ends & taken:
            taken.add(party)
    return sorted(taken)


def _each(
    change: Callable[[Draft, Draws, int, int], None], of: Callable[[Draft], list[int]] = _containers
) -> Callable[[Draft, Draws, int], None]:
    """One kind of event in every container (or in some), within the six hours after the instant."""

    def apply_all(draft: Draft, draws: Draws, at: int) -> None:
        for party in of(draft):
            change(draft, draws, party, at + draws.integer(0, 6 * PER_HOUR))

    return apply_all


def _surging(draft: Draft, draws: Draws, at: int) -> None:
    """Five times the traffic for three days, both directions alike."""
    del draws
    edges = tuple(range(len(draft.edges)))
    draft.effects.append(Effect(edges, at, at + 3 * PER_DAY, 5.0, 5.0, 5.0))


def _backup(shift_h: int, factor: float) -> Callable[[Draft, Draws, int], None]:
    """Every nightly backup later, or larger."""

    def change(draft: Draft, draws: Draws, at: int) -> None:
        del draws
        benign.backup_changed(draft, _backups(draft), at, shift_h, factor)

    return change


def _saving(draft: Draft, draws: Draws, at: int) -> None:
    del draws
    benign.clocks_changed(draft, at)


def _backups(draft: Draft) -> list[int]:
    return [at for at, edge in enumerate(draft.edges) if draft.parties[edge.client].workload.endswith("-backup")
            and edge.every == PER_DAY]  # fmt: skip


def _growing(draft: Draft, draws: Draws, at: int) -> None:
    del draws
    draft.effects.append(Effect(tuple(range(len(draft.edges))), at, 2**40, growth=0.03))


def _crons(draft: Draft, draws: Draws, at: int) -> None:
    for party in _containers(draft):
        benign.cron_added(draft, draws, party, at, size=300 * MB)


def _workloads(draft: Draft, draws: Draws, at: int) -> None:
    for party in _containers(draft):
        if draft.parties[party].workload == "api":
            benign.workload_added(draft, draws, party, at)


# -- changes of the delivery


def _duplicated(batches: Batches, at_ns: int) -> Batches:
    """Everything is sent twice, the second time an hour late."""
    before: Batch | None = None
    for batch in batches:
        yield batch
        if before is not None and int(before.end_ns.max()) > at_ns:
            yield before
        before = batch


def _silent(minutes: int, *, is_caught_up: bool) -> Callable[[Batches, int], Batches]:
    """No samples for a while from the instant on; afterwards, perhaps, one sample per series with all of that."""

    def deliver(batches: Batches, at_ns: int) -> Batches:
        until_ns = at_ns + minutes * MINUTE_NS
        missed: dict[Series, float] = {}
        is_due = is_caught_up
        for batch in batches:
            inside = (batch.end_ns > at_ns) & (batch.end_ns <= until_ns)
            for ref, value in zip(batch.ref[inside].tolist(), batch.value[inside].tolist(), strict=True):
                missed[batch.series[ref]] = missed.get(batch.series[ref], 0.0) + value
            kept = _rows(batch, ~inside)
            if is_due and int(batch.end_ns.max()) > until_ns and missed:
                is_due = False
                yield _catch_up(missed, at_ns, until_ns)
            if len(kept):
                yield kept

    return deliver


def _catch_up(missed: dict[Series, float], start_ns: int, end_ns: int) -> Batch:
    many = len(missed)
    start, end = np.full(many, start_ns), np.full(many, end_ns)
    values = np.array(list(missed.values()))
    return Batch(tuple(missed), np.arange(many, dtype=np.int32), start, end, values, np.full(many, np.nan))


def _skewed(minutes: int) -> Callable[[Batches, int], Batches]:
    """From the instant on the source's clock is wrong."""

    def deliver(batches: Batches, at_ns: int) -> Batches:
        for batch in batches:
            shift = np.where(batch.end_ns > at_ns, minutes * MINUTE_NS, 0)
            yield dataclasses.replace(batch, start_ns=batch.start_ns + shift, end_ns=batch.end_ns + shift)

    return deliver


def _finer(batches: Batches, at_ns: int) -> Batches:
    """From the instant on the source reports every 10 s instead of every 30: the same bytes, in three parts."""
    for batch in batches:
        late = batch.end_ns > at_ns
        yield _rows(batch, ~late)
        fine = _rows(batch, late)
        third = np.floor(fine.value / 3)
        parts = (third, third, fine.value - 2 * third)
        ends = [fine.start_ns + (at + 1) * _TEN_NS for at in range(3)]
        yield _columns(batch, np.tile(fine.ref, 3), np.concatenate(ends) - _TEN_NS, np.concatenate(ends),
                       np.concatenate(parts))  # fmt: skip


def _rescaled(batches: Batches, at_ns: int) -> Batches:
    """From the instant on bytes are told in bits: somebody changed a unit."""
    for batch in batches:
        is_bytes = np.array([one.metric.endswith(".bytes") for one in batch.series], bool)
        factor = np.where((batch.end_ns > at_ns) & is_bytes[batch.ref], 8.0, 1.0)
        yield dataclasses.replace(batch, value=batch.value * factor)


def _restarted(batches: Batches, at_ns: int) -> Batches:
    """The source restarts: two intervals of nothing. That counters begin anew then is the decoder's matter."""
    for batch in batches:
        yield _rows(batch, ~((batch.end_ns > at_ns) & (batch.end_ns <= at_ns + 2 * INTERVAL_S * SECOND_NS)))


def _rows(batch: Batch, keep: NDArray[np.bool_]) -> Batch:
    return _columns(batch, batch.ref[keep], batch.start_ns[keep], batch.end_ns[keep], batch.value[keep])


def _columns(batch: Batch, ref: Int32, start_ns: Int64, end_ns: Int64, value: Float64) -> Batch:
    return Batch(batch.series, ref.astype(np.int32), start_ns, end_ns, value, np.full(len(ref), np.nan))


NEGATIVES: tuple[Negative, ...] = (
    Negative("rollout", True, change=_each(benign.rollout)),
    Negative("restart", True, change=_each(benign.restart)),
    Negative("source restarts", True, deliver=_restarted),
    Negative("gap of 5 min, caught up", True, deliver=_silent(5, is_caught_up=True)),
    Negative("gap of 6 h, caught up", True, deliver=_silent(360, is_caught_up=True)),
    Negative("gap of 24 h", True, deliver=_silent(1440, is_caught_up=False)),
    Negative("duplicates", True, deliver=_duplicated),
    Negative("clock 5 min fast", True, deliver=_skewed(5)),
    Negative("clock 5 min slow", True, deliver=_skewed(-5)),
    Negative("interval 30 s to 10 s", True, deliver=_finer),
    Negative("scale-out x2 to x10", change=_each(benign.scale_out, _strangers)),
    Negative("x5 for three days, inbound alike", change=_surging),
    Negative("backups 3 h later", change=_backup(3, 1.0)),
    Negative("backups doubled", change=_backup(0, 2.0)),
    Negative("growth 3 % a day", change=_growing),
    Negative("cron added, 300 MB a night", change=_crons),
    Negative("new workload", change=_workloads),
    Negative("daylight saving", change=_saving),
    Negative("retry storm", change=_each(benign.retry_storm, _strangers)),
    Negative("bytes told in bits", deliver=_rescaled),
)


def choose_negatives(names: Iterable[str]) -> tuple[Negative, ...]:
    """The classes whose name begins with one of the words, or all for `all`. Raises UsageError."""
    chosen: list[Negative] = []
    for word in names:
        found = [one for one in NEGATIVES if word == "all" or one.name.startswith(word)]
        if not found:
            raise UsageError(f"no benign change {word!r}", hint=", ".join(one.name for one in NEGATIVES))
        chosen += found
    return tuple(dict.fromkeys(chosen))
