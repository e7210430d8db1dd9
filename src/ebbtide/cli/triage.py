"""`verdict`, `allow`, `baseline` and `plans`: what people decide, from the command line."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.filters import keep_in
from ebbtide.cli.options import DEFAULT_DB, Db, Json, parse_span, parse_time
from ebbtide.cli.remote import Server, TokenFile, in_path, remote_of
from ebbtide.errors import NotFoundError, UsageError
from ebbtide.finding.filters import Filter, matchers_text, parse_matchers
from ebbtide.finding.plan import Plan
from ebbtide.finding.text import rfc3339
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store
from ebbtide.triage import (
    add_filter,
    add_plan,
    judge,
    known_destinations,
    remove_plan,
    reset_baseline,
    undo_reset,
)

baseline = typer.Typer(help="What is taken for usual: begin anew for an entity, or see what is left out.",
                       no_args_is_help=True)  # fmt: skip
plans = typer.Typer(help="Planned changes: findings within them are kept and marked.", no_args_is_help=True)

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
    app.add_typer(baseline, name="baseline")
    app.add_typer(plans, name="plans")


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


@baseline.command("reset", help="Leave everything before an instant out of an entity's baseline.")
def reset_command(
    entity: Path_,
    reason: Reason,
    before: Annotated[str | None, typer.Option("--before", help="The instant. Default: now.")] = None,
    db: Db = DEFAULT_DB,
) -> None:
    """Begin to learn anew; until there is enough history the entity cannot be judged, and that is said."""
    before_ns = time.time_ns() if before is None else parse_time(before)
    with Store.open(db, is_new_allowed=False) as store:
        found = reset_baseline(store, entity, before_ns, reason)
    whole = rfc3339(before_ns // SECOND_NS * SECOND_NS)
    console.say(f"{len(found)} entities learn anew from {whole} on. Undo: ebbtide baseline undo {entity}")


@baseline.command("undo", help="Take the resets of an entity back.")
def undo_command(entity: Path_, db: Db = DEFAULT_DB) -> None:
    """Learn from everything there is again."""
    with Store.open(db, is_new_allowed=False) as store:
        count = undo_reset(store, entity)
    console.say(f"{count} resets are taken back.")


@baseline.command("masks", help="What is left out of baselines, and why.")
def masks_command(db: Db = DEFAULT_DB, as_json: Json = False) -> None:
    """One line per mask: resets, attacks, planned changes."""
    with Store.open(db, is_new_allowed=False) as store:
        rows = [(str(entity), _text(from_ns), _text(to_ns), why) for entity, from_ns, to_ns, why in store.masks()]
    _print(("entity", "from", "to", "reason"), rows, as_json, "Nothing is left out.")


@plans.command("add", help="Announce a change, or replace the one of this name.")
def add_command(
    name: Annotated[str, typer.Argument(help="Its name.")],
    match: Annotated[str, typer.Option("--match", help='Whose, such as {namespace="shop",workload="checkout"}.')],
    from_: Annotated[str, typer.Option("--from", help="When it begins, RFC 3339.")],
    to: Annotated[str, typer.Option("--to", help="When it ends, RFC 3339, or a span such as 4h.")],
    reason: Reason,
    owner: Owner,
    is_masked: Annotated[bool, typer.Option("--mask/--learn", help="Whether its time is left out of baselines.")],
    db: Db = DEFAULT_DB,
) -> None:
    """Mark findings that lie wholly within it; what begins before or goes on after is told."""
    from_ns = parse_time(from_)
    try:
        to_ns = parse_time(to)
    except UsageError:
        to_ns = from_ns + parse_span(to)
    plan = Plan(name, parse_matchers(match, "--match"), from_ns, to_ns, owner, reason, is_masked)
    with Store.open(db, is_new_allowed=False) as store:
        covered, found = add_plan(store, plan, time.time_ns())
    console.say(f"Plan {name} marks {covered} of {found} findings there are.")


@plans.command("list", help="All planned changes.")
def list_command(db: Db = DEFAULT_DB, as_json: Json = False) -> None:
    """One line per plan, those of the past included."""
    with Store.open(db, is_new_allowed=False) as store:
        known = store.plans.all()
    rows = [
        (one.name, matchers_text(one.matchers), _text(one.from_ns), _text(one.to_ns), one.owner, one.reason,
         one.is_masked)
        for one in known
    ]  # fmt: skip
    _print(("name", "matchers", "from", "to", "owner", "reason", "masked"), rows, as_json, "No plans.")


@plans.command("remove", help="Remove a planned change; what it marked is shown again.")
def remove_command(name: Annotated[str, typer.Argument(help="Its name.")], db: Db = DEFAULT_DB) -> None:
    """Forget a plan."""
    with Store.open(db, is_new_allowed=False) as store:
        remove_plan(store, name, time.time_ns())
    console.say(f"Plan {name} is gone.")


def _text(instant_ns: int) -> str:
    return rfc3339(instant_ns // SECOND_NS * SECOND_NS)


def _print(columns: tuple[str, ...], rows: Sequence[tuple[object, ...]], as_json: bool, nothing: str) -> None:
    if as_json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    elif rows:
        console.print_table(columns, rows)
    else:
        console.say(nothing)
