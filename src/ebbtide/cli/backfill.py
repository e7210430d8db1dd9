"""`backfill`: the past from a metrics server or from files."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from rich.progress import Progress

from ebbtide.backfill.peer import Peer
from ebbtide.backfill.prometheus import find_source
from ebbtide.backfill.run import Backfilled, backfill_files, backfill_hours, hours_between
from ebbtide.cli import console
from ebbtide.cli.importing import files_in, read_preset
from ebbtide.cli.options import DEFAULT_DB, Db, Json, parse_span, parse_time
from ebbtide.decode.formats import DECODERS
from ebbtide.decode.session import Session
from ebbtide.deliver.secret import read_secret
from ebbtide.errors import DataError, UsageError
from ebbtide.store.store import Store

TOKEN_VARIABLE = "EBBTIDE_BACKFILL_TOKEN"  # noqa: S105 the name of a variable

app = typer.Typer(
    help="Bring the past into a store: whole hours, each replaced and never added to, live ones left alone.",
    no_args_is_help=True,
)

Profile = Annotated[str, typer.Option(help="The preset that explains the source's names.")]
PresetFile = Annotated[Path | None, typer.Option("--preset", help="A preset of your own (YAML), instead of --profile.")]
Cluster = Annotated[str, typer.Option(help="The cluster of points that name none.")]
ReplaceLive = Annotated[
    bool, typer.Option("--replace-live", help="Also replace what came live, by import or by another backfill.")
]


def register(parent: typer.Typer) -> None:
    """Add the commands."""
    parent.add_typer(app, name="backfill")


@app.command("prometheus", epilog="Example: ebbtide backfill prometheus http://prometheus:9090 --profile coroot")
def prometheus_command(
    url: Annotated[str, typer.Argument(help="The server's address, up to before /api/v1.")],
    profile: Profile,
    db: Db = DEFAULT_DB,
    start: Annotated[str, typer.Option("--from", help="A time, or a duration back from now.")] = "30d",
    end: Annotated[str | None, typer.Option("--to", help="A time, or a duration back from now. Default: now.")] = None,
    match: Annotated[
        list[str] | None, typer.Option("--match", help="A label matcher, such as 'namespace=\"shop\"'; several narrow.")
    ] = None,
    step: Annotated[
        str | None, typer.Option(help="Read counters at this step instead of every sample: less to read, coarser.")
    ] = None,
    preset_file: PresetFile = None,
    cluster: Cluster = "default",
    replace_live: ReplaceLive = False,
    again: Annotated[bool, typer.Option(help="Also bring the hours an earlier run has brought.")] = False,
    token_file: Annotated[
        Path | None, typer.Option(help=f"A file with a bearer token; or set {TOKEN_VARIABLE}.")
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="Certificates to trust (PEM), instead of the system's.")] = None,
    allow_plaintext: Annotated[bool, typer.Option(help="Let the token travel over http://.")] = False,
    timeout: Annotated[str, typer.Option(help="The most one request may take.")] = "2m",
    as_json: Json = False,
) -> None:
    """Read a Prometheus or VictoriaMetrics hour by hour; stopped and run again, it goes on where it was."""
    preset = read_preset(preset_file, profile)
    now_ns = time.time_ns()
    hours = hours_between(_instant(start, now_ns), now_ns if end is None else _instant(end, now_ns), now_ns)
    peer = Peer.of(
        url, token=_token(token_file), is_plaintext_allowed=allow_plaintext, ca=ca, timeout_s=parse_span(timeout) / 1e9
    )
    matchers = sorted(match or [])
    source = find_source(peer, preset, matchers, None if step is None else parse_span(step))
    if preset.notice:
        console.warn(preset.notice)
    name = " ".join(["prometheus", peer.url, preset.name, cluster, *matchers])
    with Store.open(db) as store, console.progress_bar() as progress:
        task = progress.add_task("hours", total=len(hours), rate="")
        derived = progress.add_task("summaries", total=len(hours), rate="")
        done = backfill_hours(
            store,
            Session(preset, default_cluster=cluster),
            source,
            name,
            hours,
            is_again=again,
            is_live_replaced=replace_live,
            progress=lambda some: progress.advance(task, some),
            summaries=lambda some: progress.advance(derived, some),
        )
        _tell(store, done, as_json, now_ns)


@app.command("files", epilog="Example: ebbtide backfill files otel/ --db shop.duckdb")
def files_command(
    paths: Annotated[list[Path], typer.Argument(help="Files, or directories whose files are read in order of name.")],
    db: Db = DEFAULT_DB,
    profile: Profile = "opentelemetry-network",
    preset_file: PresetFile = None,
    cluster: Cluster = "default",
    source: Annotated[
        str, typer.Option(help="The name of the source: hours of the same source are replaced.")
    ] = "files",
    format_name: Annotated[
        str | None, typer.Option("--format", help="Instead of looking: " + ", ".join(DECODERS))
    ] = None,
    replace_live: ReplaceLive = False,
    as_json: Json = False,
) -> None:
    """Read files of the collector's file exporter, Splunk HEC events, CSV and Parquet; give all of an hour at once."""
    preset = read_preset(preset_file, profile)
    files = list(files_in(paths))
    if preset.notice:
        console.warn(preset.notice)
    with Store.open(db) as store, console.progress_bar() as progress:
        done = backfill_files(
            store,
            Session(preset, default_cluster=cluster),
            files,
            " ".join(["files", source, preset.name, cluster]),
            format_name=format_name,
            is_live_replaced=replace_live,
            opened=lambda path: _opened(progress, path),
            bad_line=lambda path, line: console.warn(f"{path}:{line.number}: {line.message}"),
        )
        for one in done.failed:
            console.warn(f"could not be read to its end: {one}")
        _tell(store, done, as_json, time.time_ns())
    if done.failed and not done.stored:
        raise DataError(
            f"nothing could be read: {done.failed[0]}", hint="is --profile and --format what the files are?"
        )


