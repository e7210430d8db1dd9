"""Asks the kernel about sockets over netlink (sock_diag): who holds them, how far they are, which just ended.

In: dumps and notifications as bytes. Out: `Socket`s. Used to find the owners of sockets older than the eBPF programs,
and by the fallback where eBPF is refused. Layouts are those of linux/inet_diag.h and linux/tcp.h.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ebbtide.errors import ServiceError
from ebbtide.meter.flow import MAPPED_PREFIX, NO_ADDRESS, FlowKey, Opener, Protocol

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_REQUEST, _DUMP = 0x1, 0x300
_DESTROY_GROUPS = (1, 3)  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_SO_RCVBUFFORCE = 33
_CLONE_NEWNET = 0x40000000
_ATTR_INFO, _ATTR_CGROUP = 2, 21
_ALL_STATES = 0xFFF
LISTEN, CLOSE_WAIT, LAST_ACK, CLOSING = 10, 8, 9, 11
_HEAD = struct.Struct("=IHHII")
_REQUEST_BODY = struct.Struct("=BBBBI48x")
_MESSAGE = struct.Struct("=BBBB2s2s16s16sIQIIIII")
_RECEIVE_BYTES = 1 << 18
_BUFFER_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class TcpCounters:
    """What tcp_info has counted since the socket was made. `segments_*` and `again` wrap at 2^32."""

    sent_bytes: int
    received_bytes: int
    segments_out: int
    segments_in: int
    again: int


@dataclass(frozen=True, slots=True)
class Socket:
    """One socket. `inode` is 0 once no process holds it; `counters` is None for listeners and for UDP."""

    cookie: int
    protocol: Protocol
    state: int
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    inode: int
    cgroup: int
    counters: TcpCounters | None = None


class Diag:
    """A netlink socket of one network namespace. `is_listening` also hears of every TCP socket that ends."""

    def __init__(self, *, is_listening: bool = False) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        except OSError as error:
            raise ServiceError(f"sock_diag is refused: {error}", hint="a kernel with CONFIG_INET_DIAG") from error
        try:
            self._socket.bind((0, 0))
            if is_listening:
                self._listen()
        except OSError as error:
            self._socket.close()
            raise ServiceError(f"hearing of closed sockets is refused: {error}", hint="needs CAP_NET_ADMIN") from error
        self.overruns = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def dump(self, protocol: Protocol) -> list[Socket]:
        """Every socket of a protocol, IPv4 and IPv6. Raises ServiceError where the kernel refuses."""
        found: list[Socket] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            body = _REQUEST_BODY.pack(family, protocol, 1 << (_ATTR_INFO - 1), 0, _ALL_STATES)
            self._socket.send(_HEAD.pack(_HEAD.size + len(body), _SOCK_DIAG_BY_FAMILY, _REQUEST | _DUMP, 1, 0) + body)
            found.extend(self._replies(protocol))
        return found

    def ended(self) -> list[Socket]:
        """TCP sockets that ended since the last call, with their final counts; never waits."""
        found: list[Socket] = []
        while True:
            try:
                data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            except OSError:  # ENOBUFS: more ended than the buffer holds
                self.overruns += 1
                continue
            found.extend(one for _, body in messages(data) if (one := parse_socket(body, Protocol.TCP)) is not None)

    def close(self) -> None:
        """Close the netlink socket."""
        self._socket.close()

    def _listen(self) -> None:
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        for group in _DESTROY_GROUPS:
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)

    def _replies(self, protocol: Protocol) -> Iterator[Socket]:
        while True:
            for kind, body in messages(self._socket.recv(_RECEIVE_BYTES)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    number = -int.from_bytes(body[:4], "little", signed=True)
                    raise ServiceError(f"sock_diag refused the dump: {os.strerror(number)}")
                found = parse_socket(body, protocol)
                if found is not None:
                    yield found


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The (type, body) of each netlink message in a buffer."""
    offset = 0
    while offset + _HEAD.size <= len(data):
        length, kind, _, _, _ = _HEAD.unpack_from(data, offset)
        if length < _HEAD.size:
            return
        yield kind, data[offset + _HEAD.size : offset + length]
        offset += (length + 3) & ~3


def parse_socket(body: bytes, protocol: Protocol) -> Socket | None:
    """A `struct inet_diag_msg` with its attributes, None where it is cut."""
    if len(body) < _MESSAGE.size:
        return None
    family, state, _, _, sport, dport, source, dest, _, cookie, _, _, _, _, inode = _MESSAGE.unpack_from(body)
    attributes = dict(_attributes(body[_MESSAGE.size :]))
    info = attributes.get(_ATTR_INFO, b"")
    return Socket(
        cookie=cookie,
        protocol=protocol,
        state=state,
        local=_address(family, source),
        local_port=int.from_bytes(sport, "big"),
        remote=_address(family, dest),
        remote_port=int.from_bytes(dport, "big"),
        inode=inode,
        cgroup=int.from_bytes(attributes.get(_ATTR_CGROUP, b""), "little"),
        counters=parse_tcp_info(info, state) if len(info) >= 144 and state != LISTEN else None,
    )


