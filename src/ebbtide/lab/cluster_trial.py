"""What detections would have caught: attacks planted in a copy of a store, and what became of each.

In: a store's file, detections and what replays them, scenarios. Out: one `Catch` per planted attack, by all detections
together, and their sums per detection. The store itself is copied, never opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ebbtide.errors import UsageError
from ebbtide.lab.cluster_inject import Event
from ebbtide.lab.cluster_judge import Delays, Outcome, delays, judge_event
from ebbtide.lab.cluster_study import Heard, Measured, Notify, Settings, Span, Study


@dataclass(frozen=True, slots=True)
class Catch:
    """What became of one attack. `by` are the detections to whose findings it led, those that told first in front.

    `is_caught`: told only because of the attack. `is_told`: something was told there, which the unmodified copy may say
    as well. `delay_s` runs from the first added byte to the first tick that tells, None if none does; `lost` are the
    bytes that had left by then, all of them if none does.
    """

    event: Event
    is_caught: bool
    is_told: bool
    delay_s: float | None
    lost: float
    by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tally:
    """One detection's attacks: how many were planted, caught, told in any case; how late the catches came."""

    detection: str
    planted: int
    caught: int
    told: int
    delays: Delays


@dataclass(frozen=True, slots=True)
class Trial:
    """Every attack by its start, the sums per detection, and the samples retention left no room for."""

    catches: tuple[Catch, ...]
    tallies: tuple[Tally, ...]
    left_out: int


def run_trial(
    path: Path, work: Path, settings: Settings, from_ns: int, to_ns: int, notify: Notify, heard: Heard | None = None
) -> Trial:
    """Plant the settings' attacks between two instants in copies within `work`, replay, and judge each.

    `heard` as in `Study.run`. Raises NoDataError and StoreInUseError as `copy_store` does, UsageError if none of the
    attacks can be planted.
    """
    measured = Study(work, settings, notify).run(path, Span(from_ns, from_ns, to_ns), heard)
    if not measured.planted:
        raise UsageError(
            "none of these attacks fits into the range and the metrics of this store", hint="widen --from and --to"
        )
    return trial_of(measured)


def trial_of(measured: Measured) -> Trial:
    """The catches and tallies of what was measured; benign twins are no attacks and left out."""
    outcomes = {name: _outcomes(measured, (name,)) for name in measured.detections}
    together = _outcomes(measured, measured.detections)
    catches = []
    for at, one in enumerate(together):
        told = [(each[at].delay_s, name) for name, each in outcomes.items()]
        by = tuple(name for _, name in sorted((delay, name) for delay, name in told if delay is not None))
        lost = one.event.sent if one.lost is None else one.lost
        catches.append(Catch(one.event, one.is_paired, one.is_raw, one.delay_s, lost, by))
    tallies = tuple(
        Tally(name, len(each), sum(one.is_paired for one in each), sum(one.is_raw for one in each), delays(each))
        for name, each in outcomes.items()
    )
    return Trial(tuple(sorted(catches, key=lambda one: (one.event.start_ns, one.event.uid))), tallies,
                 measured.left_out)  # fmt: skip


def _outcomes(measured: Measured, detections: Sequence[str]) -> list[Outcome]:
    twin = [row for row in measured.twin if row.detection in detections]
    return [
        judge_event(one.injection, [row for row in one.told if row.detection in detections], twin)
        for one in measured.planted
        if not one.injection.event.is_benign
    ]
