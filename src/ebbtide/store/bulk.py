"""Many rows in one statement: a storm of findings holds the lock of the store for a tenth of the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

import duckdb

#: Rows of one statement: findings are some kilobytes each, and all of a statement's are in memory twice.
_ROWS = 500


def insert(con: duckdb.DuckDBPyConnection, into: str, kinds: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Insert rows, in order, into a table whose columns, or those named with it, have these types.

    A sequence's next value is written as its expression in `kinds`: `nextval('numbers')`; rows have no value for it.
    """
    chosen = ", ".join(kind if "(" in kind else f"unnest(?::{kind}[])" for kind in kinds)
    left = iter(rows)
    while part := list(islice(left, _ROWS)):
        con.execute(f"INSERT INTO {into} SELECT {chosen}", [list(values) for values in zip(*part, strict=True)])
