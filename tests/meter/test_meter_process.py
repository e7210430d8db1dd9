"""Processes from /proc: names, hashes, renames, reuse of numbers, hostile names."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.meter.process import ProcessTable, clean_name


def fake_proc(root: Path, tgid: int, comm: str, started: int, executable: Path | None = None, cgroup: str = "0::/\n"):
    folder = root / str(tgid)
    folder.mkdir(exist_ok=True)
    (folder / "comm").write_text(comm + "\n")
    fields = ["S", *["0"] * 18, str(started), "0"]
    (folder / "stat").write_text(f"{tgid} (a ) b) {' '.join(fields)}")
    (folder / "cgroup").write_text(cgroup)
    if executable is not None:
        (folder / "exe").unlink(missing_ok=True)
        (folder / "exe").symlink_to(executable)


def test_a_live_process_has_name_path_and_hash():
    table = ProcessTable()
    process = table.learn(os.getpid(), b"thread-7")
    assert table.hash_pending() == 1
    process = table.find(os.getpid(), b"thread-7")
    real = Path(sys.executable).resolve()
    assert process.path == str(real)
    assert process.sha256 == hashlib.sha256(real.read_bytes()).hexdigest()
    assert process.name == Path("/proc/self/comm").read_text().strip()
    assert process.started > 0
    table.close()


def test_an_executable_is_hashed_once_for_all_its_processes(tmp_path):
    program = tmp_path / "prog"
    program.write_bytes(b"code")
    for tgid in (7, 8):
        fake_proc(tmp_path, tgid, "prog", 100, program)
    table = ProcessTable(tmp_path)
    table.learn(7, b"prog"), table.learn(8, b"prog")
    assert (table.hash_pending(), table.hash_pending()) == (1, 0)
    assert table.find(7, b"prog").sha256 == table.find(8, b"prog").sha256 == hashlib.sha256(b"code").hexdigest()


def test_a_process_that_ended_before_its_hash_still_gets_one(tmp_path):
    copy = tmp_path / "brief"
    shutil.copy(shutil.which("sleep"), copy)
    process = subprocess.Popen([copy, "30"])
    table = ProcessTable()
    while table.learn(process.pid, b"brief").path != str(copy):
        os.sched_yield()
    process.kill(), process.wait()
    copy.unlink()
    table.hash_pending()
    found = table.find(process.pid, b"brief")
    assert (found.name, found.path, len(found.sha256)) == ("brief", str(copy), 64)


def test_a_process_gone_before_it_was_looked_at_keeps_the_kernel_name(tmp_path):
    process = ProcessTable(tmp_path).find(999, b"brief")
    assert (process.name, process.path, process.started) == ("brief", "", 0)


def test_a_renamed_process_has_its_new_name(tmp_path):
    fake_proc(tmp_path, 7, "before", 100)
    table = ProcessTable(tmp_path)
    assert table.find(7, b"before").name == "before"
    fake_proc(tmp_path, 7, "after", 100)
    assert table.find(7, b"before").name == "after"


def test_a_reused_number_is_another_process(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"1"), new.write_bytes(b"2")
    fake_proc(tmp_path, 7, "curl", 100, old)
    table = ProcessTable(tmp_path)
    assert table.find(7, b"curl").path == str(old)
    fake_proc(tmp_path, 7, "evil", 200, new)
    assert table.find(7, b"curl").path == str(old)  # rows under the old name stay the old process'
    assert table.find(7, b"evil").path == str(new)
    fake_proc(tmp_path, 7, "curl", 300, new)
    assert table.find(7, b"curl").path == str(new)  # same number and name: the start time tells


def test_number_zero_is_nobody(tmp_path):
    assert ProcessTable(tmp_path).find(0, b"").name == ""


def test_the_table_is_bounded(tmp_path):
    table = ProcessTable(tmp_path, limit=10)
    for tgid in range(1, 100):
        table.find(tgid, b"x")
    assert len(table) == 10


def test_too_many_executables_at_once_are_counted(tmp_path):
    for tgid in range(1, 5):
        program = tmp_path / f"prog{tgid}"
        program.write_bytes(b"code")
        fake_proc(tmp_path, tgid, "prog", 100, program)
    table = ProcessTable(tmp_path, pending_limit=2)
    for tgid in range(1, 5):
        table.learn(tgid, b"prog")
    assert table.unhashed == 2
    table.close()


def test_without_hashing_no_executable_is_read(tmp_path):
    fake_proc(tmp_path, 7, "prog", 100, Path(sys.executable))
    table = ProcessTable(tmp_path, is_hashing=False)
    table.learn(7, b"prog")
    assert table.hash_pending() == 0


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ("0::/system.slice/a.service\n", "/system.slice/a.service"),
        ("9:name=systemd:/docker/x\n0::/\n", "/docker/x"),
        ("4:memory:/deep\n0::/v2\n", "/v2"),
        ("0::/\n", "/"),
    ],
)
def test_the_cgroup_path_is_the_first_that_says_something(tmp_path, lines, path):
    fake_proc(tmp_path, 7, "x", 1, cgroup=lines)
    assert ProcessTable(tmp_path).learn(7, b"x").cgroup_path == path


@given(st.binary(max_size=200))
def test_no_name_can_forge_a_label(raw):
    name = clean_name(raw)
    assert name.isprintable()
    assert name not in ("-", "(unknown)")
    assert name == name.strip()
    assert len(name) <= 66
    assert bool(name) == bool(raw)
