"""What an operator can set about the meter. Plain values with their reasons; `command` fills them from options."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ebbtide.errors import UsageError
from ebbtide.meter.edge import EdgeLimits
from ebbtide.meter.export import Target
from ebbtide.meter.kube_api import KubeSettings


class SourceKind(StrEnum):
    """Where counts come from. `auto` takes eBPF where the kernel lets us and sock_diag where not."""

    AUTO = "auto"
    EBPF = "ebpf"
    SOCK_DIAG = "sock_diag"


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """Everything about one meter.

    `interval_s`: 10 s, the grid detections look at. `cluster` becomes `k8s.cluster.name`; "" leaves it to a collector.
    `map_bytes` (64 MiB) bounds kernel memory, `buffer_bytes` (32 MiB) what waits for a receiver that is away.
    `is_hashing` reads each executable once. `kubernetes` None: no API server, names come from units and executables.
    """

    target: Target
    cluster: str = ""
    host: str = field(default_factory=socket.gethostname)
    interval_s: float = 10.0
    source: SourceKind = SourceKind.AUTO
    cgroup: Path | None = None
    proc: Path = Path("/proc")
    is_loopback_counted: bool = False
    is_hashing: bool = True
    map_bytes: int = 64 << 20
    buffer_bytes: int = 32 << 20
    limits: EdgeLimits = field(default_factory=EdgeLimits)
    kubernetes: KubeSettings | None = None

    def __post_init__(self) -> None:
        if not 1.0 <= self.interval_s <= 3600.0:
            raise UsageError(f"an interval of {self.interval_s:g} s", hint="between 1 and 3600 s")
        if self.map_bytes < 1 << 20 or self.buffer_bytes < 1 << 20:
            raise UsageError("map and buffer need at least 1 MiB each")
