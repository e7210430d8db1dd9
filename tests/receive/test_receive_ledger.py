"""kill -9 under load: whatever a sender was told is stored is there, and what it sent again is there once.

Senders keep a ledger (`ledger.py`); at the end the store's sums per series must equal the ledgers' to the last byte.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from ebbtide.series import SECOND_NS
from ebbtide.store.check import check
from ebbtide.store.store import Store
from ledger import SERIES, Sender, acknowledged, free_ports, owed

RECEIVER = Path(__file__).with_name("receiver.py")
#: How many kills; `make faults` asks for more.
KILLS = int(os.environ.get("EBBTIDE_KILLS", "4"))


def start_receiver(path: Path, ports: list[int]) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(RECEIVER), str(path), *map(str, ports)]
    receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert receiver.stdout is not None and receiver.stdout.readline() == "ready\n"
    return receiver


def kill(receiver: subprocess.Popen[str]) -> None:
    receiver.kill()
    receiver.wait()
    assert receiver.stdout is not None
    receiver.stdout.close()


def test_kill_9_under_load_loses_nothing_acknowledged_and_repeats_nothing(tmp_path, record_property):
    path, ports = tmp_path / "e.duckdb", free_ports(2)
    start_ns = (time.time_ns() // SECOND_NS - 3600) * SECOND_NS
    kinds = {"a": "delta", "b": "delta", "c": "cumulative"}
    senders = [Sender(name, kind, *ports, start_ns) for name, kind in kinds.items()]
    rng = random.Random(1)
    receiver = start_receiver(path, ports)
    try:
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            have = [len(sender.acknowledged) for sender in senders]
            end = time.monotonic() + 30
            while any(len(one.acknowledged) < had + 3 for one, had in zip(senders, have, strict=True)):
                assert time.monotonic() < end
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.05))  # where in a commit it strikes is what is being tried
            kill(receiver)
            receiver = start_receiver(path, ports)
    finally:
        # The last receiver lives until all senders are done.
        for sender in senders:
            sender.is_over.set()
        for sender in senders:
            sender.join(30)
        kill(receiver)

    with Store.open(path, is_new_allowed=False) as store:
        totals = store.totals()
        ledger = owed(senders)
        assert {key: value for key, value in totals.items() if key in ledger} == ledger
        assert len(totals) == len(ledger) == 3 * SERIES
        store.roll_up()
        assert check(store) == []
    assert sum(sender.attempts for sender in senders) > sum(len(sender.acknowledged) for sender in senders)
    record_property(
        "figure",
        f"kill -9 of the receivers under load | {KILLS} kills, {acknowledged(senders):,} points acknowledged, "
        f"OTLP/HTTP and gRPC | 0 lost, 0 twice: {len(ledger)} series equal to the senders' ledgers",
    )
