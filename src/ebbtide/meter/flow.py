"""What the kernel counted: rows of who, to whom, how much.

The layouts here are those of `meter.bpf.c`; a byte that differs would give every number to somebody else. The fallback
without eBPF fills the same rows.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

#: `struct flow_key`, 48 bytes.
KEY_DTYPE = np.dtype(
    [
        ("cgroup", "u8"),
        ("remote", "V16"),
        ("tgid", "u4"),
        ("protocol", "u1"),
        ("opener", "u1"),
        ("port_class", "u1"),
        ("pad", "u1"),
        ("name", "V16"),
    ]
)

#: `struct flow_value`, 64 bytes, one per CPU.
VALUE_DTYPE = np.dtype(
    [
        (name, "i8")
        for name in ("tx_bytes", "tx_wire", "tx_packets", "tx_again", "rx_bytes", "rx_wire", "rx_packets", "sockets")
    ]
)

#: By `flow_key.port_class`: what the port that was connected to is usually for.
PORT_CLASSES = (
    "unknown",
    "dns",
    "http",
    "https",
    "ssh",
    "mail",
    "ntp",
    "directory",
    "file",
    "database",
    "queue",
    "telemetry",
    "well_known",
    "registered",
    "ephemeral",
)

#: Ports of each class with more than a range behind it; the switch in `meter.bpf.c` says the same.
_PORTS = {
    "dns": (53,),
    "http": (80, 8080, 8000),
    "https": (443, 8443, 6443),
    "ssh": (22,),
    "mail": (25, 465, 587),
    "ntp": (123,),
    "directory": (88, 389, 636, 3268),
    "file": (20, 21, 69, 111, 139, 445, 873, 2049),
    "database": (1433, 1521, 3306, 5432, 6379, 9042, 9200, 11211, 27017),
    "queue": (1883, 4222, 5672, 8883, 9092),
    "telemetry": (4317, 4318, 9090, 9100, 10250),
}
_CLASS_OF_PORT = {port: PORT_CLASSES.index(name) for name, ports in _PORTS.items() for port in ports}

MAPPED_PREFIX = bytes(10) + b"\xff\xff"
NO_ADDRESS = bytes(16)


class Protocol(IntEnum):
    """IP protocol numbers."""

    TCP = 6
    UDP = 17


class Opener(IntEnum):
    """Which side opened the connection, as seen from this node's end of it."""

    UNKNOWN = 0
    LOCAL = 1
    REMOTE = 2


class Reason(IntEnum):
    """Why bytes, packets or news are in no row, or not in the row they belong to. `enum reason` of `meter.bpf.c`."""

    FOLDED = 0
    MAP_FULL = 1
    LOOPBACK = 2
    PROTOCOL = 3
    UNREADABLE = 4
    HANDSHAKE = 5
    NEWS_PROCESS = 6
    NEWS_DNS = 7


@dataclass(frozen=True, slots=True)
class FlowKey:
    """One process of one cgroup and one remote address. `remote` is 16 bytes, IPv4 mapped; `tgid` 0 is unknown."""

    cgroup: int
    remote: bytes
    tgid: int
    protocol: Protocol
    opener: Opener
    port_class: int
    name: bytes

    @property
    def address(self) -> str:
        """The remote address as text, "" where it was folded into "other"."""
        return address_text(self.remote)


@dataclass(slots=True)
class FlowValue:
    """Deltas over one interval. `wire` is layer 3: payload, headers, and payload sent again."""

    tx_bytes: int = 0
    tx_wire: int = 0
    tx_packets: int = 0
    tx_again: int = 0
    rx_bytes: int = 0
    rx_wire: int = 0
    rx_packets: int = 0
    sockets: int = 0

    def add(self, other: FlowValue) -> None:
        """Add another row's deltas to these."""
        self.tx_bytes += other.tx_bytes
        self.tx_wire += other.tx_wire
        self.tx_packets += other.tx_packets
        self.tx_again += other.tx_again
        self.rx_bytes += other.rx_bytes
        self.rx_wire += other.rx_wire
        self.rx_packets += other.rx_packets
        self.sockets += other.sockets


