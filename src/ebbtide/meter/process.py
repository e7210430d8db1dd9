"""Which process a row belongs to: its name, executable and hash, from /proc, while it lives or just after it was heard.

In: news of a first socket, and the (tgid, name) of rows. Out: a `Process`. A process that lived for milliseconds still
has the name the kernel gave with its socket; path and hash only if it lived until it was looked at. Names come from
whoever runs the process and are made harmless here: without that a newline in a name forges a label.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path

_NAME_LIMIT = 64
_PATH_LIMIT = 1024
_HASH_LIMIT_BYTES = 256 << 20
_CHUNK_BYTES = 1 << 20
#: What consumers read as "no value". A process may call itself so; then it is quoted, not lost.
_MEANS_NOTHING = ("-", "(unknown)")


@dataclass(frozen=True, slots=True)
class Process:
    """One process: `name` of its main thread, `path` and `sha256` of its executable ("" where not known).

    `started` are clock ticks after boot, 0 where the process was gone before it was looked at; with it a reused tgid is
    told from the process that had it before.
    """

    tgid: int
    name: str
    path: str = ""
    sha256: str = ""
    cgroup_path: str = ""
    started: int = 0


@dataclass(frozen=True, slots=True)
class _File:
    """An executable's identity on disk."""

    device: int
    inode: int
    modified_ns: int
    size: int


def clean_name(raw: bytes, limit: int = _NAME_LIMIT) -> str:
    r"""Text that is safe as a label: printable, bounded, and never one that means "no value".

    >>> clean_name(b"evil\nname"), clean_name(b"\xff\x1b[2J"), clean_name(b"-"), clean_name(b" ")
    ('evil\\x0aname', '\\xff\\x1b[2J', '"-"', '" "')
    """
    text = raw.decode("utf-8", errors="backslashreplace")
    text = "".join(char if char.isprintable() else _escaped(char) for char in text)[:limit]
    if text and (text in _MEANS_NOTHING or text != text.strip()):
        return f'"{text}"'
    return text


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class ProcessTable:
    """Processes by (tgid, name in the kernel). Bounded: the least recently used are forgotten first.

    `learn` may be called from the thread that hears the news, everything else from the thread that reads rows.
    """

    def __init__(
        self, proc: Path = Path("/proc"), *, limit: int = 16384, pending_limit: int = 128, is_hashing: bool = True
    ) -> None:
        self._proc = proc
        self._limit = limit
        self._pending_limit = pending_limit if is_hashing else 0
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[int, bytes], Process] = OrderedDict()
        self._hashes: OrderedDict[_File, str] = OrderedDict()
        self._pending: dict[_File, int] = {}
        self._file_of: dict[tuple[int, bytes], _File] = {}
        self.unhashed = 0

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, tgid: int, kernel_name: bytes) -> Process:
        """Look at a process now, because it may be gone in a moment."""
        process = self._look(tgid, kernel_name)
        file = self._open_executable(tgid) if process.started else None
        with self._lock:
            key = (tgid, kernel_name)
            if file is not None:
                self._file_of[key] = file
                process = replace(process, sha256=self._hashes.get(file, ""))
            self._keep(key, process)
        return process

    def meet(self, tgid: int, kernel_name: bytes) -> None:
        """Look at a process unless that was done before, so that its executable can be hashed before it is named."""
        if tgid and (tgid, kernel_name) not in self._known:
            self.learn(tgid, kernel_name)

    def find(self, tgid: int, kernel_name: bytes) -> Process:
        """The process of a row, with the name it has now if it still lives; `tgid` 0 is no process."""
        if tgid == 0:
            return Process(0, "")
        key = (tgid, kernel_name)
        with self._lock:
            known = self._known.get(key)
        if known is None:
            return self.learn(tgid, kernel_name)
        started = self._started(tgid)
        if started == known.started and started:
            known = self._renamed(known)
        elif started and self._comm(tgid) == kernel_name:
            return self.learn(tgid, kernel_name)  # the number was given to another process of the same name
        with self._lock:
            file = self._file_of.get(key)
            if file is not None and not known.sha256:
                known = replace(known, sha256=self._hashes.get(file, ""))
            self._keep(key, known)
        return known

    def hash_pending(self, budget_bytes: int = 128 << 20) -> int:
        """Hash executables seen for the first time, about `budget_bytes` of them; how many were hashed."""
        done = 0
        while budget_bytes > 0:
            with self._lock:
                if not self._pending:
                    break
                file, fd = self._pending.popitem()
            digest = _digest(fd)
            os.close(fd)
            budget_bytes -= file.size
            done += 1
            with self._lock:
                self._hashes[file] = digest
                while len(self._hashes) > self._limit:
                    self._hashes.popitem(last=False)
        return done

    def close(self) -> None:
        """Let go of executables that were held open to be hashed."""
        while self._pending:
            os.close(self._pending.popitem()[1])

    def _keep(self, key: tuple[int, bytes], process: Process) -> None:
        self._known[key] = process
        self._known.move_to_end(key)
        while len(self._known) > self._limit:
            gone, _ = self._known.popitem(last=False)
            self._file_of.pop(gone, None)

    def _look(self, tgid: int, kernel_name: bytes) -> Process:
        started = self._started(tgid)
        if not started:
            return Process(tgid, clean_name(kernel_name))
        path = ""
        with contextlib.suppress(OSError):
            target = os.fsencode(self._dir(tgid, "exe").readlink())
            path = clean_name(target.removesuffix(b" (deleted)"), _PATH_LIMIT)
        name = clean_name(self._comm(tgid) or kernel_name)
        return Process(tgid, name, path, "", self._cgroup_path(tgid), started)

    def _renamed(self, known: Process) -> Process:
        name = self._comm(known.tgid)
        return replace(known, name=clean_name(name)) if name else known

    def _started(self, tgid: int) -> int:
        """Start time in clock ticks, 0 where the process is gone. The name in stat may hold spaces and brackets."""
        try:
            stat = self._dir(tgid, "stat").read_bytes()
            return int(stat[stat.rindex(b")") + 2 :].split()[19])
        except (OSError, ValueError, IndexError):
            return 0

    def _comm(self, tgid: int) -> bytes:
        try:
            return self._dir(tgid, "comm").read_bytes().removesuffix(b"\n")
        except OSError:
            return b""

    def _cgroup_path(self, tgid: int) -> str:
        """The cgroup v2 path, or that of the first v1 hierarchy that says more than "/"."""
        try:
            lines = self._dir(tgid, "cgroup").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        paths = [line.split(":", 2)[2] for line in sorted(lines, key=lambda line: not line.startswith("0::"))]
        return next((path for path in paths if path != "/"), "/")

    def _open_executable(self, tgid: int) -> _File | None:
        """Hold the executable open until it is hashed: its process may not last that long."""
        try:
            fd = os.open(self._dir(tgid, "exe"), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        status = os.fstat(fd)
        file = _File(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        with self._lock:
            is_known = file in self._hashes or file in self._pending
            has_room = len(self._pending) < self._pending_limit and file.size <= _HASH_LIMIT_BYTES
            if not is_known and has_room:
                self._pending[file] = fd
                return file
            self.unhashed += not is_known
        os.close(fd)
        return file

    def _dir(self, tgid: int, name: str) -> Path:
        return self._proc / str(tgid) / name


def _digest(fd: int) -> str:
    sha = hashlib.sha256()
    try:
        while chunk := os.read(fd, _CHUNK_BYTES):
            sha.update(chunk)
    except OSError:
        return ""
    return sha.hexdigest()
