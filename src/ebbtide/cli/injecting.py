"""`backtest --inject`: attacks planted in a copy of the store; what would be caught, how fast, and at what loss."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ebbtide.backtest import replay
from ebbtide.cli import console
from ebbtide.detect.detection import Detection
from ebbtide.finding.text import rfc3339
from ebbtide.lab.cluster_figures import to_json
from ebbtide.lab.cluster_page import mb_text, minutes_text
from ebbtide.lab.cluster_scenarios import Attack
from ebbtide.lab.cluster_study import Settings
from ebbtide.lab.cluster_trial import Catch, Trial, run_trial
from ebbtide.lab.overlay import copy_store
from ebbtide.lab.simulate_write import event_object
from ebbtide.series import SECOND_NS

_MOST_ROWS = 40


@contextmanager
def own_copy(db: Path) -> Iterator[Path]:
    """A copy of a closed store in a directory of its own, gone afterwards; the store is never opened."""
    with tempfile.TemporaryDirectory(prefix="ebbtide-backtest-") as name:
        yield copy_store(db, Path(name) / db.name)


def try_attacks(
    copy: Path,
    detections: Sequence[Detection],
    scenarios: tuple[Attack, ...],
    seed: int,
    from_ns: int,
    to_ns: int,
    every_ns: int | None,
) -> Trial:
    """One round of the scenarios, planted beside a store's copy that is closed."""
    settings = Settings(tuple(detections), replay, scenarios, rounds=1, seed=seed, every_ns=every_ns)
    with tempfile.TemporaryDirectory(prefix="planted-", dir=copy.parent) as name, console.progress_bar() as progress:
        task = progress.add_task("planting", total=None, rate="")
        return run_trial(
            copy, Path(name), settings, from_ns, to_ns, lambda text: progress.update(task, rate=text)
        )  # fmt: skip


def trial_object(trial: Trial) -> dict[str, object]:
    """The trial as JSON values."""
    return {
        "detections": to_json(trial.tallies),
        "attacks": [
            {
                "attack": event_object(one.event),
                "outcome": outcome_text(one),
                "delay_s": one.delay_s,
                "bytes_lost": one.lost,
                "told_by": list(one.by),
            }
            for one in trial.catches
        ],
        "samples_left_out": trial.left_out,
    }


def outcome_text(catch: Catch) -> str:
    """`caught`, `told anyway` (something is told there without the attack, too) or `missed`."""
    return "caught" if catch.is_caught else "told anyway" if catch.is_told else "missed"


def print_trial(trial: Trial, detections: Sequence[Detection]) -> None:
    """Sums per detection, then every attack; the missed ones first."""
    short = {one.id: one.short_name for one in detections}
    many = len(trial.catches)
    caught = sum(one.is_caught for one in trial.catches)
    missed = [one for one in trial.catches if not one.is_told]
    console.say()
    console.say(
        f"Of {many} attacks planted in a copy, {caught} would have been caught and {len(missed)} missed; where the "
        f"other {many - caught - len(missed)} lie something is told anyway. The missed ones sent "
        f"{mb_text(sum(one.lost for one in missed))}."
    )
    if trial.left_out:
        console.say(f"{trial.left_out:,} samples of attacks fell into hours whose samples are no longer stored.")
    console.print_table(
        ("detection", "planted", "caught", "told", "delay, median", "90 %", "lost, median"),
        [
            (short[one.detection], one.planted, one.caught, one.told, minutes_text(one.delays.median_s),
             minutes_text(one.delays.p90_s), mb_text(one.delays.median_lost))
            for one in trial.tallies
        ],
        title="\nPlanted attacks",
    )  # fmt: skip
    rank = {"missed": 0, "told anyway": 1, "caught": 2}
    rows = sorted(trial.catches, key=lambda one: (rank[outcome_text(one)], one.event.start_ns))
    console.print_table(
        ("outcome", "attack", "who sends", "from", "sent", "after", "lost", "told first by"),
        [
            (outcome_text(one), f"{one.event.scenario} {one.event.name}", str(one.event.sender),
             rfc3339(one.event.start_ns // SECOND_NS * SECOND_NS), mb_text(one.event.sent), minutes_text(one.delay_s),
             mb_text(one.lost), short[one.by[0]] if one.by else "-")
            for one in rows[:_MOST_ROWS]
        ],
        title="\nWhat became of each",
    )  # fmt: skip
    if many > _MOST_ROWS:
        console.say(f"{many - _MOST_ROWS} more, caught or told: see --json.")
