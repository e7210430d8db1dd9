"""`entities`: who sends, since when, how much, and how far each is learned."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Csv, Db, Json
from ebbtide.cli.remote import Server, TokenFile, in_whole_seconds, remote_of
from ebbtide.errors import UsageError
from ebbtide.series import Entity
from ebbtide.store.store import Store

_COLUMNS = ("cluster", "namespace", "workload", "process", "state", "days", "first_seen", "last_seen", "sent_hour",
            "sent_day")  # fmt: skip
_HELP = "Every process of the last 30 days: first and last seen, bytes sent of the last hour and day, how far learned."
_EXAMPLE = """Example: ebbtide entities --match '{namespace="shop",process!="nginx"}'"""
_STATES = ("not_yet", "young", "mature")

Row = tuple[str | int | float, ...]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("entities", help=_HELP, epilog=_EXAMPLE)(entities_command)


def entities_command(
    match: Annotated[
        str, typer.Option("--match", help="Only these: matchers as of filters, or words that the name has.")
    ] = "",
    state: Annotated[str | None, typer.Option(help="Only these: not_yet, young or mature.")] = None,
    limit: Annotated[int, typer.Option(help="Rows of the table; JSON and CSV have all.", min=1)] = 50,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    as_csv: Csv = False,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """One row per entity. The table has who sent most in the last day first; JSON and CSV are by name.

    The last hour and day are full hours; those of a recording are the last it has.
    """
    if state is not None and state not in _STATES:
        raise UsageError(f"there is no state {state[:60]!r}", hint=f"it is one of {', '.join(_STATES)}")
    found: list[dict[str, Any]]
    if remote := remote_of(server, token_file):
        found = remote.rows("/entities", "entities", {"q": match, "sort": "name"}, is_long=True)
    else:
        # The pages' code is imported here: other commands start faster without it.
        from ebbtide.web.entity import everyone

        with Store.open(db, is_new_allowed=False) as store:
            found = [
                one.model_dump(mode="json") for one in everyone(store, store.reading.horizon(time.time_ns()), match)
            ]
    rows = [_row(one) for one in found if state in (None, one["state"])]
    if as_json:
        console.print_json([dict(zip(_COLUMNS, row, strict=True)) for row in rows])
    elif as_csv:
        console.print_csv(_COLUMNS, rows)
    elif rows:
        shown = sorted(rows, key=lambda row: -float(row[-1]))[:limit]
        console.print_table(("entity", *_COLUMNS[4:]), map(_narrow, shown))
        if len(rows) > limit:
            console.say(f"{len(rows) - limit:,} more, which sent less; --limit, --json or --csv show them.")
    else:
        is_any = bool(match or state)
        console.say("No entity is like that." if is_any else "No entities yet: what arrives is listed after its hour.")


def _row(one: dict[str, Any]) -> Row:
    name = one["entity"]
    who = (name["cluster"], name["namespace"], name["workload"], name["process"])
    return *who, one["state"], one["days"], one["first"], one["last"], _whole(one["sent_hour"]), _whole(one["sent_day"])


def _narrow(row: Row) -> Row:
    """The row for a table, which is as wide as a terminal: its name in one piece, instants in whole seconds."""
    who = Entity(*map(str, row[:4]))
    return str(who), *row[4:6], *(in_whole_seconds(str(one)) for one in row[6:8]), *row[8:]


def _whole(count: float) -> int | float:
    """The bytes without a fraction that is zero; recordings have units in which they have one."""
    return int(count) if float(count).is_integer() else count
