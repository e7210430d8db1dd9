"""`sinks list`, `test`, `dead` and `replay`: where findings go, whether they arrive, and what was given up."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Db, Json
from ebbtide.cli.settings import DEFAULT_CONFIG, ConfigFile, read_text
from ebbtide.deliver.sample import sample
from ebbtide.deliver.secret import read_secret
from ebbtide.deliver.sink import SinkSettings
from ebbtide.deliver.sinks import load_sinks
from ebbtide.errors import NotFoundError, UsageError
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.text import rfc3339
from ebbtide.series import SECOND_NS
from ebbtide.store.outbox import Outbox
from ebbtide.store.store import Store

app = typer.Typer(help="Where findings go: try a sink, see what waits, replay what was given up.", no_args_is_help=True)


def read_sinks(config: Path) -> dict[str, SinkSettings]:
    """The sinks of a settings file, secrets filled. Raises ConfigError."""
    return load_sinks(read_text(config), str(config), os.environ, read_secret)


@app.command("list", help="The sinks of the settings file; with a store also what waits and what was given up.")
def list_command(config: ConfigFile = DEFAULT_CONFIG, db: Db = DEFAULT_DB, as_json: Json = False) -> None:
    """One line per sink, those that are no longer configured but still hold something included."""
    sinks = read_sinks(config)
    rows = [(name, one.kind, one.target, ", ".join(one.changes), 0, 0, 0, "") for name, one in sinks.items()]
    if db.exists():
        with Store.open(db, is_new_allowed=False) as store:
            held = store.outbox.sinks()
            gone = [(name, "-", "not configured", "", 0, 0, 0, "") for name in held if name not in sinks]
            rows = [_with_state(row, store.outbox) for row in [*rows, *gone]]
    columns = ("name", "type", "target", "changes", "delivered", "waiting", "dead", "error")
    if as_json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        console.print_table(columns, rows)
    else:
        console.say(f"No sinks in {config}.")


_Line = tuple[str, str, str, str, int, int, int, str]


def _with_state(row: _Line, outbox: Outbox) -> _Line:
    state, counts = outbox.state(row[0]), outbox.counts(row[0])
    return (*row[:4], counts["delivered"], state.waiting, state.dead, state.error)


@app.command("test", help="Send a made-up finding, marked as a test, and its end where the sink wants that.")
def test_command(
    name: Annotated[str, typer.Argument(help="The sink's name.")], config: ConfigFile = DEFAULT_CONFIG
) -> None:
    """Send at once, past the outbox; what keeps it from arriving is told with its hint (exit code 4)."""
    sinks = read_sinks(config)
    if name not in sinks:
        raise NotFoundError(f"there is no sink {name!r} in {config}", hint=f"known are {', '.join(sinks) or 'none'}")
    settings = sinks[name]
    wanted = [change for change in (Change.OPENED, Change.CLOSED) if change in settings.changes]
    sink = settings.open()
    try:
        now_ns = time.time_ns()
        for change in wanted or settings.changes[:1]:
            sink.send(sample(name, now_ns, change), time.time_ns())
            console.err.print(f"{change.value}: {name} has it ({settings.kind}, {settings.target})", markup=False)
    finally:
        sink.close()


@app.command("dead", help="Deliveries that were given up, with the reason and the last error.")
def dead_command(
    sink: Annotated[str | None, typer.Option("--sink", help="Only those of this sink.")] = None,
    db: Db = DEFAULT_DB,
    as_json: Json = False,
) -> None:
    """One line per dead letter, oldest first."""
    with Store.open(db, is_new_allowed=False) as store:
        letters = store.outbox.dead(sink)
    columns = ("number", "sink", "change", "finding", "queued", "given up", "attempts", "reason", "error")
    rows = [
        (str(one.row.number), one.row.sink, one.row.change, one.row.uid, _second(one.row.queued_ns),
         _second(one.dead_ns), one.row.attempts, one.reason, one.error)
        for one in letters
    ]  # fmt: skip
    if as_json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        console.print_table(columns, rows)
    else:
        console.say("Nothing was given up.")


def _second(instant_ns: int) -> str:
    return rfc3339(instant_ns // SECOND_NS * SECOND_NS)


@app.command("replay", help="Queue what was given up again, behind what waits already.")
def replay_command(
    numbers: Annotated[list[int] | None, typer.Argument(help="Numbers from `sinks dead`; default: all.")] = None,
    sink: Annotated[str | None, typer.Option("--sink", help="Only those of this sink.")] = None,
    is_all: Annotated[bool, typer.Option("--all", help="Those of every sink.")] = False,
    db: Db = DEFAULT_DB,
) -> None:
    """Queue dead letters again; their attempts and age start anew."""
    if not numbers and sink is None and not is_all:
        raise UsageError("what is to be replayed?", hint="give numbers, --sink NAME or --all")
    with Store.open(db, is_new_allowed=False) as store:
        count = store.outbox.replay(time.time_ns(), sink, numbers or None)
    if numbers and count < len(set(numbers)):
        console.warn(f"{len(set(numbers)) - count} of the numbers are no dead letters")
    console.say(f"{count} {'delivery waits' if count == 1 else 'deliveries wait'} again.")