def _address(family: int, raw: bytes) -> bytes:
    return MAPPED_PREFIX + raw[:4] if family == socket.AF_INET else raw


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, offset)
        if length < 4:
            return
        yield kind, data[offset + 4 : offset + length]
        offset += (length + 3) & ~3


def parse_tcp_info(info: bytes, state: int) -> TcpCounters:
    """Counters of `struct tcp_info`, at least 144 bytes of it (Linux 4.2).

    `bytes_received` counts the peer's FIN while the socket is in a state behind it. Linux 4.19 added what was sent;
    before it, what was acknowledged stands in.
    """
    acked, received, segments_out, segments_in = struct.unpack_from("=QQII", info, 120)
    (again,) = struct.unpack_from("=I", info, 100)
    sent = acked
    if len(info) >= 216:
        bytes_sent, bytes_again = struct.unpack_from("=QQ", info, 200)
        sent = bytes_sent - bytes_again
    if state in (CLOSE_WAIT, LAST_ACK, CLOSING) and received:
        received -= 1
    return TcpCounters(sent, received, segments_out, segments_in, again)


def holders(inodes: set[int], proc: Path = Path("/proc")) -> dict[int, int]:
    """socket inode -> tgid that holds it: the youngest, where several share one (a worker, not who made it).

    Processes that may not be looked into are passed over.
    """
    found: dict[int, int] = {}
    for tgid in sorted(_tgids(proc)):
        with contextlib.suppress(OSError):
            for entry in (proc / str(tgid) / "fd").iterdir():
                with contextlib.suppress(OSError):
                    target = str(entry.readlink())
                    if target.startswith("socket:[") and (inode := int(target[8:-1])) in inodes:
                        found[inode] = tgid
    return found


def existing_owners(proc: Path = Path("/proc")) -> dict[int, FlowKey]:
    """socket cookie -> owner of every TCP and UDP socket there is, in every namespace that lets us look.

    The opener of a TCP connection follows from whether its local port is listened on.
    """
    sockets = _everywhere(proc)
    listening = {one.local_port for one in sockets if one.protocol is Protocol.TCP and one.state == LISTEN}
    owner = holders({one.inode for one in sockets if one.inode}, proc)
    found = {}
    for one in sockets:
        tgid = owner.get(one.inode)
        if tgid is not None:
            opener = Opener.REMOTE if one.local_port in listening else Opener.LOCAL
            with contextlib.suppress(OSError):
                name = (proc / str(tgid) / "comm").read_bytes().removesuffix(b"\n")
                found[one.cookie] = FlowKey(one.cgroup, NO_ADDRESS, tgid, one.protocol, opener, 0, name)
    return found


def _everywhere(proc: Path) -> list[Socket]:
    found: list[Socket] = []
    for namespace in (None, *namespace_paths(proc).values()):
        with contextlib.suppress(OSError, ServiceError):
            with inside(namespace) if namespace else contextlib.nullcontext():
                diag = Diag()
            with diag:
                found.extend(diag.dump(Protocol.TCP) + diag.dump(Protocol.UDP))
    return found


def _tgids(proc: Path) -> Iterable[int]:
    return (int(entry.name) for entry in proc.iterdir() if entry.name.isdecimal())


def namespace_paths(proc: Path = Path("/proc"), limit: int = 1000) -> dict[int, Path]:
    """Number -> one /proc/<pid>/ns/net of each network namespace but our own, at most `limit`."""
    own = (proc / "self/ns/net").stat().st_ino
    paths: dict[int, Path] = {}
    for tgid in _tgids(proc):
        path = proc / str(tgid) / "ns/net"
        with contextlib.suppress(OSError):
            number = path.stat().st_ino
            if number != own and len(paths) < limit:
                paths.setdefault(number, path)
    return paths


@contextlib.contextmanager
def inside(namespace: Path) -> Iterator[None]:
    """Put this thread into a network namespace; sockets made there stay there. Needs CAP_SYS_ADMIN.

    Raises OSError where it is refused or the namespace is gone.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(there, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(namespace))
        finally:
            os.close(there)
        try:
            yield
        finally:
            if libc.setns(before, _CLONE_NEWNET) != 0:
                raise SystemExit("cannot return to the node's network namespace")
    finally:
        os.close(before)