@dataclass(frozen=True, slots=True)
class Flow:
    """One row of one interval."""

    key: FlowKey
    value: FlowValue


@dataclass(frozen=True, slots=True)
class ProcessNews:
    """A process opened its first socket, or its first under this name."""

    tgid: int
    cgroup: int
    name: bytes


@dataclass(frozen=True, slots=True)
class DnsNews:
    """A DNS answer arrived at a socket of this cgroup."""

    cgroup: int
    message: bytes


@dataclass(frozen=True, slots=True)
class Loss:
    """What one reason stands for over an interval."""

    bytes: int
    packets: int


@dataclass(frozen=True, slots=True)
class Reading:
    """All rows of one interval, what is in no row and why, and how full the map was (rows of `capacity`)."""

    flows: tuple[Flow, ...]
    losses: dict[str, Loss] = field(default_factory=dict)
    capacity: int = 0


def address_text(packed: bytes) -> str:
    """A 16-byte address as text; IPv4 without its prefix, "" for no address.

    >>> address_text(MAPPED_PREFIX + bytes([10, 0, 0, 7]))
    '10.0.0.7'
    """
    if packed == NO_ADDRESS:
        return ""
    if packed[:12] == MAPPED_PREFIX:
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return socket.inet_ntop(socket.AF_INET6, packed)


def address_bytes(text: str) -> bytes:
    """The 16 bytes of an address as text. Raises OSError where it is none.

    >>> address_text(address_bytes("2001:db8::1"))
    '2001:db8::1'
    """
    if ":" in text:
        return socket.inet_pton(socket.AF_INET6, text)
    return MAPPED_PREFIX + socket.inet_pton(socket.AF_INET, text)


def port_class(port: int) -> int:
    """The index into `PORT_CLASSES` of the port that was connected to.

    >>> PORT_CLASSES[port_class(5432)], PORT_CLASSES[port_class(40000)]
    ('database', 'ephemeral')
    """
    if port in _CLASS_OF_PORT:
        return _CLASS_OF_PORT[port]
    return PORT_CLASSES.index("well_known" if port < 1024 else "registered" if port < 32768 else "ephemeral")


def key_bytes(key: FlowKey) -> bytes:
    """A key as the kernel stores it."""
    row = np.zeros(1, KEY_DTYPE)
    row["cgroup"], row["tgid"] = key.cgroup, key.tgid
    row["protocol"], row["opener"], row["port_class"] = key.protocol, key.opener, key.port_class
    raw = bytearray(row.tobytes())
    raw[8:24] = key.remote
    raw[32:48] = key.name[:15].ljust(16, b"\0")
    return bytes(raw)


def read_rows(keys: bytes, values: bytes, count: int, cpus: int) -> list[Flow]:
    """Rows from a batch of map entries: `count` keys, and `count` x `cpus` values summed over CPUs.

    A key whose protocol or opener is not one of ours raises ValueError: the layouts differ.
    """
    rows = np.frombuffer(keys, KEY_DTYPE, count)
    sums = _sum_over_cpus(values, count, cpus)
    flows = []
    for row, value in zip(rows.tolist(), sums.tolist(), strict=True):
        cgroup, remote, tgid, protocol, opener, klass, _, name = row
        key = FlowKey(
            cgroup, bytes(remote), tgid, Protocol(protocol), Opener(opener), klass, bytes(name).split(b"\0")[0]
        )
        flows.append(Flow(key, FlowValue(*value)))
    return flows


def _sum_over_cpus(values: bytes, count: int, cpus: int) -> NDArray[np.int64]:
    width = VALUE_DTYPE.itemsize // 8
    table: NDArray[np.int64] = np.frombuffer(values, np.int64, count * cpus * width).reshape(count, cpus, width)
    total: NDArray[np.int64] = table.sum(axis=1)
    return total
