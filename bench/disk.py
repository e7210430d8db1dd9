"""What an entity costs on disk, table by table, in a store that was derived from samples."""

from __future__ import annotations

from pathlib import Path

import duckdb

from ebbtide.store.segments import table_of
from history import History
from report import Row


def disk(path: Path, history: History, segments: tuple[int, ...]) -> list[Row]:
    """Bytes per entity and day: every table is copied in its order to a file of its own."""
    day = segments[-5:-1]  # the last one is not full
    tables = {
        "samples": " UNION ALL ".join(f"SELECT * FROM {table_of(one)}" for one in day),
        "hours": "SELECT * FROM hours",
        "days": "SELECT * FROM days",
        "edges": "SELECT * FROM edges",
    }
    rows = []
    for name, sql in tables.items():
        count, size, closed = copied(path, path.with_name(f"{name}.duckdb"), sql)
        span = {"samples": 1, "days": closed}.get(name, history.days)
        rows.append(
            Row(
                f"disk, {name}: {count / span / history.entities:,.0f} rows per entity and day",
                f"{size / span / history.entities:,.0f} bytes ({size / count:.1f} a row)",
            )
        )
    return rows


def copied(source: Path, target: Path, sql: str) -> tuple[int, int, int]:
    """Rows of a query, the bytes they take as a table of a new file, and how many days are closed."""
    with duckdb.connect(str(source)) as con:
        con.execute(f"ATTACH '{target}' AS alone")
        con.execute(f"CREATE TABLE alone.copy AS {sql}")
        con.execute("CHECKPOINT alone")
        count = con.execute("SELECT count(*) FROM alone.copy").fetchall()[0][0]
        closed = con.execute("SELECT count(*) FROM closed_days").fetchall()[0][0]
        sizes = con.execute("SELECT block_size * used_blocks FROM pragma_database_size() WHERE database_name = 'alone'")
        return int(count), int(sizes.fetchall()[0][0]), int(closed)
