"""Tables to batches: CSV and Parquet, whose columns a preset's `columns` explains.

A row is a time and one value per metric column (or one metric name and value); its other columns are attributes, and
go through the same mapping as any other source's. Streaming: a chunk of rows at a time.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any, BinaryIO, Final, Literal, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from ebbtide.decode.catalog import TIME_MAX_NS, Catalog, Scope
from ebbtide.decode.label import text_of
from ebbtide.decode.points import Bool, Points
from ebbtide.decode.preset import Columns
from ebbtide.decode.temporality import CounterState
from ebbtide.errors import ConfigError, DecodeError
from ebbtide.series import MINUTE_NS, SECOND_NS, Batch, Counts, Float64, Int64

#: An Arrow array of any type; the stubs' element types say nothing here, and differ between releases.
Column: TypeAlias = Any

ROWS: Final = 65_536
_HEADER_BYTES_MAX: Final = 1 << 20
_HEADER_HINT: Final = "a CSV table begins with the names of its columns"
_NO_TIME: Final = int(np.iinfo(np.int64).min)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNIT_NS: Final = {"ns": 1, "us": 1_000, "ms": 1_000_000, "s": SECOND_NS, "m": MINUTE_NS}


class _Table:
    """What CSV and Parquet share."""

    name = "table"

    def __init__(self, catalog: Catalog) -> None:
        columns = catalog.mapper.preset.columns
        if columns is None:
            raise ConfigError(
                f"preset {catalog.mapper.preset.name!r} does not say what a table's columns mean",
                hint="give it a `columns` section, or use the preset `table`",
            )
        self.catalog = catalog
        self.columns = columns
        self.bad_rows = 0

    def decode(self, body: bytes, state: CounterState) -> Batch:
        """The samples of a whole table. Raises DecodeError if it is none, or lacks its time column."""
        return Batch.concat(self.stream(io.BytesIO(body), state))

    def stream(self, file: BinaryIO, state: CounterState) -> Iterator[Batch]:
        """The samples of a table, some ten thousand rows a batch. `file` must be seekable for Parquet."""
        chunks = self._chunks(file)
        while (chunk := self._next(chunks)) is not None:
            try:
                batch = self._rows(chunk, state)
            except pa.ArrowException as error:
                raise self._unreadable(error) from error
            yield batch
        if self.bad_rows:
            yield Batch.empty(self._take_bad_rows(Counts()))

    def _next(self, chunks: Iterator[pa.RecordBatch]) -> pa.RecordBatch | None:
        try:
            return next(chunks, None)
        except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: names that are not UTF-8
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DecodeError:
        return DecodeError(f"not a {self.name} table: {error}", hint="is the file cut short?")

    def _take_bad_rows(self, counts: Counts) -> Counts:
        if self.bad_rows:
            counts.rejected["bad_row"] += self.bad_rows
            self.bad_rows = 0
        return counts

    def _chunks(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        raise NotImplementedError

    def _rows(self, table: pa.RecordBatch, state: CounterState) -> Batch:
        names = table.schema.names
        if len(set(names)) < len(names):
            raise DecodeError("two columns have the same name", hint="the columns are " + ", ".join(names[:20]))
        self.catalog.begin()
        points = Points(self.catalog)
        time_ns = self._time(table)
        labels, row_labels = self._labels(table)
        for metric, value, rows in self._values(table, points):
            context = self.catalog.surroundings("table", 0, lambda: ({}, Scope())).context(metric, None)
            ids = np.zeros(len(labels), np.int64)
            for at in np.unique(row_labels[rows]).tolist():
                key = tuple(labels[at].items())
                known = context.found.get(key)
                if known is None:
                    size = sum(len(name) + len(text) for name, text in key)
                    known = self.catalog.learn(context.found, key, size, context, labels[at])
                ids[at] = known
            end = time_ns[rows].astype(np.uint64)
            points.extend(ids[row_labels[rows]], np.zeros(len(rows), np.uint64), end, value, np.zeros(len(rows), bool))
        self._take_bad_rows(points.counts)
        return points.batch(state)

    # -- columns

    def _time(self, table: pa.RecordBatch) -> Int64:
        """End of each row in ns, 0 where it has none."""
        columns = self.columns
        if columns.time not in table.schema.names:
            raise DecodeError(
                f"the table has no time column {columns.time!r}",
                hint="its columns are " + ", ".join(table.schema.names[:20]),
            )
        column = table.column(columns.time)
        at = _timestamps(column) if columns.unit == "rfc3339" else _scaled(column, _UNIT_NS[columns.unit])
        known = at != _NO_TIME
        shift = _origin_ns(columns) + (self.catalog.mapper.preset.interval if columns.marks == "start" else 0)
        return np.where(known & (at >= 0) & (at <= TIME_MAX_NS), at + shift, 0)

    def _labels(self, table: pa.RecordBatch) -> tuple[list[dict[str, str]], Int64]:
        """The distinct attribute sets of some rows, and which one each row has. Nulls are absent."""
        columns = self.columns
        taken = {columns.time, columns.metric_column, columns.value_column, *columns.values}
        names = [
            name
            for name in table.schema.names
            if name not in taken
            and (columns.attributes is None or name in columns.attributes)
            and not pa.types.is_nested(table.schema.field(name).type)
        ]
        codes = np.zeros(table.num_rows, np.int64)
        for name in names:
            encoded = _plain(table.column(name)).dictionary_encode(null_encoding="encode")
            codes = codes * max(1, len(encoded.dictionary)) + encoded.indices.to_numpy(zero_copy_only=False)
            _, codes = np.unique(codes, return_inverse=True)
        _, first, row_labels = np.unique(codes, return_index=True, return_inverse=True)
        texts = {name: _texts(table.column(name).take(pa.array(first, pa.int64()))) for name in names}
        labels = [
            {**columns.constants, **{name: text for name in names if (text := texts[name][row]) is not None}}
            for row in range(len(first))
        ]
        return labels, row_labels

    def _values(self, table: pa.RecordBatch, points: Points) -> Iterator[tuple[str, Float64, Int64]]:
        """(metric as received, values, their rows). Empty cells are no points; text that is no number is rejected."""
        columns = self.columns
        if columns.metric_column is not None and columns.value_column is not None:
            value, good = self._numbers(self._column(table, columns.value_column), points)
            metric = np.array(_texts(self._column(table, columns.metric_column)), object)
            for name in dict.fromkeys(metric[good].tolist()):
                rows = np.flatnonzero(good & (metric == name))
                yield name or "", value[rows], rows
            return
        for column, name in columns.values.items():
            if column in table.schema.names:
                value, good = self._numbers(table.column(column), points)
                rows = np.flatnonzero(good)
                yield name, value[rows], rows

    @staticmethod
    def _numbers(column: Column, points: Points) -> tuple[Float64, Bool]:
        value, good, malformed = _numbers(column)
        if malformed:
            points.reject("malformed", malformed)
        return value, good

    def _column(self, table: pa.RecordBatch, name: str) -> Column:
        if name not in table.schema.names:
            raise DecodeError(f"the table has no column {name!r}", hint="see `columns` in the preset")
        return table.column(name)


class CsvTable(_Table):
    """Comma-separated text with a header line."""

    name = "csv"

    def _chunks(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        header = file.readline(_HEADER_BYTES_MAX).decode("utf-8-sig", "replace")
        try:
            names = next(csv.reader([header.rstrip("\r\n")]), [])
        except csv.Error as error:
            raise DecodeError(f"no header line: {error}", hint=_HEADER_HINT) from error
        if not names:
            raise DecodeError("no header line", hint=_HEADER_HINT)
        read = pyarrow.csv.ReadOptions(column_names=names, use_threads=False, block_size=1 << 22)
        parse = pyarrow.csv.ParseOptions(invalid_row_handler=self._skip)
        convert = pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
        )
        try:
            reader = pyarrow.csv.open_csv(cast(IO[bytes], _Utf8(file)), read, parse, convert)
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise
        with reader:
            yield from reader

    def _skip(self, _: object) -> Literal["skip", "error"]:
        """A row with too few or too many cells is counted and left out."""
        self.bad_rows += 1
        return "skip"


class _Utf8(io.RawIOBase):
    """A file whose bytes that are not UTF-8 read as \\xff, because Arrow gives up on a row that has some."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="backslashreplace")

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Up to about `size` bytes (escapes take four for one), b"" at the end."""
        while data := self._file.read(size):
            if text := self._decoder.decode(data):
                return text.encode()
        return self._decoder.decode(b"", final=True).encode()


class ParquetTable(_Table):
    """Apache Parquet."""

    name = "parquet"

    def _chunks(self, file: BinaryIO) -> Iterator[pa.RecordBatch]:
        yield from pyarrow.parquet.ParquetFile(file).iter_batches(ROWS)


def _cast(column: Column, kind: pa.DataType, *, safe: bool = True) -> Column:
    return pc.cast(column, kind, safe=safe)


def _plain(column: Column) -> Column:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _texts(column: Column) -> list[str | None]:
    """Cells as text; bytes that are not UTF-8 become lone surrogates, as they do in every other format."""
    column = _plain(column)
    if not (pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)):
        column = _cast(column, pa.string())
    cells = _cast(column, pa.binary()).to_pylist()
    return [None if cell is None else text_of(cell) for cell in cells]


def _numbers(column: Column) -> tuple[Float64, Bool, int]:
    """Cells as numbers, which cells are numbers, and how many hold something else."""
    column = _plain(column)
    given = column.is_valid().to_numpy(zero_copy_only=False)
    try:
        if pa.types.is_binary(column.type):
            column = _cast(column, pa.string())
        value = _cast(column, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return value, given, 0
    except pa.ArrowException:
        parsed = [_number(cell) for cell in _texts(column)]
    good = np.array([number is not None for number in parsed], bool)
    value = np.array([0.0 if number is None else number for number in parsed], np.float64)
    return value, good, int(np.count_nonzero(given & ~good))


def _number(cell: str | None) -> float | None:
    try:
        return None if cell is None else float(cell)
    except ValueError:
        return None


def _scaled(column: Column, unit_ns: int) -> Int64:
    """Numbers of some unit as ns; _NO_TIME where there is none."""
    if pa.types.is_timestamp(column.type):
        return _timestamps(column)
    if pa.types.is_integer(column.type):
        whole = _cast(column, pa.int64(), safe=False).fill_null(-1).to_numpy(zero_copy_only=False)
        return np.where((whole < 0) | (whole > TIME_MAX_NS // unit_ns), _NO_TIME, whole * unit_ns)
    value, good, _ = _numbers(column)
    in_range = good & (value >= 0) & (value <= TIME_MAX_NS / unit_ns)
    # Microseconds hide the rounding of doubles, as for HEC.
    micros = np.round(np.where(in_range, value, 0) * (unit_ns / 1000)).astype(np.int64)
    return np.where(in_range, micros * 1000, _NO_TIME)


def _timestamps(column: Column) -> Int64:
    """RFC 3339 text or Arrow timestamps as ns; _NO_TIME where there is none."""
    if pa.types.is_timestamp(column.type):
        at = _cast(column, pa.timestamp("ns", column.type.tz), safe=False)
        return np.asarray(_cast(at, pa.int64()).fill_null(_NO_TIME), np.int64)
    return np.array([_rfc3339(cell) for cell in _texts(column)], np.int64)


def _rfc3339(cell: str | None) -> int:
    try:
        at = datetime.fromisoformat(cell or "")
    except ValueError:
        return _NO_TIME
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_NS + since.microseconds * 1000


def _origin_ns(columns: Columns) -> int:
    return 0 if columns.origin is None else max(0, _rfc3339(columns.origin))
