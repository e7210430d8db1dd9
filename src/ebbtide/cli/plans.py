"""`plans add`, `list` and `remove`: changes that are announced, so that what they bring is marked."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Db, Json, parse_span, parse_time
from ebbtide.cli.remote import Server, TokenFile, in_path, in_whole_seconds, remote_of
from ebbtide.errors import UsageError
from ebbtide.finding.filters import matchers_text, parse_matchers
from ebbtide.finding.plan import Plan
from ebbtide.finding.text import rfc3339, whole_seconds
from ebbtide.store.store import Store
from ebbtide.triage import add_plan, remove_plan

app = typer.Typer(help="Planned changes: findings within them are kept and marked.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Its name.")]


@app.command("add", help="Announce a change, or replace the one of this name.")
def add_command(
    name: Name,
    match: Annotated[str, typer.Option("--match", help='Whose, such as {namespace="shop",workload="checkout"}.')],
    from_: Annotated[str, typer.Option("--from", help="When it begins, RFC 3339.")],
    to: Annotated[str, typer.Option("--to", help="When it ends, RFC 3339, or a span such as 4h.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.", envvar="USER")],
    is_masked: Annotated[bool, typer.Option("--mask/--learn", help="Whether its time is left out of baselines.")],
    db: Db = DEFAULT_DB,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Mark findings that lie wholly within it; what begins before or goes on after is told.

    In a service its owner is the token's name.
    """
    from_ns = parse_time(from_)
    try:
        to_ns = parse_time(to)
    except UsageError:
        to_ns = from_ns + parse_span(to)
    plan = Plan(name, parse_matchers(match, "--match"), from_ns, to_ns, owner, reason, is_masked)
    if remote := remote_of(server, token_file):
        wanted = {"name": name, "matchers": matchers_text(plan.matchers), "from": rfc3339(from_ns),
                  "to": rfc3339(to_ns), "reason": reason, "is_masked": is_masked}  # fmt: skip
        kept = remote.post("/plans", wanted)
        covered, found = kept["covered"], kept["of_findings"]
    else:
        with Store.open(db, is_new_allowed=False) as store:
            covered, found = add_plan(store, plan, time.time_ns())
    console.say(f"Plan {name} marks {covered} of {found} findings there are.")


@app.command("list", help="All planned changes.")
def list_command(
    db: Db = DEFAULT_DB, as_json: Json = False, server: Server = None, token_file: TokenFile = None
) -> None:
    """One line per plan, those of the past included."""
    if remote := remote_of(server, token_file):
        rows = [
            (one["name"], one["matchers"], in_whole_seconds(one["from"]), in_whole_seconds(one["to"]), one["owner"],
             one["reason"], one["is_masked"])
            for one in remote.get("/plans")["plans"]
        ]  # fmt: skip
    else:
        with Store.open(db, is_new_allowed=False) as store:
            known = store.plans.all()
        rows = [
            (one.name, matchers_text(one.matchers), whole_seconds(one.from_ns), whole_seconds(one.to_ns), one.owner,
             one.reason, one.is_masked)
            for one in known
        ]  # fmt: skip
    columns = ("name", "matchers", "from", "to", "owner", "reason", "masked")
    console.print_rows(columns, rows, as_json, "No plans.")


@app.command("remove", help="Remove a planned change; what it marked is shown again.")
def remove_command(name: Name, db: Db = DEFAULT_DB, server: Server = None, token_file: TokenFile = None) -> None:
    """Forget a plan."""
    if remote := remote_of(server, token_file):
        remote.delete(f"/plans/{in_path(name)}")
    else:
        with Store.open(db, is_new_allowed=False) as store:
            remove_plan(store, name, time.time_ns())
    console.say(f"Plan {name} is gone.")
