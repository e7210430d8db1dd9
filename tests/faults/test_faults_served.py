"""`ebbtide serve` as a process: its disk fills up, it is told to stop under load, its file may not be written."""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ebbtide.store.check import check
from ebbtide.store.store import Store
from ledger import Sender, Served, acknowledged, ended, owed, until

#: How many points are acknowledged before and after each fault; `make faults` asks for more.
POINTS = int(os.environ.get("EBBTIDE_FAULT_POINTS", "500"))
KINDS = {"a": "delta", "b": "cumulative"}


@pytest.fixture
def served(tmp_path) -> Iterator[Served]:
    one = Served(tmp_path)
    one.start()
    yield one
    one.kill()


def limit(served: Served, size: int) -> None:
    """Bound the size of the files it writes, which to it is a disk that takes no more."""
    hard = resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (size, hard))


def more(senders: list[Sender], points: int = POINTS) -> None:
    before = acknowledged(senders)
    until(lambda: acknowledged(senders) >= before + points, longest_s=60 + points / 20)


def compare(path: Path, senders: list[Sender]) -> int:
    """Compare the store with the ledgers, and whether it is sound; how many series were compared."""
    with Store.open(path, is_new_allowed=False) as store:
        totals, ledger, most = store.totals(), owed(senders), owed(senders, is_flight_counted=True)
        # A body whose answer was lost on the way may be there or not.
        assert all(totals[key] in (ledger[key], most[key]) for key in ledger)
        assert set(ledger) <= set(totals) <= set(most)
        store.roll_up()
        assert check(store) == []
    return len(ledger)


def test_a_full_disk_refuses_retryably_is_told_and_loses_nothing(served, record_property):
    senders = served.senders(KINDS)
    with ended(senders):
        more(senders)
        before, began = sum(one.refusals for one in senders), time.monotonic()
        limit(served, served.store.with_name("s.duckdb.wal").stat().st_size)
        until(lambda: sum(one.refusals for one in senders) > before + 10)
        stored = acknowledged(senders)
        status, said = served.asked("/readyz")
        problems = served.problems()
        refusals, full_s = sum(one.refusals for one in senders) - before, time.monotonic() - began
        limit(served, resource.RLIM_INFINITY)
        freed = time.monotonic()
        until(lambda: acknowledged(senders) > stored)
        recovered_s = time.monotonic() - freed
        more(senders)
    until(lambda: "can be stored" not in served.asked("/readyz")[1])

    assert "nothing that arrives can be stored" in said, status
    assert any(one.startswith("Nothing that arrives can be stored") for one in problems)
    limit(served, served.store.with_name("s.duckdb.wal").stat().st_size)
    assert served.terminate() == 0  # and full once more at its end
    series = compare(served.store, senders)
    record_property(
        "figure",
        f"disk full under load | full for {full_s:.1f} s, {refusals}+ requests told to come again (503); "
        f"/readyz and health told it | 0 of {acknowledged(senders):,} points lost, {series} series equal; "
        f"storing {recovered_s:.1f} s after there was room",
    )


def test_sigterm_under_load_ends_with_0_and_everything_acknowledged(served, record_property):
    senders = served.senders(KINDS)
    with ended(senders):
        more(senders)
        began = time.monotonic()
        code = served.terminate()
        took_s = time.monotonic() - began
        for one in senders:
            one.give_up()

    assert code == 0
    assert took_s < 30
    series = compare(served.store, senders)
    record_property(
        "figure",
        f"SIGTERM under load | exit code {code} after {took_s:.1f} s | 0 of {acknowledged(senders):,} points lost, "
        f"{series} series equal",
    )


OPEN = """
import os, sys
from pathlib import Path
from ebbtide.errors import EbbtideError
from ebbtide.store.store import Store
if os.geteuid() == 0:
    os.seteuid(65534)  # permissions do not bind the superuser
try:
    Store.open(Path(sys.argv[1]), is_new_allowed=False)
except EbbtideError as error:
    print(type(error).__name__, error.exit_code, error.hint, sep="|")
"""


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that others may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_file_that_may_not_be_written_is_refused_and_left_as_it_is(open_directory, record_property):
    path = open_directory / "s.duckdb"
    with Store.open(path) as store:
        store.begin("live", "test")
    path.chmod(0o444)
    before = path.read_bytes()
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", OPEN, str(path)], capture_output=True, text=True, env=env, check=True)

    name, code, hint = done.stdout.strip().split("|")
    assert (name, code) == ("ServiceError", "4")
    assert "writable" in hint
    assert path.read_bytes() == before
    record_property(
        "figure",
        f"read-only file | opened by one who may not write it | refused with exit code {code} and a hint, the file is "
        "unchanged to the byte",
    )
