"""Flows without eBPF: TCP counters of live sockets by polling, of ended ones from the kernel's destroy notifications.

In: `sockdiag`. Out: the same rows as `probe`. What it cannot see is said in `missing`: UDP; headers; and the process of
a connection that was opened and closed between two polls (its bytes count, under its cgroup, with no process).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ebbtide.errors import ServiceError
from ebbtide.meter.flow import (
    MAPPED_PREFIX,
    Flow,
    FlowKey,
    FlowValue,
    Loss,
    Opener,
    Protocol,
    Reading,
    port_class,
)
from ebbtide.meter.sockdiag import LISTEN, Diag, Socket, TcpCounters, holders, inside, namespace_paths

MISSING = ("udp", "dns_names", "header_bytes")
_NOTHING = TcpCounters(0, 0, 0, 0, 0)
_WRAP = 1 << 32
_Identity = tuple[int, int]  # number of the network namespace, cookie


@dataclass(frozen=True, slots=True)
class _Tracked:
    key: FlowKey
    counters: TcpCounters


def delta32(now: int, before: int) -> int:
    """The difference of two readings of a counter that wraps at 2^32.

    >>> delta32(5, 2**32 - 3)
    8
    """
    return (now - before) % _WRAP


class SocketTracker:
    """Turns readings of sockets into deltas per flow. Knows no netlink: sockets come in, flows go out.

    `owners` is asked for the processes that hold inodes, at most once for each reading, for those not yet known;
    `name_of` for a process' name.
    """

    def __init__(self, owners: Callable[[set[int]], dict[int, int]], name_of: Callable[[int], bytes]) -> None:
        self._owners = owners
        self._name_of = name_of
        self._tracked: dict[_Identity, _Tracked] = {}
        self._listening: set[int] = set()
        self._sums: dict[FlowKey, FlowValue] = {}
        self._absent: set[_Identity] = set()
        self._is_first = True
        self.unseen_bytes = 0  # of sockets that ended before any poll saw their process

    def __len__(self) -> int:
        return len(self._tracked)

    def see(self, sockets: list[tuple[int, Socket]]) -> None:
        """Take in a poll of every live socket, each with the number of its namespace.

        At the first poll sockets are only remembered: what they did before is not ours to count.
        """
        self._listening = {one.local_port for _, one in sockets if one.state == LISTEN}
        live = [(place, one) for place, one in sockets if one.counters is not None]
        unknown = {one.inode for place, one in live if one.inode and (place, one.cookie) not in self._tracked}
        owners = self._owners(unknown) if unknown else {}
        for place, one in live:
            self._count(place, one, owners.get(one.inode, 0), is_old=self._is_first)
        self._is_first = False

    def end(self, place: int, one: Socket) -> None:
        """Take in the final counts of a socket."""
        if one.counters is None:
            return
        identity = (place, one.cookie)
        if identity not in self._tracked and not self._is_first:
            self.unseen_bytes += one.counters.sent_bytes + one.counters.received_bytes
        self._count(place, one, 0, is_old=self._is_first)
        self._tracked.pop(identity, None)

    def forget(self, live: set[_Identity]) -> None:
        """Drop sockets that were not live for two polls and not notified either: the notification was lost.

        One poll is not enough: the kernel notifies from a work queue, and a socket forgotten too early would be counted
        from nothing when its end arrives.
        """
        absent = self._tracked.keys() - live
        for identity in absent & self._absent:
            del self._tracked[identity]
        self._absent = absent

    def take(self) -> list[Flow]:
        """The deltas since the last call."""
        sums, self._sums = self._sums, {}
        return [Flow(key, value) for key, value in sums.items()]

    def _count(self, place: int, one: Socket, tgid: int, *, is_old: bool) -> None:
        counters = one.counters or _NOTHING
        tracked = self._tracked.get((place, one.cookie))
        is_new = tracked is None
        if tracked is None:
            tracked = _Tracked(self._key(one, tgid), counters if is_old else _NOTHING)
        self._tracked[place, one.cookie] = _Tracked(tracked.key, counters)
        value = _difference(counters, tracked.counters)
        value.sockets = int(is_new and not is_old)
        if value != FlowValue():
            self._sums.setdefault(tracked.key, FlowValue()).add(value)

    def _key(self, one: Socket, tgid: int) -> FlowKey:
        opener = Opener.REMOTE if one.local_port in self._listening else Opener.LOCAL
        port = one.local_port if opener is Opener.REMOTE else one.remote_port
        name = self._name_of(tgid) if tgid else b""
        return FlowKey(one.cgroup, one.remote, tgid, Protocol.TCP, opener, port_class(port), name)


def _difference(now: TcpCounters, before: TcpCounters) -> FlowValue:
    again = delta32(now.again, before.again)
    return FlowValue(
        tx_bytes=max(0, now.sent_bytes - before.sent_bytes),
        rx_bytes=max(0, now.received_bytes - before.received_bytes),
        tx_packets=max(0, delta32(now.segments_out, before.segments_out) - again),
        rx_packets=delta32(now.segments_in, before.segments_in),
        tx_again=again,
    )


class Fallback:
    """A source of flows with the manner of `probe.Probe`. Polls from a thread of its own, once a second by default."""

    def __init__(self, proc: Path = Path("/proc"), *, poll_s: float = 1.0, is_loopback_counted: bool = False) -> None:
        self._proc = proc
        self._poll_s = poll_s
        self._is_loopback_counted = is_loopback_counted
        self._diags: dict[int, Diag] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="meter-sockets", daemon=True)
        self.tracker = SocketTracker(lambda inodes: holders(inodes, proc), self._name)
        self.unseen_namespaces = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Open netlink in our namespace (raises ServiceError where refused) and in every other that lets us."""
        self._diags[0] = Diag(is_listening=True)
        self.poll()
        self._thread.start()

    def poll(self) -> None:
        """Read every socket once, and those that ended."""
        with self._lock:
            self._open_namespaces()
            self._hear()
            sockets = [(place, one) for place, diag in self._diags.items() for one in diag.dump(Protocol.TCP)]
            sockets = [(place, one) for place, one in sockets if self._is_wanted(one)]
            self.tracker.see(sockets)
            self._hear()
            self.tracker.forget({(place, one.cookie) for place, one in sockets})

    def read(self) -> Reading:
        """Everything counted since the last reading."""
        self.poll()
        with self._lock:
            flows = self.tracker.take()
            unseen, self.tracker.unseen_bytes = self.tracker.unseen_bytes, 0
        return Reading(tuple(flows), {"closed_before_seen": Loss(unseen, 0)})

    def close(self) -> None:
        """Stop polling."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for diag in self._diags.values():
            diag.close()

    def _run(self) -> None:
        while not self._stop.wait(self._poll_s):
            self.poll()

    def _hear(self) -> None:
        for place, diag in self._diags.items():
            for one in diag.ended():
                if self._is_wanted(one):
                    self.tracker.end(place, one)

    def _is_wanted(self, one: Socket) -> bool:
        if self._is_loopback_counted or one.state == LISTEN:
            return True
        return one.remote != one.local and one.remote[:13] != MAPPED_PREFIX + b"\x7f"

    def _open_namespaces(self) -> None:
        """Follow namespaces as they come and go; an open netlink socket would keep a dead one alive."""
        self.unseen_namespaces = 0
        there = namespace_paths(self._proc)
        for place in self._diags.keys() - there.keys() - {0}:
            self._diags.pop(place).close()
        for place, path in there.items():
            if place not in self._diags:
                try:
                    with inside(path):
                        self._diags[place] = Diag(is_listening=True)
                except (OSError, ServiceError):
                    self.unseen_namespaces += 1

    def _name(self, tgid: int) -> bytes:
        with contextlib.suppress(OSError):
            return (self._proc / str(tgid) / "comm").read_bytes().removesuffix(b"\n")
        return b""
