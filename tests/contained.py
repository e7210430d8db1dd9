"""A command run as a container runtime would run it, where there is no runtime: process 1 of its own, another user, no
capability, a root that cannot be written, one volume, and a network of its own in which ports are free."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

USER = 10001
#: Where the container's two places are, on a machine that has neither.
PLACES = {"/var/lib/ebbtide": "/mnt/data", "/etc/ebbtide": "/mnt/etc"}

_SCRIPT = """
set -e
ip link set lo up
mount -t tmpfs none /mnt
mkdir /mnt/hidden /mnt/data /mnt/etc
cp -r "$GIVEN/." /mnt/etc
chown -R 0:"$RUN_AS" /mnt/etc
chmod -R u=rwX,g=rX,o= /mnt/etc
mount --bind "$VOLUME" /mnt/data
chown "$RUN_AS":"$RUN_AS" /mnt/data
at=0
for pair in $HIDDEN; do
  at=$((at + 1)); mkdir "/mnt/hidden/$at"; mount --bind "${pair#*:}" "/mnt/hidden/$at"
done
for pair in $HIDDEN; do mountpoint -q "${pair%%:*}" || mount -t tmpfs -o mode=0755 none "${pair%%:*}"; done
at=0
for pair in $HIDDEN; do
  at=$((at + 1)); mkdir -p "${pair#*:}"; mount --bind "/mnt/hidden/$at" "${pair#*:}"
done
mount -t proc proc /proc
cut -d' ' -f5 /proc/self/mountinfo | sort -u | while read -r at; do
  case "$at" in
    /mnt/data | /proc | /proc/* | /sys/*) ;;
    *) mount -o remount,bind,ro "$at" 2>/dev/null || : ;;
  esac
done
for place in / /tmp /mnt "$WORK"; do
  if touch "$place/written" 2>/dev/null; then echo "$place is writable" >&2; exit 9; fi
done
cd /mnt/data
exec setpriv --reuid="$RUN_AS" --regid="$RUN_AS" --clear-groups --no-new-privs \
  --bounding-set=-all --inh-caps=-all --ambient-caps=-all env -i PATH=/usr/bin:/bin $SET "$@"
"""


@dataclass(frozen=True)
class Contained:
    """A running command: its number outside, and what it said so far."""

    pid: int
    runner: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Its standard output and error."""
        return self.log.read_text("utf-8", "replace")

    def events(self) -> list[str]:
        """The events of its log, in order."""
        return [json.loads(line)["event"] for line in self.said().splitlines() if line.startswith('{"ts"')]

    def enter(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """A command in its network."""
        whole = ["nsenter", f"--target={self.pid}", "--net", *map(str, command)]
        return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=30)

    def get(self, url: str, *options: str | Path) -> tuple[int, str]:
        """Status and body of an address in its network; 0 where nothing answers."""
        done = self.enter("curl", "-sS", "-w", "\n%{http_code}", "--max-time", "10", *options, url)
        body, _, status = done.stdout.rpartition("\n")
        return int(status or 0), body

    def until_up(self, url: str, limit_s: float = 40) -> None:
        """Wait until an address answers 200."""
        end = time.monotonic() + limit_s
        while self.get(url)[0] != 200:
            assert self.runner.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.1)

    def status(self) -> dict[str, str]:
        """The fields of /proc/PID/status."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


@contextlib.contextmanager
def contained(
    command: list[str | Path], given: Path, volume: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[Contained]:
    """`given` is what stands under /etc/ebbtide, `volume` what the command may write. Skips without root."""
    if os.geteuid() != 0 or any(shutil.which(name) is None for name in ("unshare", "setpriv", "nsenter", "curl")):
        pytest.skip("needs root, util-linux and curl")
    paths = [Path(one) for one in environment.values() if one.startswith("/")]
    needed = {Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), *paths}
    hidden = [(top, one) for one in sorted(needed) if one.exists() and (top := _closed_parent(one))]
    inner = {
        "GIVEN": str(given), "VOLUME": str(volume), "RUN_AS": str(USER), "WORK": str(Path(__file__).parents[1]),
        "HIDDEN": " ".join(f"{top}:{one}" for top, one in hidden),
        "SET": " ".join(f"{name}={value}" for name, value in environment.items()),
        "PATH": os.environ["PATH"],
    }  # fmt: skip
    isolated = ["unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--propagation", "private"]
    with log.open("wb") as output:
        shell = ["sh", "-c", _SCRIPT, "contained", *map(str, command)]
        runner = subprocess.Popen([*isolated, *shell], stdout=output, stderr=output, env=inner)
        try:
            yield Contained(_child_of(runner, log), runner, log)
        finally:
            for child in _children(runner.pid):  # the first process of its own space: all others end with it
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, 9)
            runner.wait(20)


def _closed_parent(path: Path) -> Path | None:
    """The first folder on the way to a path that other users may not enter."""
    for one in reversed(path.parents):
        if not one.stat().st_mode & stat.S_IXOTH:
            return one
    return None


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _child_of(runner: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + 20
    while not (found := _children(runner.pid)):
        assert runner.poll() is None and time.monotonic() < end, log.read_text()
        time.sleep(0.02)
    return found[0]
