"""Opening the file: one writer, numbered migrations, errors an operator can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path

import duckdb

from ebbtide.errors import DataError, NoDataError, ServiceError, StoreInUseError

_TABLE = "CREATE TABLE migrations (version INTEGER NOT NULL, name VARCHAR NOT NULL)"


def connect(path: Path | None, *, memory_limit: str, threads: int, is_new_allowed: bool) -> duckdb.DuckDBPyConnection:
    """An open file with the current schema; None keeps everything in memory.

    Raises NoDataError when the file is not there and may not be made, StoreInUseError when another process holds it,
    DataError when it is not a store or was written by a newer version.
    """
    if path is not None and not path.exists() and not is_new_allowed:
        raise NoDataError(f"no store at {path}", hint="make one with: ebbtide import --db FILE PATHS")
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory_limit,
        "threads": threads,
        # Rows come back in one order, so sums of floating-point numbers are the same however they are cut into shards.
        "preserve_insertion_order": True,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        con = duckdb.connect(str(path) if path is not None else ":memory:", config=config)
    except duckdb.IOException as error:
        raise _unopened(path, error) from error
    except duckdb.Error as error:
        raise DataError(f"cannot open {path}: {_line(error)}", hint="is this file an Ebbtide store?") from error
    try:
        con.execute("SET enable_progress_bar = false")
        migrate(con, path)
        con.execute(query("macros"))
    except BaseException:  # also on Ctrl-C: the file is let go
        con.close()
        raise
    return con


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and SQL of every migration, in order."""
    return sorted(
        (int(match[1]), match[2], item.read_text(encoding="utf-8"))
        for item in resources.files("ebbtide.store").joinpath("migrations").iterdir()
        if (match := re.fullmatch(r"(\d{4})_(\w+)\.sql", item.name))
    )


def migrate(con: duckdb.DuckDBPyConnection, path: Path | None = None) -> None:
    """Bring a file to the current schema, each migration in a transaction of its own; a new file gets all in one.

    What counts is which numbers a file has, not the highest one: gaps may be filled later.
    """
    tables = {row[0] for row in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if tables and "migrations" not in tables:
        raise DataError(f"{path} is a DuckDB file but not an Ebbtide store", hint="give another --db FILE")
    known = migrations()
    if not tables:  # cheaper than one by one, and a new file has all or nothing
        names = ", ".join(f"({version}, '{name}')" for version, name, _ in known)
        texts = (_TABLE, *(sql for _, _, sql in known), f"INSERT INTO migrations VALUES {names}")
        con.execute("".join(f"{text}\n;" for text in ("BEGIN", *texts, "COMMIT")))
        return
    done = {row[0] for row in con.execute("SELECT version FROM migrations").fetchall()}
    if max(done, default=0) > known[-1][0]:
        raise DataError(
            f"{path} has schema {max(done)}, this version knows {known[-1][0]}",
            hint="it was written by a newer Ebbtide: upgrade",
        )
    for version, name, sql in known:
        if version not in done:
            con.execute("BEGIN")
            con.execute(sql)
            con.execute("INSERT INTO migrations VALUES (?, ?)", [version, name])
            con.execute("COMMIT")


@contextmanager
def transaction(con: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing on one connection. Raises ServiceError when it could not write."""
    try:
        con.execute("BEGIN")
        yield
        con.execute("COMMIT")
    except BaseException as error:
        with suppress(duckdb.Error):  # a COMMIT that failed has rolled back already, and a dead database has no more
            con.execute("ROLLBACK")
        if isinstance(error, duckdb.Error):
            message = f"the store could not write: {_line(error)}"
            raise ServiceError(message, hint="is the disk full or read-only?") from error
        raise


def is_dead(con: duckdb.DuckDBPyConnection) -> bool:
    """Whether nothing works any more on this connection: a checkpoint has failed, or the connection is closed.

    DuckDB gives a database up for good when it cannot write a checkpoint to the end; the file itself is whole.
    """
    try:
        con.execute("SELECT 1").fetchall()
    except (duckdb.FatalException, duckdb.ConnectionException):
        return True
    return False


def query(name: str) -> str:
    """The text of a query that has its own file."""
    return resources.files("ebbtide.store").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def _unopened(path: Path | None, error: duckdb.Error) -> ServiceError | DataError:
    text = _line(error)
    if "lock" in text.lower():
        return StoreInUseError(
            f"{path} is in use by another process", hint="stop it, or ask the running service: --server URL"
        )
    if "not a valid DuckDB" in text:
        return DataError(f"{path} is not an Ebbtide store", hint="give another --db FILE")
    return ServiceError(f"cannot open {path}: {text}", hint="check that the directory exists and is writable")


def _line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
