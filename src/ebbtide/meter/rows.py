"""Rows of counters in the kernel: as many as the memory given holds, read and emptied while the next are written.

In: the loaded programs. Out: what they counted since the last reading. Two generations take turns. The programs write
one, a reading starts the next, waits until no program can still hold the one before, then reads and empties it. So a
reading is a delta by itself, no count is lost between reading and deleting, and a restarted meter starts from nothing:
no spike and nothing twice.
"""

from __future__ import annotations

import ctypes
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ebbtide.meter.flow import KEY_DTYPE, VALUE_DTYPE, Flow, read_rows
from ebbtide.meter.libbpf import Object

#: (even, odd) generations: keys with their slots, counters by slot and CPU.
_MAPS = (("flows_even", "counters_even"), ("flows_odd", "counters_odd"))
_FOLDED_SHARE = 8
_KEY_OVERHEAD_BYTES = 64  # of a preallocated hash element, beside key and values
_MIN_ROWS, _MAX_ROWS = 1024, 1 << 20
_MIN_FOLDED = 64
_SETTINGS = struct.Struct("<5I")  # `struct settings`
_TAKEN = struct.Struct("<2I")  # `struct taken`: the lock, and how many
_BATCH = 4096
_POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")
_SYS_MEMBARRIER = {"x86_64": 324, "aarch64": 283}
_MEMBARRIER_GLOBAL = 1
_GRACE_S = 0.05


def rows_for(map_bytes: int, cpus: int) -> int:
    """How many rows each of the two generations gets.

    >>> rows_for(64 << 20, 2), rows_for(64 << 20, 64)
    (124275, 7087)
    """
    row_bytes = KEY_DTYPE.itemsize + _KEY_OVERHEAD_BYTES + cpus * VALUE_DTYPE.itemsize
    return max(_MIN_ROWS, min(_MAX_ROWS, map_bytes // 2 * _FOLDED_SHARE // (_FOLDED_SHARE + 1) // row_bytes))


def count_cpus(possible: str) -> int:
    """The highest number a CPU may have, plus one: programs find their counters by it, and numbers may have gaps.

    >>> count_cpus("0-1\\n"), count_cpus("0,4-7"), count_cpus("0")
    (2, 8, 1)
    """
    return int(possible.strip().replace("-", ",").rpartition(",")[2]) + 1


class Rows:
    """The counters of programs that are not loaded yet. Call `load` once, then `read` as often as is wanted."""

    def __init__(self, programs: Object, *, map_bytes: int = 64 << 20, rows: int | None = None) -> None:
        self._object = programs
        self._cpus = count_cpus(_POSSIBLE_CPUS.read_text())
        self.capacity = rows or rows_for(map_bytes, self._cpus)
        self._folded = max(_MIN_FOLDED, self.capacity // _FOLDED_SHARE)
        self._generation = 1
        self._is_loopback_counted = False

    def load(self, *, is_loopback_counted: bool) -> None:
        """Size the maps, load the programs and tell them how to count. Raises ServiceError where one is refused."""
        slots = self.capacity + self._folded
        for keys, counters in _MAPS:
            self._object.resize(keys, slots)
            self._object.resize(counters, slots * self._cpus)
        self._object.load()
        self._is_loopback_counted = is_loopback_counted
        self._set()

    def read(self) -> list[Flow]:
        """Everything counted since the last reading."""
        parity = self._generation & 1
        self._generation += 1
        self._set()
        wait_for_programs()
        return list(self._drain(parity))

    def _drain(self, parity: int) -> Iterator[Flow]:
        keys_name, counters_name = _MAPS[parity]
        used = self._take_used(parity)
        if not used:
            return
        width = self._cpus * VALUE_DTYPE.itemsize
        with self._object.memory(counters_name, used * width) as memory:
            for keys, raw, count in self._object.drain(keys_name, KEY_DTYPE.itemsize, 4, _BATCH):
                slots = np.frombuffer(raw, np.uint32)
                values = np.frombuffer(memory, np.dtype((np.void, width)))[slots].tobytes()
                yield from read_rows(keys, values, count, self._cpus)
            memory[:] = bytes(len(memory))

    def _take_used(self, parity: int) -> int:
        """How many slots, from the first, hold counts; none is taken afterwards."""
        rows, folded = (self._reset(2 * parity + is_folded) for is_folded in (0, 1))
        return self.capacity + folded if folded else rows

    def _reset(self, number: int) -> int:
        key = struct.pack("<I", number)
        raw = self._object.lookup("taken", key, _TAKEN.size) or bytes(_TAKEN.size)
        self._object.update("taken", key, bytes(_TAKEN.size))
        _, count = _TAKEN.unpack(raw)
        return int(count)

    def _set(self) -> None:
        values = (self._generation, self._is_loopback_counted, self.capacity, self._folded, self._cpus)
        self._object.update("settings", bytes(4), _SETTINGS.pack(*values))


def wait_for_programs() -> None:
    """Return when every program that ran at the call has ended: programs run under RCU, and so does membarrier(2)."""
    number = _SYS_MEMBARRIER.get(os.uname().machine)
    libc = ctypes.CDLL(None, use_errno=True)
    if number is None or libc.syscall(number, _MEMBARRIER_GLOBAL, 0, 0) != 0:
        time.sleep(_GRACE_S)
