"""A harmless burst between two network namespaces of this machine, for the live demonstration.

In: nothing. Out: a process of a known name that sends a little, and much when told. The namespaces, the pair of virtual
interfaces between them and both programs are made here and are gone afterwards, also where something fails on the way.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ebbtide.errors import ServiceError

_TRAFFIC = Path(__file__).with_name("demo_traffic.py")
#: TEST-NET-2 of RFC 5737: no host on a real network has these addresses.
_SENDER, _RECEIVER = "198.51.100.1", "198.51.100.2"
_HINT = "it needs root and ip(8) of iproute2"
_END_S = 10.0


@dataclass(frozen=True, slots=True)
class SelfTest:
    """A running sender. `name` is what the kernel calls its process."""

    name: str
    destination: str
    _sender: subprocess.Popen[str]

    def burst(self) -> None:
        """Have it send `demo_traffic.BURST_BYTES` at once. Raises ServiceError where it has ended."""
        if self._sender.poll() is not None or self._sender.stdin is None:
            raise ServiceError("the sender of the self-test has ended", hint=_HINT)
        self._sender.stdin.write("\n")
        self._sender.stdin.flush()


@contextmanager
def self_test() -> Iterator[SelfTest]:
    """A sender and a receiver in namespaces of their own. Raises ServiceError where those are not permitted."""
    left, right = f"ebbtide-s{os.getpid()}", f"ebbtide-r{os.getpid()}"
    programs: list[subprocess.Popen[str]] = []
    try:
        for line in (
            f"netns add {left}",
            f"netns add {right}",
            f"-n {left} link add eth0 type veth peer name eth0 netns {right}",
            f"-n {left} addr add {_SENDER}/30 dev eth0",
            f"-n {right} addr add {_RECEIVER}/30 dev eth0",
            f"-n {left} link set eth0 up",
            f"-n {right} link set eth0 up",
        ):
            _ip(line)
        programs.append(_start(right, "receive", _RECEIVER))
        port = programs[0].stdout.readline().strip() if programs[0].stdout else ""
        if not port:
            raise ServiceError("the receiver of the self-test did not start", hint=_HINT)
        name = f"ebbtest-{os.getpid()}"  # at most 15 bytes, as the kernel keeps them
        programs.append(_start(left, "send", _RECEIVER, port, name))
        yield SelfTest(name, _RECEIVER, programs[1])
    finally:
        for program in reversed(programs):
            _end(program)
        for side in (left, right):
            subprocess.run(["ip", "netns", "del", side], capture_output=True, check=False)  # noqa: S603, S607


def _ip(line: str) -> None:
    try:
        done = subprocess.run(["ip", *line.split()], capture_output=True, text=True, check=False)  # noqa: S603, S607
    except OSError as error:
        raise ServiceError(f"cannot run ip: {error.strerror}", hint=_HINT) from error
    if done.returncode:
        raise ServiceError(f"network namespaces are not permitted here: {done.stderr.strip()}", hint=_HINT)


def _start(namespace: str, *arguments: str) -> subprocess.Popen[str]:
    command = ["ip", "netns", "exec", namespace, sys.executable, "-I", "-S", str(_TRAFFIC), *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603


def _end(program: subprocess.Popen[str]) -> None:
    """The sender ends with its input, the receiver with its connection; what does not is killed."""
    if program.stdin is not None:
        program.stdin.close()
    try:
        program.wait(_END_S if program.poll() is None else 0)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
    if program.stdout is not None:
        program.stdout.close()
