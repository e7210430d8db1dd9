"""Files to batches: what a collector's `file` exporter wrote, HEC events by the line, tables. Compressed or not.

In comes a binary file object (this room knows no paths), out come batches, in the file's order and with bounded memory.
A bad line is counted, the first few are kept with their numbers, and the rest goes on: one torn line at the end of a
file must not cost a month of history.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

import zstandard

from ebbtide.decode.columns import CsvTable, ParquetTable
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import DecodeError
from ebbtide.series import Batch, Counts

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from ebbtide.decode.formats import Decoder

#: One request of a collector is bounded by its receivers at 64 MiB or below.
LINE_BYTES_MAX: Final = 64 * 1024 * 1024
BAD_LINES_KEPT: Final = 10
_SNIFF_BYTES: Final = 4096
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_PARQUET: Final = b"PAR1"
_SIZE_BYTES: Final = 4
#: Small, because a few bytes of zstd may stand for 128 KiB each.
_ZSTD_READ_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line (or record) that could not be decoded: its number, from 1, and why."""

    number: int
    message: str


class Reader:
    """Iterates over a file's batches once; afterwards `bad_lines` has the first bad ones, the counts have all."""

    def __init__(
        self,
        file: BinaryIO,
        decoder: Callable[[str], Decoder],
        state: CounterState,
        format_name: str | None = None,
    ) -> None:
        self.bad_lines: list[BadLine] = []
        self._decoder = decoder
        self._state = state
        self._format = format_name
        self._file = file

    def __iter__(self) -> Iterator[Batch]:
        """Batches in the file's order. Raises DecodeError if the file is of no known format, or its end is missing."""
        opened = _peekable(self._file)
        try:
            yield from self._uncompressed(_decompressing(opened))
        except (zstandard.ZstdError, zlib.error, EOFError, gzip.BadGzipFile) as error:
            raise DecodeError(
                f"the compressed file cannot be read to its end: {error}",
                hint="what came before was taken; is the file cut short or still being written?",
            ) from error
        finally:
            if opened is not self._file:
                opened.detach()  # or it would close the caller's file with itself

    def _uncompressed(self, file: io.BufferedReader) -> Iterator[Batch]:
        start = file.peek(_SNIFF_BYTES)[:_SNIFF_BYTES]
        if not start:
            return
        name = self._format or _sniff(start)
        if name in (CsvTable.name, ParquetTable.name):
            table = cast("CsvTable | ParquetTable", self._decoder(name))
            if name == ParquetTable.name and not file.seekable():
                raise DecodeError("a Parquet file must be seekable", hint="do not compress Parquet a second time")
            yield from table.stream(cast(BinaryIO, file), self._state)
        elif _is_sized(start):
            yield from self._records(_sized(file), name)
        else:
            yield from self._records(_lines(file), name)

    def _records(self, records: Iterator[bytes], name: str) -> Iterator[Batch]:
        decoder = self._decoder(name)
        for number, record in enumerate(records, 1):
            if not record.strip():
                continue
            try:
                if len(record) > LINE_BYTES_MAX:
                    raise DecodeError(f"longer than {LINE_BYTES_MAX} bytes")
                if record[:4] == _ZSTD:
                    record = _decompressed(record)
                batch = decoder.decode(record, self._state)
            except DecodeError as error:
                if len(self.bad_lines) < BAD_LINES_KEPT:
                    self.bad_lines.append(BadLine(number, str(error)))
                counts = Counts()
                counts.rejected["bad_line"] += 1
                batch = Batch.empty(counts)
            yield batch


class _Zstd(io.RawIOBase):
    """A zstd file of one frame or several. Unlike the library's own reader it notices that the end is missing."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._compressed = b""
        self._ready = b""
        self._is_within = False

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` with what is decompressed. Raises EOFError within an unfinished frame."""
        while not self._ready:
            if not self._compressed:
                self._compressed = self._file.read(_ZSTD_READ_BYTES)
            if not self._compressed:
                if self._is_within:
                    raise EOFError("the last zstd frame is not complete")
                return 0
            self._advance()
        view = memoryview(buffer)
        n = min(len(view), len(self._ready))
        view[:n], self._ready = self._ready[:n], self._ready[n:]
        return n

    def _advance(self) -> None:
        self._ready = self._frame.decompress(self._compressed)
        self._compressed, self._is_within = b"", True
        if self._frame.eof:
            self._compressed, self._is_within = self._frame.unused_data, False
            self._frame = zstandard.ZstdDecompressor().decompressobj()


def _peekable(file: BinaryIO) -> io.BufferedReader:
    return file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file), 1 << 20)


def _decompressing(file: io.BufferedReader) -> io.BufferedReader:
    """The file as it was before compression."""
    start = file.peek(_SNIFF_BYTES)
    if start[:2] == _GZIP:
        return _peekable(cast(BinaryIO, gzip.GzipFile(fileobj=file)))
    if start[:4] == _ZSTD:
        return _peekable(cast(BinaryIO, _Zstd(file)))
    return file


def _sniff(start: bytes) -> str:
    """The format of a file from its first bytes."""
    if start.startswith(_PARQUET):
        return ParquetTable.name
    if _is_sized(start):
        body = start[_SIZE_BYTES:]
        return "otlp_json" if body[:1] == b"{" else "otlp_proto"
    text = start.lstrip()
    if text.startswith(b"{"):
        return "hec" if b'"fields"' in text and b'"resourceMetrics"' not in text else "otlp_json"
    if b"," in text.split(b"\n", 1)[0] and b"\0" not in text:
        return CsvTable.name
    raise DecodeError(
        f"no known format begins with {start[:16]!r}",
        hint="OTLP JSON lines, HEC events, CSV and Parquet are known, also in gzip or zstd; or say which format it is",
    )


def _is_sized(start: bytes) -> bool:
    """Whether records are preceded by their size: the file exporter's way with `format: proto` or `compression`.

    (collector-contrib `exporter/fileexporter`: 4 bytes, big-endian, before each.)
    """
    size = int.from_bytes(start[:_SIZE_BYTES], "big")
    body = start[_SIZE_BYTES:]
    return 0 < size <= LINE_BYTES_MAX and start[:1] in b"\x00\x01\x02\x03" and (body[:1] == b"\n" or body[:4] == _ZSTD)


def _sized(file: io.BufferedReader) -> Iterator[bytes]:
    while head := file.read(_SIZE_BYTES):
        size = int.from_bytes(head, "big")
        if size > LINE_BYTES_MAX:
            raise DecodeError(f"a record of {size} bytes", hint="the file is damaged here; what came before was taken")
        yield file.read(size)


def _lines(file: io.BufferedReader) -> Iterator[bytes]:
    """Lines, each cut just above LINE_BYTES_MAX, so that a file without line ends is not read into memory."""
    while line := file.readline(LINE_BYTES_MAX + 1):
        yield line
        is_cut = len(line) > LINE_BYTES_MAX
        while is_cut and line and not line.endswith(b"\n"):
            line = file.readline(LINE_BYTES_MAX)


def _decompressed(record: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(record) as stream:
            data = stream.read(LINE_BYTES_MAX + 1)
    except zstandard.ZstdError as error:
        raise DecodeError(f"not zstd: {error}") from error
    if len(data) > LINE_BYTES_MAX:
        raise DecodeError(f"longer than {LINE_BYTES_MAX} bytes once decompressed")
    return data
