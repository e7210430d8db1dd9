"""`backtest --inject`: attacks planted in a copy of the store; what would be caught, how fast, and at what loss."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ebbtide.cli import console
from ebbtide.detect.detection import Detection
from ebbtide.finding.text import bytes_text, count_text, rfc3339
from ebbtide.lab.cluster_figures import to_json
from ebbtide.lab.cluster_page import minutes_text
from ebbtide.lab.cluster_study import Heard, Settings
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


def try_attacks(copy: Path, settings: Settings, from_ns: int, to_ns: int, heard: Heard) -> Trial:
    """The settings' attacks, planted beside a store's copy that is closed and judged already."""
    with tempfile.TemporaryDirectory(prefix="planted-", dir=copy.parent) as name, console.progress_bar() as progress:
        task = progress.add_task("planting", total=None, rate="")
        return run_trial(
            copy, Path(name), settings, from_ns, to_ns, lambda text: progress.update(task, rate=text), heard
        )  # fmt: skip


def trial_object(trial: Trial, unit: str = "") -> dict[str, object]:
    """The trial as JSON values; amounts are in `unit`, "" for bytes."""
    return {
        "unit": unit or "bytes",
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


def print_trial(trial: Trial, detections: Sequence[Detection], unit: str = "") -> None:
    """Sums per detection, then every attack; the missed ones first. `unit` as in `trial_object`."""
    short = {one.id: one.short_name for one in detections}
    many = len(trial.catches)
    caught = sum(one.is_caught for one in trial.catches)
    missed = [one for one in trial.catches if not one.is_told]
    anyway = many - caught - len(missed)
    console.say()
    console.say(
        f"Of {many} attacks planted in a copy, {caught} would have been caught and {len(missed)} missed"
        + (f"; where the other {anyway} lie something is told anyway." if anyway else ".")
        + (f" The missed ones sent {_amount(sum(one.lost for one in missed), unit)}." if missed else "")
    )
    if unit:
        console.say(
            f"The values of this store are {unit}: sizes in the names of attacks are numbers of them, not bytes."
        )
    if trial.left_out:
        console.say(f"{trial.left_out:,} samples of attacks fell into hours whose samples are no longer stored.")
    console.print_table(
        ("detection", "planted", "caught", "told", "delay, median", "90 %", "lost, median"),
        [
            (short[one.detection], one.planted, one.caught, one.told, minutes_text(one.delays.median_s),
             minutes_text(one.delays.p90_s), _amount(one.delays.median_lost, unit))
            for one in trial.tallies
        ],
        title="\nPlanted attacks",
    )  # fmt: skip
    rank = {"missed": 0, "told anyway": 1, "caught": 2}
    rows = sorted(trial.catches, key=lambda one: (rank[outcome_text(one)], one.event.start_ns))
    console.print_table(
        ("outcome", "attack", "after", "told first by", "lost"),
        [
            (outcome_text(one), _attack(one), minutes_text(one.delay_s), short[one.by[0]] if one.by else "-",
             _lost(one, unit))
            for one in rows[:_MOST_ROWS]
        ],
        title="\nWhat became of each",
    )  # fmt: skip
    if many > _MOST_ROWS:
        console.say(f"{many - _MOST_ROWS} more, caught or told: see --json.")


def _attack(one: Catch) -> str:
    """What was planted, by whom and when, in one cell that wraps."""
    event = one.event
    minute = rfc3339(event.start_ns // SECOND_NS * SECOND_NS)[:16].replace("T", " ")
    return f"{event.scenario} {event.name}: {event.sender} from {minute}"


def _lost(one: Catch, unit: str) -> str:
    return _amount(one.lost, unit) if one.lost == one.event.sent else (
        f"{_amount(one.lost, unit)} of {_amount(one.event.sent, unit)}"
    )  # fmt: skip


def _amount(value: float | None, unit: str) -> str:
    return "-" if value is None else count_text(value) if unit else bytes_text(value)
