"""`filters list`, `add` and `remove`: what is known to be harmless, who says so, and until when."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Db, Json, parse_span
from ebbtide.cli.remote import Remote, Server, TokenFile, in_path, in_whole_seconds, remote_of
from ebbtide.finding.filters import Filter, matchers_text, parse_matchers
from ebbtide.finding.text import rfc3339
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store
from ebbtide.triage import add_filter, remove_filter

app = typer.Typer(help="Hide findings that are known to be harmless; they are kept and marked.", no_args_is_help=True)


_EXAMPLE = """Example: ebbtide filters add backups --reason nightly --match '{process="restic",namespace="backup"}'"""


@app.command("list", help="All filters with their hits.")
def list_command(
    db: Db = DEFAULT_DB, as_json: Json = False, server: Server = None, token_file: TokenFile = None
) -> None:
    """One line per filter, those that have expired included."""
    if remote := remote_of(server, token_file):
        rows = [_row_of(one) for one in remote.get("/filters")["filters"]]
    else:
        with Store.open(db, is_new_allowed=False) as store:
            filters = store.filters.all()
        now_ns = time.time_ns()
        rows = [_row(one, now_ns) for one in filters]
    columns = ("name", "matchers", "owner", "reason", "expires", "hits", "active")
    console.print_rows(columns, rows, as_json, "No filters.")


def _row(one: Filter, now_ns: int) -> tuple[object, ...]:
    expires = "never" if one.expires_ns is None else rfc3339(one.expires_ns // SECOND_NS * SECOND_NS)
    return one.id, matchers_text(one.matchers), one.owner, one.reason, expires, one.hits, one.is_active(now_ns)


def _row_of(answer: dict[str, str | int | None]) -> tuple[object, ...]:
    expires = "never" if answer["expires"] is None else in_whole_seconds(str(answer["expires"]))
    named = [answer[name] for name in ("name", "matchers", "owner", "reason")]
    return *named, expires, answer["hits"], answer["is_active"]


@app.command("add", help="Add a filter, or replace the one of this name.", epilog=_EXAMPLE)
def add_command(
    name: Annotated[str, typer.Argument(help="Its name.")],
    match: Annotated[str, typer.Option("--match", help='Such as {namespace="kube-system",process=~"curl|wget"}.')],
    reason: Annotated[str, typer.Option(help="Why these are harmless.")],
    owner: Annotated[str, typer.Option(help="Who answers for it.", envvar="USER")],
    expires: Annotated[str, typer.Option(help="After how long it ends; `never` for never.")] = "30d",
    db: Db = DEFAULT_DB,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Keep a filter, say what it would hide of the findings there are; in a service its owner is the token's name."""
    now_ns = time.time_ns()
    ends_ns = None if expires == "never" else now_ns + parse_span(expires)
    added = Filter(name, parse_matchers(match, "--match"), owner, reason, now_ns, ends_ns)
    if remote := remote_of(server, token_file):
        covered, found = keep_in(remote, name, match, reason, expires)
    else:
        with Store.open(db, is_new_allowed=False) as store:
            covered, found = add_filter(store, added, now_ns)
    console.say(f"Filter {name} hides {covered} of {found} findings there are.")
    if covered > found / 2:
        console.warn("that is more than half of all findings: would a narrower matcher do?")


def keep_in(remote: Remote, name: str, matchers: str, reason: str, expires: str) -> tuple[int, int]:
    """Have a service keep a filter: how many findings it covers, of how many. Raises as `Remote.post`."""
    found = remote.post("/filters/preview", {"matchers": matchers})["of"]
    wanted = {"name": name, "matchers": matchers, "reason": reason, "expires": expires}
    return int(remote.post("/filters", wanted)["covered"]), int(found)


@app.command("remove", help="Remove a filter; what it hid is shown again.")
def remove_command(
    name: Annotated[str, typer.Argument(help="Its name.")],
    db: Db = DEFAULT_DB,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Forget a filter."""
    if remote := remote_of(server, token_file):
        remote.delete(f"/filters/{in_path(name)}")
    else:
        with Store.open(db, is_new_allowed=False) as store:
            remove_filter(store, name, time.time_ns())
    console.say(f"Filter {name} is gone.")
