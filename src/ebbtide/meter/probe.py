"""The eBPF programs as a source of flows: attach them, read what they counted since the last reading, hear their news.

In: a cgroup. Out: readings, and news of processes and DNS answers. `rows` is where the programs count.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from ebbtide.meter.flow import (
    DnsNews,
    FlowKey,
    Loss,
    ProcessNews,
    Reading,
    Reason,
    key_bytes,
)
from ebbtide.meter.libbpf import Object, read_object
from ebbtide.meter.rows import Rows

OBJECT_PATH = Path(__file__).with_name("meter.bpf.o")
_NEWS_PROCESS, _NEWS_DNS = 1, 2
_PROCESS_NEWS = struct.Struct("<IIQ16s")
_DNS_HEAD = struct.Struct("<IIQ")


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """How the programs count.

    `map_bytes` bounds the kernel memory of the two maps of counters: rows follow from it and from the number of CPUs.
    `is_loopback_counted` includes traffic over "lo" (the original leaves it out).
    """

    cgroup: Path
    map_bytes: int = 64 << 20
    is_loopback_counted: bool = False


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
            self._rows = Rows(self._object, map_bytes=settings.map_bytes, rows=rows)
            self._rows.load(is_loopback_counted=settings.is_loopback_counted)
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

    @property
    def rows(self) -> int:
        """Room for this many rows in one reading."""
        return self._rows.capacity

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
        flows = self._rows.read()
        return Reading(tuple(flows), self._read_losses(), self.rows)

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

    def _read_losses(self) -> dict[str, Loss]:
        deltas = {}
        width = 16 * self._object.cpus
        for reason in Reason:
            raw = self._object.lookup("losses", struct.pack("<I", reason), width) or bytes(width)
            now = Loss(*np.frombuffer(raw, np.int64).reshape(-1, 2).sum(axis=0).tolist())
            before = self._losses_before[reason]
            deltas[reason.name.lower()] = Loss(now.bytes - before.bytes, now.packets - before.packets)
            self._losses_before[reason] = now
        return deltas


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