def _opened(progress: Progress, path: Path) -> BinaryIO:
    task = progress.add_task(path.name, total=path.stat().st_size, rate="")
    return progress.open(path, "rb", task_id=task)


def _instant(text: str, now_ns: int) -> int:
    """`30d` is a duration back from now, everything else a time."""
    if text[-1:] in "smhdw" and text[:-1].isdigit():
        return now_ns - parse_span(text)
    return parse_time(text)


def _token(path: Path | None) -> str:
    if path is None:
        return os.environ.get(TOKEN_VARIABLE, "")
    try:
        return read_secret(str(path)).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the token in {path}: {error}") from None


def _tell(store: Store, done: Backfilled, as_json: bool, now_ns: int) -> None:
    learned = store.learning(now_ns)
    states = {state: sum(one.state == state for one in learned) for state in ("mature", "young", "not_yet")}
    if as_json:
        console.print_json({**done.as_object(), "entities": states})
        return
    before = f", {done.skipped:,} were done before" if done.skipped else ""
    console.say(f"{done.hours:,} hours in {done.seconds:.1f} s{before}; {done.counts.received:,} points")
    rows = [("stored", "", done.stored), ("of these first readings of a counter", "", done.firsts)]
    rows += [("replaced", "", done.removed)] if done.removed else []
    reasons = (("dropped", done.dropped), ("rejected", done.counts.rejected), ("ignored", done.counts.ignored))
    for name, why in (*reasons, ("of these clipped", done.counts.clipped)):
        rows += [(name, reason, many) for reason, many in sorted(why.items())]
    console.print_table(("points", "why", "count"), rows)
    if done.dropped["kept_live"] or done.dropped["kept_backfill"]:
        console.say("Hours that others have brought were left alone; --replace-live would replace them.")
    if not done.stored and not done.skipped:
        console.warn("nothing was stored: does --profile fit the source, and does it have data from --from on?")
    console.say(
        f"Of {len(learned):,} entities {states['mature']:,} are mature, {states['young']:,} young, "
        f"{states['not_yet']:,} not judged yet. Next: ebbtide learning --db {store.path}"
    )
