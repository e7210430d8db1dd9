"""`health`: how a service fares, or what a file tells of its sources; what an operator should know stands first."""

from __future__ import annotations

import re
from pathlib import Path

import typer

from ebbtide.cli import console
from ebbtide.cli.findings import spent_of
from ebbtide.cli.options import DEFAULT_DB, Db, Json
from ebbtide.cli.remote import Server, TokenFile, in_whole_seconds, remote_of
from ebbtide.cli.settings import Configured
from ebbtide.errors import ServiceError
from ebbtide.health import Health
from ebbtide.store.store import Store

_SOURCES = ("cluster", "state", "newest", "watermark", "interval_s", "gap_minutes", "skew_s", "entities")
_DETECTIONS = ("detection", "judged_until", "took_s", "entities", "scored", "findings", "error")
_PORTS = ("kind", "address", "preset", "cluster", "is_encrypted", "senders")
#: Tables have whole seconds, JSON has every digit.
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d+Z")
_SINKS = ("name", "kind", "delivered", "waiting", "dead", "heartbeat", "error")

_TABLES = (("sources", _SOURCES), ("ports", _PORTS), ("detections", _DETECTIONS), ("sinks", _SINKS))


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("health", help="How a service fares (exit code 4 where it is not ready), or what a file tells.",
                epilog="Example: ebbtide health --server http://127.0.0.1:8765")(health_command)  # fmt: skip


def health_command(
    db: Db = DEFAULT_DB,
    as_json: Json = False,
    server: Server = None,
    token_file: TokenFile = None,
    config: Configured = None,
) -> None:
    """Problems, sources, detections, sinks, and what became of the points."""
    if remote := remote_of(server, token_file):
        told: dict[str, object] = remote.get("/health")
    else:
        told = _of_file(db, config)
    if as_json:
        console.print_json(told)
    else:
        _print(told)
    if not told["is_ready"]:
        raise ServiceError("it is not ready", hint="the problems above say why")


def _of_file(db: Path, config: Path | None) -> dict[str, object]:
    # The pages' models are imported here: other commands start faster without them.
    from ebbtide.web.answers import HealthAnswer
    from ebbtide.web.offline import health_of

    with Store.open(db, is_new_allowed=False) as store:
        health: Health = health_of(store)
    return HealthAnswer.of(health, spent_of(db, config)).model_dump(mode="json")


def _print(told: dict[str, object]) -> None:
    console.say(f"As of {told['at']}: {'ready' if told['is_ready'] else 'not ready'}.")
    for one in _records(told["problems"]):
        console.say(
            f"{one['severity']}: {one['text']} ({one['hint']})" if one["hint"] else f"{one['severity']}: {one['text']}"
        )
    for name, columns in _TABLES:
        rows = [[_cell(one.get(column)) for column in columns] for one in _records(told[name])]
        if rows:
            console.say()
            console.print_table(columns, rows, title=name)
    counts = told["received"]
    if isinstance(counts, dict) and counts:
        console.say()
        console.print_table(("points", "count"), sorted(counts.items()), title="received")


def _records(found: object) -> list[dict[str, object]]:
    return [dict(one) for one in found] if isinstance(found, list) else []


def _cell(value: object) -> object:
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return in_whole_seconds(value)
    return "-" if value is None or value == "" else value
