"""The eBPF programs as a source of flows: load them, read what they counted since the last reading, hear their news.

Two maps take turns: the programs write one, the meter flips to the other, waits until no program can still hold the
first, then reads and empties it. So a reading is a delta by itself, no count is lost between reading and deleting, and
a restarted meter starts from nothing: no spike and nothing twice.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ebbtide.meter.flow import (
    KEY_DTYPE,
    VALUE_DTYPE,
    DnsNews,
    Flow,
    FlowKey,
    Loss,
    ProcessNews,
    Reading,
    Reason,
    key_bytes,
    read_rows,
)
from ebbtide.meter.libbpf import Object, read_object

OBJECT_PATH = Path(__file__).with_name("meter.bpf.o")
#: (while even, while odd): rows, and the rows of processes for which there was no room among them.
_MAPS = (("flows_even", "folded_even"), ("flows_odd", "folded_odd"))
_FOLDED_SHARE = 8
_KEY_OVERHEAD_BYTES = 64  # of a preallocated hash element, beside key and values
_MIN_ROWS, _MAX_ROWS = 1024, 1 << 20
_NEWS_PROCESS, _NEWS_DNS = 1, 2
_PROCESS_NEWS = struct.Struct("<IIQ16s")
_DNS_HEAD = struct.Struct("<IIQ")
_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
_MEMBARRIER_GLOBAL = 1
_GRACE_S = 0.05


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How the programs count.

    `map_bytes` bounds the kernel memory of the two maps of counters: rows follow from it and from the number of CPUs.
    `is_loopback_counted` includes traffic over "lo" (the original leaves it out).
    """

    cgroup: Path
    map_bytes: int = 64 << 20
    is_loopback_counted: bool = False


def rows_for(map_bytes: int, cpus: int) -> int:
    """How many rows each of the two maps gets.

    >>> rows_for(64 << 20, 2), rows_for(64 << 20, 64)
    (124275, 7087)
    """
    row_bytes = KEY_DTYPE.itemsize + _KEY_OVERHEAD_BYTES + cpus * VALUE_DTYPE.itemsize
    return max(_MIN_ROWS, min(_MAX_ROWS, map_bytes // 2 * _FOLDED_SHARE // (_FOLDED_SHARE + 1) // row_bytes))


class Probe:
    """The attached programs. Use as a context manager; nothing stays attached when the process ends, however it ends.

    `on_news` is called from the thread that listens to the ring, so it must be quick and must not raise.
    """

    def __init__(
        self,
        settings: ProbeSettings,
        on_news: Callable[[ProcessNews | DnsNews], None],
        *,
        image: bytes | None = None,
        rows: int | None = None,
    ) -> None:
        self._object = Object(image or read_object(OBJECT_PATH))
        try:
            self._cpus = self._object.cpus
            self.rows = rows or rows_for(settings.map_bytes, self._cpus)
            for rows_name, folded_name in _MAPS:
                self._object.resize(rows_name, self.rows)
                self._object.resize(folded_name, max(64, self.rows // _FOLDED_SHARE))
            self._object.load()
            self._set(1, int(settings.is_loopback_counted))
            self._is_odd = False
            self._losses_before = dict.fromkeys(Reason, Loss(0, 0))
            self._ring = self._object.ring("news", lambda record: _hand_over(record, on_news))
        except BaseException:  # whatever it was, also Ctrl-C: no program stays loaded
            self._object.close()
            raise
        self._settings = settings
        self._stop = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="meter-news", daemon=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def adopt(self, cookies: dict[int, FlowKey]) -> None:
        """Tell the programs who owns sockets older than they are: socket cookie -> owner. At any time."""
        for cookie, key in cookies.items():
            self._object.update("adopted", struct.pack("<Q", cookie), key_bytes(key))

    def start(self) -> None:
        """Attach to the cgroup and listen for news."""
        fd = os.open(self._settings.cgroup, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._object.attach(fd)
        finally:
            os.close(fd)
        self._listener.start()

    def read(self) -> Reading:
        """Everything counted since the last reading."""
        full = _MAPS[self._is_odd]
        self._is_odd = not self._is_odd
        self._set(0, int(self._is_odd))
        wait_for_programs()
        flows = [flow for name in full for flow in self._drain(name)]
        return Reading(tuple(flows), self._read_losses(), self.rows)

    def _drain(self, name: str) -> Iterator[Flow]:
        key_bytes, value_bytes = KEY_DTYPE.itemsize, VALUE_DTYPE.itemsize * self._cpus
        for keys, values, count in self._object.drain(name, key_bytes, value_bytes, min(4096, self.rows)):
            yield from read_rows(keys, values, count, self._cpus)

    def close(self) -> None:
        """Detach, stop listening, free the maps."""
        self._stop.set()
        if self._listener.is_alive():
            self._listener.join()
        self._ring.close()
        self._object.close()

    def _listen(self) -> None:
        while not self._stop.is_set():
            self._ring.poll(100)

    def _set(self, index: int, value: int) -> None:
        self._object.update("settings", struct.pack("<I", index), struct.pack("<I", value))

    def _read_losses(self) -> dict[str, Loss]:
        deltas = {}
        for reason in Reason:
            raw = self._object.lookup("losses", struct.pack("<I", reason), 16 * self._cpus) or bytes(16 * self._cpus)
            now = Loss(*np.frombuffer(raw, np.int64).reshape(-1, 2).sum(axis=0).tolist())
            before = self._losses_before[reason]
            deltas[reason.name.lower()] = Loss(now.bytes - before.bytes, now.packets - before.packets)
            self._losses_before[reason] = now
        return deltas


def wait_for_programs() -> None:
    """Return when every program that ran at the call has ended: programs run under RCU, and so does membarrier(2)."""
    number = _SYS_MEMBARRIER.get(os.uname().machine)
    libc = ctypes.CDLL(None, use_errno=True)
    if number is None or libc.syscall(number, _MEMBARRIER_GLOBAL, 0, 0) != 0:
        time.sleep(_GRACE_S)


def _hand_over(record: bytes, on_news: Callable[[ProcessNews | DnsNews], None]) -> None:
    news = parse_news(record)
    if news is not None:
        on_news(news)


def parse_news(record: bytes) -> ProcessNews | DnsNews | None:
    """One record of the ring, None for a kind that is not ours."""
    kind = int.from_bytes(record[:4], "little")
    if kind == _NEWS_PROCESS and len(record) >= _PROCESS_NEWS.size:
        _, tgid, cgroup, name = _PROCESS_NEWS.unpack_from(record)
        return ProcessNews(tgid, cgroup, name.split(b"\0")[0])
    if kind == _NEWS_DNS and len(record) >= _DNS_HEAD.size:
        _, length, cgroup = _DNS_HEAD.unpack_from(record)
        return DnsNews(cgroup, record[_DNS_HEAD.size : _DNS_HEAD.size + length])
    return None
