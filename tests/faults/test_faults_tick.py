"""kill -9 while a tick judges and keeps: findings, risk and messages come out as if nothing had happened."""

import os
import random
import subprocess
import sys
import threading
from pathlib import Path

from ebbtide.finding.form import to_json
from ebbtide.store.check import check
from ebbtide.store.store import Store
from ticker import HOURS

TICKER = Path(__file__).parents[1] / "ticker.py"
#: How many kills; `make faults` asks for more.
KILLS = int(os.environ.get("EBBTIDE_KILLS", "1"))


def run(path: Path, first: int, kill_after: int | None = None, delay_s: float = 0) -> int:
    """Let it tick from an hour on, and kill it `delay_s` after so many hours; the first hour that was not done."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(TICKER), str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as ticker:
        assert ticker.stdout is not None
        done = first
        for line in ticker.stdout:
            if line.strip().isdigit():
                done = int(line) + 1
            if done - first == kill_after:
                threading.Timer(delay_s, ticker.kill).start()
                kill_after = None
    assert done == HOURS or ticker.returncode == -9
    return done


def outcome(path: Path) -> tuple[object, ...]:
    """Everything that ticks leave behind, in words."""
    with Store.open(path, is_new_allowed=False) as store:
        episodes = [
            (one.finding.uid, to_json(one.finding), one.peak_count, one.closed_ns, one.reopened)
            for one in store.findings.all()
        ]
        told = [(row.uid, row.change) for row in store.outbox.head("s", 1000)]
        risk = store.ask("SELECT * FROM risk_events ORDER BY ALL")
        assert check(store) == []
        return sorted(episodes), told, risk, sorted(store.progress.reached().items()), store.totals()


def test_kill_9_during_ticks_loses_and_repeats_no_finding_and_no_message(tmp_path, record_property):
    undisturbed, killed = tmp_path / "u.duckdb", tmp_path / "k.duckdb"
    assert run(undisturbed, 0) == HOURS
    rng, done, kills = random.Random(1), 0, 0
    step = max(2, HOURS // (KILLS + 1))
    while done < HOURS:
        kill_after = rng.randrange(1, step + 1) if kills < KILLS else None
        done = run(killed, done, kill_after, rng.uniform(0, 0.1))
        kills += done < HOURS

    assert kills
    expected = outcome(undisturbed)
    assert expected[0]
    assert len(expected[1]) >= 2
    assert outcome(killed) == expected
    record_property(
        "figure",
        f"kill -9 during a tick | {kills} kills, {len(expected[0])} findings, {len(expected[1])} messages "
        "| findings, risk, messages and progress equal those of an undisturbed run",
    )
