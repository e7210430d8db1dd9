"""The few calls of libbpf the meter needs, through ctypes: open, size, load, attach, read maps, listen to a ring.

Every failure becomes a ServiceError that says which call failed, with what, and what to do; a program the verifier
refuses is shown with the end of the verifier's log. Links are file descriptors: a killed meter leaves nothing attached.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import mmap
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from ebbtide.errors import ServiceError

INSTALL_HINT = (
    "install libbpf 1.0 or newer: apt-get install libbpf1 (Debian, Ubuntu), dnf install libbpf (Fedora, RHEL), "
    "apk add libbpf (Alpine); or start with --source sock_diag, which needs no libbpf and counts TCP only"
)
_LOG_BYTES = 1 << 20
_VERIFIER_LINES = 12
_RING_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)

_P, _I, _U32, _S = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_char_p
_SIGNATURES: dict[str, tuple[object, list[object]]] = {
    "libbpf_major_version": (_U32, []),
    "libbpf_num_possible_cpus": (_I, []),
    "libbpf_set_print": (_P, [_P]),
    "bpf_object__open_mem": (_P, [_P, ctypes.c_size_t, _P]),
    "bpf_object__load": (_I, [_P]),
    "bpf_object__close": (None, [_P]),
    "bpf_object__next_program": (_P, [_P, _P]),
    "bpf_object__find_map_by_name": (_P, [_P, _S]),
    "bpf_program__name": (_S, [_P]),
    "bpf_program__set_log_buf": (_I, [_P, _P, ctypes.c_size_t]),
    "bpf_program__set_log_level": (_I, [_P, _U32]),
    "bpf_program__attach_cgroup": (_P, [_P, _I]),
    "bpf_link__destroy": (_I, [_P]),
    "bpf_map__fd": (_I, [_P]),
    "bpf_map__set_max_entries": (_I, [_P, _U32]),
    "bpf_map_lookup_elem": (_I, [_I, _P, _P]),
    "bpf_map_update_elem": (_I, [_I, _P, _P, ctypes.c_uint64]),
    "bpf_map_lookup_and_delete_batch": (_I, [_I, _P, _P, _P, _P, ctypes.POINTER(_U32), _P]),
    "ring_buffer__new": (_P, [_I, _RING_CALLBACK, _P, _P]),
    "ring_buffer__poll": (_I, [_P, _I]),
    "ring_buffer__consume": (_I, [_P]),
    "ring_buffer__free": (None, [_P]),
}


def open_library(name: str | None = None) -> ctypes.CDLL:
    """libbpf with its signatures set. Raises ServiceError with the install line where it is missing or too old."""
    candidates = [name] if name else ["libbpf.so.1", ctypes.util.find_library("bpf") or "libbpf.so"]
    for candidate in candidates:
        try:
            library = ctypes.CDLL(candidate, use_errno=True)
        except OSError:
            continue
        return _with_signatures(library, candidate)
    raise ServiceError(f"libbpf is not installed (looked for {', '.join(candidates)})", hint=INSTALL_HINT)


def _with_signatures(library: ctypes.CDLL, name: str) -> ctypes.CDLL:
    for symbol, (result, arguments) in _SIGNATURES.items():
        try:
            function = getattr(library, symbol)
        except AttributeError:
            raise ServiceError(f"{name} is too old: it has no {symbol}", hint=INSTALL_HINT) from None
        function.restype, function.argtypes = result, arguments
    library.libbpf_set_print(None)
    return library


class Object:
    """A loaded BPF object. Use as a context manager: closing it detaches and frees everything."""

    def __init__(self, image: bytes, *, library: ctypes.CDLL | None = None, where: str = "meter.bpf.o") -> None:
        self._lib = library or open_library()
        self._image = image
        self._where = where
        self._links: list[int] = []
        self._logs: dict[str, ctypes.Array[ctypes.c_char]] = {}
        self._handle = self._lib.bpf_object__open_mem(image, len(image), None)
        if not self._handle:
            raise _failed("opening the BPF object", ctypes.get_errno(), where)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cpus(self) -> int:
        """How many values a per-CPU map holds for each key."""
        return int(self._lib.libbpf_num_possible_cpus())

    def resize(self, map_name: str, entries: int) -> None:
        """Give a map room for `entries` keys. Only before `load`."""
        self._check(self._lib.bpf_map__set_max_entries(self._map(map_name), entries), f"sizing the map {map_name}")

    def load(self) -> None:
        """Have the verifier check the programs. Raises ServiceError with the end of its log where it refuses one."""
        for name, program in self._programs():
            self._logs[name] = ctypes.create_string_buffer(_LOG_BYTES)
            self._lib.bpf_program__set_log_buf(program, self._logs[name], _LOG_BYTES)
        result = self._lib.bpf_object__load(self._handle)
        if result:
            raise _failed("loading the BPF programs", -result, self._where, verifier_message(self._written_logs()))
        self._logs.clear()

    def attach(self, cgroup_fd: int) -> None:
        """Attach every program to a cgroup, beside whatever others are attached there."""
        for name, program in self._programs():
            link = self._lib.bpf_program__attach_cgroup(program, cgroup_fd)
            if not link:
                raise _failed(f"attaching {name} to the cgroup", ctypes.get_errno(), self._where)
            self._links.append(link)

    def map_fd(self, name: str) -> int:
        """The descriptor of a map."""
        return int(self._lib.bpf_map__fd(self._map(name)))

    def lookup(self, map_name: str, key: bytes, value_bytes: int) -> bytes | None:
        """The value of a key, None where there is none. Per-CPU maps give all CPUs' values."""
        out = ctypes.create_string_buffer(value_bytes)
        result = self._lib.bpf_map_lookup_elem(self.map_fd(map_name), key, out)
        if result == -errno.ENOENT:
            return None
        self._check(result, f"reading the map {map_name}")
        return out.raw

    def update(self, map_name: str, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self._check(self._lib.bpf_map_update_elem(self.map_fd(map_name), key, value, 0), f"writing the map {map_name}")

    def memory(self, map_name: str, length: int) -> mmap.mmap:
        """The first `length` bytes of a map that may be mapped (BPF_F_MMAPABLE). The caller closes it."""
        try:
            return mmap.mmap(self.map_fd(map_name), length)
        except OSError as error:
            raise _failed(f"mapping {map_name}", error.errno or 0, self._where) from error

    def drain(
        self, map_name: str, key_bytes: int, value_bytes: int, batch: int = 4096
    ) -> Iterator[tuple[bytes, bytes, int]]:
        """Read and empty a hash map: yields (keys, values, count) in batches."""
        fd = self.map_fd(map_name)
        keys = ctypes.create_string_buffer(key_bytes * batch)
        values = ctypes.create_string_buffer(value_bytes * batch)
        token = ctypes.create_string_buffer(max(4, key_bytes))
        start = None
        while True:
            count = _U32(batch)
            result = self._lib.bpf_map_lookup_and_delete_batch(
                fd, start, token, keys, values, ctypes.byref(count), None
            )
            if result not in (0, -errno.ENOENT):
                self._check(result, f"emptying the map {map_name}")
            if count.value:
                yield keys.raw[: count.value * key_bytes], values.raw[: count.value * value_bytes], count.value
            if result:
                return
            start = token

    def ring(self, map_name: str, on_record: Callable[[bytes], None]) -> Ring:
        """Listen to a ring buffer."""
        return Ring(self._lib, self.map_fd(map_name), on_record)

    def detach(self) -> None:
        """Detach every program; maps and what sockets carry stay."""
        while self._links:
            self._lib.bpf_link__destroy(self._links.pop())

    def close(self) -> None:
        """Detach and free. May be called twice."""
        self.detach()
        if self._handle:
            self._lib.bpf_object__close(self._handle)
            self._handle = None

    def _programs(self) -> Iterator[tuple[str, int]]:
        program = self._lib.bpf_object__next_program(self._handle, None)
        while program:
            yield self._lib.bpf_program__name(program).decode(), program
            program = self._lib.bpf_object__next_program(self._handle, program)

    def _written_logs(self) -> dict[str, str]:
        return {name: log.value.decode(errors="replace") for name, log in self._logs.items() if log.value}

    def _map(self, name: str) -> int:
        handle = self._lib.bpf_object__find_map_by_name(self._handle, name.encode())
        if not handle:
            raise ServiceError(f"the BPF object has no map {name}", hint="the object and the package differ: reinstall")
        return int(handle)

    def _check(self, result: int, doing: str) -> None:
        if result:
            raise _failed(doing, -result, self._where)


class Ring:
    """A ring buffer that the kernel writes and one thread reads."""

    def __init__(self, library: ctypes.CDLL, fd: int, on_record: Callable[[bytes], None]) -> None:
        def receive(_: int | None, data: int, size: int) -> int:
            on_record(ctypes.string_at(data, size))
            return 0

        self._lib = library
        self._callback = _RING_CALLBACK(receive)
        self._handle = library.ring_buffer__new(fd, self._callback, None, None)
        if not self._handle:
            raise _failed("opening the ring buffer", ctypes.get_errno(), "news")

    def poll(self, timeout_ms: int) -> int:
        """Hand over what came, after waiting at most `timeout_ms`; how many records that were."""
        return max(0, int(self._lib.ring_buffer__poll(self._handle, timeout_ms)))

    def close(self) -> None:
        """Stop listening."""
        if self._handle:
            self._lib.ring_buffer__free(self._handle)
            self._handle = None


def verifier_message(logs: dict[str, str]) -> str:
    """The end of the log of the program the verifier refused, "" where it refused none.

    >>> print(verifier_message({"on_egress": "0: R1=ctx()\\nR2 invalid mem access 'scalar'\\nprocessed 9 insns"}))
    on_egress:
      0: R1=ctx()
      R2 invalid mem access 'scalar'
      processed 9 insns
    """
    refused = [(name, log.strip().splitlines()) for name, log in logs.items() if log.strip()]
    if not refused:
        return ""
    name, lines = refused[-1]
    return "\n".join([f"{name}:", *(f"  {line}" for line in lines[-_VERIFIER_LINES:])])


def _failed(doing: str, number: int, where: str, log: str = "") -> ServiceError:
    reason = os.strerror(number) if number else "no reason given"
    message = f"{doing} failed: {reason} ({errno.errorcode.get(number, number)})"
    return ServiceError(message + (f"\n{log}" if log else ""), hint=_hint(number, log), where=where)


def _hint(number: int, log: str) -> str:
    if "cannot use helper" in log:
        return "needs CAP_PERFMON beside CAP_BPF and CAP_NET_ADMIN, and Linux 5.10 or newer"
    if number in (errno.EPERM, errno.EACCES) and not log:
        return "needs CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN; `ebbtide meter --check` shows what works"
    if number == errno.ENOMEM:
        return "lower --map-mib, or raise the memory limit"
    if log or number == errno.EINVAL:
        return "needs Linux 5.10 or newer with CONFIG_CGROUP_BPF; --source sock_diag works without eBPF"
    return "`ebbtide meter --check` shows what works on this node"


def read_object(path: Path) -> bytes:
    """The compiled programs. Raises ServiceError with the build line where the package was built without clang."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ServiceError(
            f"{path.name} is missing: this package was built without clang",
            hint=(
                "install a released wheel, or apt-get install clang libbpf-dev and `pip install -e .` again; "
                "or start with --source sock_diag, which counts TCP only"
            ),
        ) from None
