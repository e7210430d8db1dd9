"""What works on this node: each part the meter needs is tried, not guessed.

In: settings. Out: one line each: what, whether it works, what was seen, what to do. Leaves nothing behind.
"""

from __future__ import annotations

import os
import socket
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ebbtide.errors import EbbtideError
from ebbtide.meter.cgroup import open_root
from ebbtide.meter.flow import Protocol
from ebbtide.meter.kube_api import KubeClient, read_index
from ebbtide.meter.libbpf import open_library, read_object
from ebbtide.meter.probe import OBJECT_PATH, Probe, ProbeSettings
from ebbtide.meter.settings import MeterSettings
from ebbtide.meter.sockdiag import Diag

#: Bits of linux/capability.h and what the meter does with each.
CAPABILITIES = {
    "CAP_BPF": (39, "load programs and maps"),
    "CAP_PERFMON": (38, "let programs ask for the name of the process that opens a socket"),
    "CAP_NET_ADMIN": (12, "load programs that see packets and attach them to cgroups"),
    "CAP_SYS_PTRACE": (19, "see executables of other users' processes"),
    "CAP_DAC_READ_SEARCH": (2, "read and hash executables that only their users may read"),
    "CAP_SYS_ADMIN": (21, "find owners of older sockets in other network namespaces; mount cgroup v2 where it is not"),
}
#: PROC_PID_INIT_INO of linux/proc_ns.h.
_NODE_PID_NAMESPACE = 0xEFFFFFFC
_NEEDED = ("CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN")


@dataclass(frozen=True, slots=True)
class Check:
    """One part. `is_needed` tells what stops eBPF from what only makes names or coverage worse."""

    name: str
    is_ok: bool
    detail: str
    hint: str = ""
    is_needed: bool = True


def run_checks(settings: MeterSettings) -> Iterator[Check]:
    """Try every part in turn."""
    yield Check("kernel", True, f"Linux {os.uname().release}, {os.uname().machine}")
    yield from _capabilities()
    yield _try("cgroup v2 root", lambda: str(open_root(settings.cgroup)))
    yield _try("libbpf", lambda: f"version {open_library().libbpf_major_version()}")
    yield _try("programs", lambda: f"{len(read_object(OBJECT_PATH))} bytes")
    yield _try("eBPF", lambda: _load_and_attach(settings))
    yield _try("sock_diag", _dump, is_needed=False)
    yield _try("closed sockets", _listen, is_needed=False)
    yield _host_processes(settings.proc)
    if settings.kubernetes is not None:
        client, kubernetes = KubeClient(settings.kubernetes), settings.kubernetes
        yield _try("Kubernetes", lambda: f"{len(read_index(client, kubernetes).pods)} pods", is_needed=False)
    yield _try("receiver", lambda: _connect(settings.target.endpoint), is_needed=False)


def _try(name: str, attempt: Callable[[], str], *, is_needed: bool = True) -> Check:
    try:
        return Check(name, True, attempt(), is_needed=is_needed)
    except EbbtideError as error:
        return Check(name, False, str(error), error.hint, is_needed)
    except OSError as error:
        return Check(name, False, str(error), is_needed=is_needed)


def effective_capabilities(status: str) -> frozenset[str]:
    """Names of `CAPABILITIES` in the text of /proc/<pid>/status.

    >>> sorted(effective_capabilities("CapEff:\\t0000008000001000"))
    ['CAP_BPF', 'CAP_NET_ADMIN']
    """
    line = next((line for line in status.splitlines() if line.startswith("CapEff:")), "CapEff: 0")
    mask = int(line.split()[1], 16)
    return frozenset(name for name, (bit, _) in CAPABILITIES.items() if mask >> bit & 1)


def _capabilities() -> Iterator[Check]:
    held = effective_capabilities(Path("/proc/self/status").read_text())
    for name, (_, purpose) in CAPABILITIES.items():
        has = name in held
        yield Check(name, has, purpose, "" if has else f"without it the meter cannot: {purpose}", name in _NEEDED)


def _load_and_attach(settings: MeterSettings) -> str:
    with Probe(ProbeSettings(open_root(settings.cgroup), settings.map_bytes), lambda _: None) as probe:
        probe.start()
        return f"programs load and attach; room for {probe.rows} rows"


def _dump() -> str:
    with Diag() as diag:
        return f"{len(diag.dump(Protocol.TCP))} TCP sockets in this network namespace"


def _listen() -> str:
    with Diag(is_listening=True):
        return "the kernel tells of closed sockets"


def _host_processes(proc: Path) -> Check:
    """The programs count by the node's process numbers; a container's /proc has its own."""
    try:
        is_host = (proc / "self/ns/pid").stat().st_ino == _NODE_PID_NAMESPACE
        count = sum(entry.name.isdecimal() for entry in proc.iterdir())
    except OSError as error:
        return Check("processes", False, str(error), "set hostPID: true", False)
    return Check("processes", is_host, f"{count} processes", "set hostPID: true", False)


def _connect(endpoint: str) -> str:
    parts = urllib.parse.urlsplit(endpoint)
    port = parts.port or (4317 if parts.scheme.startswith("grpc") else 4318)
    with socket.create_connection((parts.hostname or "localhost", port), timeout=3.0):
        return f"{endpoint} accepts connections"
