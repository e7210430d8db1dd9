"""Makes the files of the shipped recording from the data set they are an excerpt of.

    python -m ebbtide.recording.make_excerpt SOURCE TARGET

SOURCE is a folder with `smd_network.parquet` (machine, minute, the metrics in float32, split) and `events.csv`, as
described in README.md; TARGET the folder to write to. Nothing is lost: each file is read back and compared.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ebbtide.errors import DataError
from ebbtide.recording.recording import COLUMNS, PARTS

_EVENT_COLUMNS = ("machine", "minute_start", "minute_end", "dims_named", "any_network_out")


def make_excerpt(source: Path, target: Path) -> None:
    """Write `machine-*.parquet` and `events.csv` into `target`. Raises DataError for values that would be changed."""
    table = pq.read_table(source / "smd_network.parquet", columns=["machine", "minute", *COLUMNS, "split"])
    machine = np.array(table["machine"].to_pylist())
    for name in np.unique(machine).tolist():
        rows = table.filter(pa.array(machine == name)).sort_by("minute")
        (target / f"machine-{name}.parquet").write_bytes(_encode(f"machine-{name}", rows))
    with (source / "events.csv").open(encoding="utf-8", newline="") as file:
        events = [{key: row[key] for key in _EVENT_COLUMNS} for row in csv.DictReader(file)]
    with (target / "events.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _EVENT_COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in sorted(events, key=lambda row: (row["machine"], int(row["minute_start"]))):
            writer.writerow({**row, "machine": f"machine-{row['machine']}"})


def _encode(name: str, rows: pa.Table) -> bytes:
    """One machine as Parquet: whole millionths, each column in the encoding that makes it smallest."""
    minute = rows["minute"].to_numpy()
    if not np.array_equal(minute, np.arange(len(minute))):
        raise DataError(f"the minutes of {name} are not 0, 1, 2 ...")
    if rows["split"].to_pylist().count("train") != len(minute) // 2:
        raise DataError(f"the labelled half of {name} does not begin in the middle")
    columns = {"minute": minute.astype(np.int32)}
    for column in COLUMNS:
        value = rows[column].to_numpy()
        parts = np.rint(value.astype(np.float64) * PARTS)
        if not np.array_equal((parts / PARTS).astype(np.float32), value):
            raise DataError(f"{column} of {name} has values that are no whole millionths")
        columns[column] = parts.astype(np.int32)
    table = pa.table({column: pa.array(value) for column, value in columns.items()})
    best = {column: _best_encoding(table.select([column])) for column in table.column_names}
    return _write(table, best)


def _best_encoding(column: pa.Table) -> str | None:
    """The encoding that makes a column smallest; None is a dictionary."""
    choices = (None, "BYTE_STREAM_SPLIT", "DELTA_BINARY_PACKED")
    return min(choices, key=lambda choice: len(_write(column, {column.column_names[0]: choice})))


def _write(table: pa.Table, encodings: dict[str, str | None]) -> bytes:
    file = io.BytesIO()
    pq.write_table(
        table,
        file,
        compression="zstd",
        compression_level=19,
        use_dictionary=[column for column, encoding in encodings.items() if encoding is None],  # type: ignore[arg-type]
        column_encoding={column: encoding for column, encoding in encodings.items() if encoding is not None} or None,
        dictionary_pagesize_limit=1 << 22,
        data_page_size=1 << 24,
        write_statistics=False,
    )
    return file.getvalue()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    make_excerpt(Path(sys.argv[1]), Path(sys.argv[2]))
