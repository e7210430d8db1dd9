"""What a person or a machine sees: tables on stdout, progress and errors on stderr, JSON and CSV for machines.

Everything printed may hold labels from hostile workloads: text is made one harmless line, and CSV cells that a
spreadsheet would run as a formula are quoted away.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from ebbtide.errors import EbbtideError
from ebbtide.finding.text import one_line

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

#: A cell that begins so is run by spreadsheets (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def print_error(error: EbbtideError) -> None:
    """The message with its place, the problems one a line, and the hint."""
    lines = str(error).split("\n")
    err.print(f"[red]error:[/red] {escape(one_line(lines[0], 1000))}")
    for line in lines[1:]:
        err.print(f"  {escape(one_line(line, 1000))}")
    if error.hint:
        err.print(f"[dim]hint:[/dim] {escape(one_line(error.hint, 1000))}")


def warn(message: str) -> None:
    """Something the operator should know, on stderr."""
    err.print(f"[yellow]note:[/yellow] {escape(one_line(message, 1000))}")


def say(message: str = "") -> None:
    """A line on stdout, as it is but harmless."""
    out.print(escape(one_line(message, 4000)) if message else "")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """A table for people; numbers to the right. It is as wide as its names need, however narrow the terminal is."""
    table = Table(title=escape(title) if title else None, title_justify="left", box=None, pad_edge=False)
    rows = [tuple(row) for row in rows]
    needed = -2
    for at, name in enumerate(columns):
        is_number = bool(rows) and all(isinstance(row[at], int | float) for row in rows)
        # Names and times stay in one piece, so that they can be copied; only prose is folded.
        is_prose = any(" " in str(row[at]) for row in rows)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold", no_wrap=not is_prose)
        texts = [name, *(_cell(row[at]) for row in rows)]
        needed += 2 + max(cell_len(word) for text in texts for word in (text.split(" ") if is_prose else [text]))
    # Names that are cut in the middle cannot be copied, and those of a list look alike then.
    if needed > out.width:
        table.width = needed
    for row in rows:
        table.add_row(*(escape(_cell(value)) for value in row))
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    return one_line(str(value), 500)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[object]], as_json: bool, nothing: str) -> None:
    """Rows as a table or as JSON; where there are none, a sentence in place of the table."""
    if as_json:
        print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        print_table(columns, rows)
    else:
        say(nothing)


def print_json(value: object) -> None:
    """One JSON document on stdout, ASCII only."""
    sys.stdout.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def json_line(row: dict[str, object]) -> str:
    """One row as a line of JSON; times in RFC 3339, numbers that JSON does not have as null."""
    return json.dumps({key: _plain(value) for key, value in row.items()}) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value.isoformat()}Z"
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """RFC 4180 on stdout, without cells that a spreadsheet would run."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe_cell(value) for value in row])
    sys.stdout.write(text.getvalue())


def safe_cell(value: object) -> object:
    """The value, or text with an apostrophe before what would be a formula.

    >>> safe_cell("=1+1"), safe_cell(-3), safe_cell("nginx")
    ("'=1+1", -3, 'nginx')
    """
    if isinstance(value, int | float):
        return value
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A bar with rate and remaining time on stderr, gone when done; silent where stderr is not a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield progress
