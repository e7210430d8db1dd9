"""kill -9 at random moments: what was acknowledged is there, once, and the file opens."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import numpy as np
from writer import numbered_batch

from ebbtide.store.check import check
from ebbtide.store.store import Store

WRITER = Path(__file__).with_name("writer.py")
#: How many kills; `make faults` asks for more.
KILLS = int(os.environ.get("EBBTIDE_KILLS", "8"))


def write_until_killed(path: Path, first: int, acknowledged: int, delay_s: float) -> int:
    """The last number acknowledged by a writer that is killed `delay_s` after so many acknowledgements."""
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(WRITER.parents[1]), *sys.path])}
    last = first - 1
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(path), str(first)], stdout=subprocess.PIPE, text=True, env=env
    ) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if not line.endswith("\n"):
                break
            last = int(line)
            if last == first + acknowledged - 1:
                threading.Timer(delay_s, os.kill, (writer.pid, signal.SIGKILL)).start()
    return last


def test_kill_9_loses_nothing_acknowledged_and_a_retry_repeats_nothing(tmp_path, record_property):
    path = tmp_path / "e.duckdb"
    rng = np.random.default_rng(1)
    last = -1
    for _ in range(KILLS):
        last = write_until_killed(path, last + 1, int(rng.integers(1, 30)), float(rng.uniform(0, 0.05)))
        with Store.open(path, is_new_allowed=False) as store:
            store.roll_up()
            assert check(store) == []

    expected: Counter[int] = Counter()
    with Store.open(path, is_new_allowed=False) as store:
        # The batch after the last acknowledged one may or may not be on disk: its sender would send it again.
        store.append(numbered_batch(last + 1), store.begin("live", "retry"))
        for number in range(last + 2):
            batch = numbered_batch(number)
            for ref, value in zip(batch.ref.tolist(), batch.value.tolist(), strict=True):
                expected[batch.series[ref].key] += value
        assert store.totals() == dict(expected)
    assert last > KILLS
    record_property(
        "figure",
        f"kill -9 of a writer between commits and roll-ups | {KILLS} kills, {last + 1:,} batches acknowledged "
        f"| 0 lost, 0 twice: {len(expected)} series equal, the file is sound",
    )
