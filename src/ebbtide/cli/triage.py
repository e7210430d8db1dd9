"""`verdict` and `allow`: what people decide about findings, from the command line."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.filters import keep_in
from ebbtide.cli.options import DEFAULT_DB, Db, parse_span
from ebbtide.cli.remote import Server, TokenFile, in_path, remote_of
from ebbtide.errors import NotFoundError
from ebbtide.finding.filters import Filter, matchers_text
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.store.store import Store
from ebbtide.triage import (
    add_filter,
    judge,
    known_destinations,
)

_VERDICT = "Decide about a finding: an `attack` is not learned from."
_ALLOW = "Hide a workload's findings as long as all it sends goes to known destinations."
_ALLOW_EXAMPLE = "Example: ebbtide allow prod/shop/backup --to s3.example.com --reason nightly"

Owner = Annotated[str, typer.Option(help="Who answers for it.", envvar="USER")]
Reason = Annotated[str, typer.Option(help="Why.")]
Path_ = Annotated[str, typer.Argument(help="cluster/namespace/workload, or with /process behind.", metavar="ENTITY")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("verdict", help=_VERDICT, epilog="Example: ebbtide verdict 3f2a attack")(verdict_command)
    app.command("allow", help=_ALLOW, epilog=_ALLOW_EXAMPLE)(allow_command)


def verdict_command(
    uid: Annotated[str, typer.Argument(help="The uid of a finding, or its first letters.")],
    verdict: Annotated[Verdict, typer.Argument(help="What it turned out to be.")],
    note: Annotated[str, typer.Option(help="What led to it.")] = "",
    author: Owner = "unknown",
    db: Db = DEFAULT_DB,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Keep a verdict, in place of an earlier one; of a service's finding it is that of the token's name."""
    learned = "is not learned from" if verdict.masks else "is learned from"
    if remote := remote_of(server, token_file):
        remote.post(f"/findings/{in_path(uid)}/verdict", {"verdict": verdict.value, "note": note})
        console.say(f"{uid[:8]} is {verdict.value}: its time {learned}.")
        return
    with Store.open(db, is_new_allowed=False) as store:
        known = store.findings.find(uid)
        if len(known) != 1:
            which = "no finding" if not known else f"{len(known)} findings"
            raise NotFoundError(f"{which} whose uid begins with {uid!r}", hint="list them with: ebbtide findings --all")
        finding = judge(store, Judgement(known[0].finding.uid, verdict, author, note, time.time_ns()))
    console.say(f"{finding.uid[:8]} is {verdict.value}: its time {learned}.")


def allow_command(
    entity: Path_,
    to: Annotated[list[str], typer.Option("--to", help="A destination's name; may be given several times.")],
    reason: Reason,
    owner: Owner,
    name: Annotated[str | None, typer.Option("--name", help="The filter's name. Default: made of the entity.")] = None,
    expires: Annotated[str, typer.Option(help="After how long it ends; `never` for never.")] = "90d",
    db: Db = DEFAULT_DB,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Add a filter on destinations; a single byte to any other brings the finding back.

    In a service its owner is the token's name.
    """
    now_ns = time.time_ns()
    ends_ns = None if expires == "never" else now_ns + parse_span(expires)
    called = name or f"known-{entity.replace('/', '-')}"
    added = Filter(called, known_destinations(entity, to), owner, reason, now_ns, ends_ns)
    if remote := remote_of(server, token_file):
        covered, found = keep_in(remote, called, matchers_text(added.matchers), reason, expires)
    else:
        with Store.open(db, is_new_allowed=False) as store:
            covered, found = add_filter(store, added, now_ns)
    console.say(f"Filter {called} hides {covered} of {found} findings there are.")
