"""`learning` and `baseline`: how far each process is known, and what is left out of what is taken for usual."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Csv, Db, Json, parse_time
from ebbtide.cli.remote import Remote, Server, TokenFile, entity_of, in_whole_seconds, remote_of
from ebbtide.finding.text import rfc3339, whole_seconds
from ebbtide.store.store import Store
from ebbtide.triage import reset_baseline, undo_reset

app = typer.Typer(help="What is taken for usual: begin anew for an entity, or see what is left out.",
                  no_args_is_help=True)  # fmt: skip

_LEARNING = "How far each process is learned, and what the default detection can say of it."

EntityPath = Annotated[
    str, typer.Argument(help="cluster/namespace/workload, or with /process behind.", metavar="ENTITY")
]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.command("learning", help=_LEARNING)(learning_command)
    parent.add_typer(app, name="baseline")


def learning_command(
    db: Db = DEFAULT_DB,
    at: Annotated[str | None, typer.Option(help="As of this time. Default: now, or the end of a recording.")] = None,
    limit: Annotated[int, typer.Option(help="Rows of the table; JSON and CSV have all.", min=1)] = 50,
    as_json: Json = False,
    as_csv: Csv = False,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """One row per entity: days known, first seen, mature, young or not yet, and how much of 30 days was covered."""
    at_ns = None if at is None else parse_time(at)
    if remote := remote_of(server, token_file):
        rows = _learned_there(remote, at_ns)
    else:
        with Store.open(db, is_new_allowed=False) as store:
            learned = store.learning(store.reading.horizon(time.time_ns()) if at_ns is None else at_ns)
        rows = [_row(str(one.entity), one.state, one.days, rfc3339(one.first_ns), one.covered) for one in learned]
    columns = ("entity", "state", "days", "first_seen", "covered_percent")
    if as_json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif as_csv:
        console.print_csv(columns, rows)
    elif not rows:
        console.say("No entities yet: what arrives is learned from after its hour.")
    else:
        console.print_table(columns, sorted(rows, key=lambda row: row[2])[:limit])
        if len(rows) > limit:
            console.say(f"{len(rows) - limit:,} more, with as many days or more; --limit, --json or --csv show them.")


Row = tuple[str, str, int, str, float]


def _learned_there(remote: Remote, at_ns: int | None) -> list[Row]:
    asked = {} if at_ns is None else {"at": rfc3339(at_ns)}
    return [
        _row(str(entity_of(one["entity"])), one["state"], one["days"], one["first"], one["covered"])
        for one in remote.rows("/learning", "entities", asked, is_long=True)
    ]


def _row(entity: str, state: str, days: int, first: str, covered: float) -> Row:
    return entity, state, days, first, round(100 * covered, 1)


@app.command("reset", help="Leave everything before an instant out of an entity's baseline.")
def reset_command(
    entity: EntityPath,
    reason: Annotated[str, typer.Option(help="Why.")],
    before: Annotated[str | None, typer.Option("--before", help="The instant. Default: now.")] = None,
    db: Db = DEFAULT_DB,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Begin to learn anew; until there is enough history the entity cannot be judged, and that is said."""
    before_ns = None if before is None else parse_time(before)
    if remote := remote_of(server, token_file):
        wanted = {"entity": entity, "reason": reason, "before": None if before_ns is None else rfc3339(before_ns)}
        kept = remote.post("/baseline/resets", wanted)
        count, whole = len(kept["entities"]), in_whole_seconds(kept["before"])
    else:
        before_ns = time.time_ns() if before_ns is None else before_ns
        with Store.open(db, is_new_allowed=False) as store:
            count = len(reset_baseline(store, entity, before_ns, reason))
        whole = whole_seconds(before_ns)
    console.say(f"{count} entities learn anew from {whole} on. Undo: ebbtide baseline undo {entity}")


@app.command("undo", help="Take the resets of an entity back.")
def undo_command(entity: EntityPath, db: Db = DEFAULT_DB, server: Server = None, token_file: TokenFile = None) -> None:
    """Learn from everything there is again."""
    if remote := remote_of(server, token_file):
        count = remote.delete("/baseline/resets", {"entity": entity})["resets"]
    else:
        with Store.open(db, is_new_allowed=False) as store:
            count = undo_reset(store, entity)
    console.say(f"{count} resets are taken back.")


@app.command("masks", help="What is left out of baselines, and why.")
def masks_command(
    db: Db = DEFAULT_DB, as_json: Json = False, server: Server = None, token_file: TokenFile = None
) -> None:
    """One line per mask: resets, attacks, planned changes."""
    rows: list[tuple[str, str, str, str]]
    if remote := remote_of(server, token_file):
        rows = [
            (str(entity_of(one["entity"])), in_whole_seconds(one["from"]), in_whole_seconds(one["to"]), one["reason"])
            for one in remote.rows("/baseline/masks", "masks")
        ]
    else:
        with Store.open(db, is_new_allowed=False) as store:
            masks = store.masks()
        rows = [
            (str(entity), whole_seconds(from_ns), whole_seconds(to_ns), why) for entity, from_ns, to_ns, why in masks
        ]
    console.print_rows(("entity", "from", "to", "reason"), rows, as_json, "Nothing is left out.")
