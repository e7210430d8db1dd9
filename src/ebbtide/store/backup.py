"""A copy of the open store in a file of its own, consistent as of one moment, while everything goes on.

The copy is made in one transaction of the database (`COPY FROM DATABASE` into an attached file), so it holds what was
committed when it began and nothing after. Copying the store's file itself would tear: its log and blocks change below.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

from ebbtide.errors import DataError, ServiceError


def backup(con: duckdb.DuckDBPyConnection, to: Path) -> None:
    """Write everything `con` sees into a new file. Raises DataError where there is one, ServiceError on failure."""
    if to.exists():
        raise DataError(f"{to} exists", hint="a backup never overwrites; give a new name")
    partial = to.with_name(f"{to.name}.partial")
    partial.unlink(missing_ok=True)
    source = con.execute("SELECT current_database()").fetchall()[0][0]
    quoted, name = str(partial).replace("'", "''"), str(source).replace('"', '""')
    try:
        con.execute(f"ATTACH '{quoted}' AS backup_copy")
        try:
            con.execute(f'COPY FROM DATABASE "{name}" TO backup_copy')
        finally:
            con.execute("DETACH backup_copy")
    except duckdb.Error as error:
        partial.unlink(missing_ok=True)
        message = f"the backup to {to} failed: {str(error).splitlines()[0]}"
        raise ServiceError(message, hint="is the disk full, or the directory missing?") from error
    partial.rename(to)
