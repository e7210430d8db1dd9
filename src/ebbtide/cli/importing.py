"""`import` and `export`: files to the store, and what the store knows to files; `check` proves it sound."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Db, Json
from ebbtide.decode.formats import DECODERS
from ebbtide.decode.preset import Preset, load_preset, parse_preset
from ebbtide.decode.session import Session
from ebbtide.errors import DataError, DecodeError, UsageError
from ebbtide.finding.text import rfc3339
from ebbtide.series import Batch, Counts, joined_batches
from ebbtide.store.check import check as check_store
from ebbtide.store.store import Store

#: Samples in one commit. Below some ten thousand the commit itself costs; above, memory.
COMMIT_SAMPLES = 50_000


@dataclass(slots=True)
class Imported:
    """What became of the points of some files."""

    counts: Counts = field(default_factory=Counts)
    stored: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_object(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "received": self.counts.received,
            "stored": self.stored,
            "rejected": dict(self.counts.rejected),
            "ignored": dict(self.counts.ignored),
            "clipped": dict(self.counts.clipped),
            "dropped": dict(self.dropped),
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
        }


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("import", help=_IMPORT, epilog="Example: ebbtide import --db shop.duckdb otel.jsonl.gz")(import_command)
    app.command("check", help="Prove a store sound: every promise its tables make is asked of them.")(check_command)


_IMPORT = (
    "Read recorded metrics into a store: OTLP files of the collector's file exporter, Splunk HEC events, CSV and "
    "Parquet, plain, gzip or zstd. Reading a file twice changes nothing."
)


def import_command(
    paths: Annotated[list[Path], typer.Argument(help="Files, or directories whose files are read in order of name.")],
    db: Db = DEFAULT_DB,
    profile: Annotated[
        str, typer.Option(help="The preset that explains the source's names.")
    ] = "opentelemetry-network",
    preset_file: Annotated[
        Path | None, typer.Option("--preset", help="A preset of your own (YAML), instead of --profile.")
    ] = None,
    cluster: Annotated[str, typer.Option(help="The cluster of points that name none.")] = "default",
    format_name: Annotated[
        str | None, typer.Option("--format", help="Instead of looking: " + ", ".join(DECODERS))
    ] = None,
    unit: Annotated[str, typer.Option(help="What values are, when not bytes, packets and sockets.")] = "",
    as_json: Json = False,
) -> None:
    """Read files, keep their samples, derive the summaries, and say what became of every point."""
    preset = read_preset(preset_file, profile)
    files = list(files_in(paths))
    if preset.notice:
        console.warn(preset.notice)
    with Store.open(db) as store, console.progress_bar() as progress:
        done = import_files(
            store, files, preset, cluster=cluster, format_name=format_name, unit=unit, progress=progress
        )
        if as_json:
            console.print_json(done.as_object())
        else:
            _report(store, done, files)
    if done.failed and not done.stored:
        raise DataError(
            f"nothing could be read: {done.failed[0]}", hint="is --profile and --format what the files are?"
        )


def import_files(
    store: Store,
    files: list[Path],
    preset: Preset,
    *,
    cluster: str,
    progress: Progress,
    format_name: str | None = None,
    unit: str = "",
) -> Imported:
    """Import files into an open store in their order; a file that cannot be read is noted and the rest goes on."""
    session = Session(preset, default_cluster=cluster, readings=store.counters().items())
    origin = store.begin("import", preset.name, unit)
    done = Imported()
    began = time.perf_counter()
    for path in files:
        task = progress.add_task(path.name, total=path.stat().st_size, rate="")
        try:
            with progress.open(path, "rb", task_id=task) as file:
                reader = session.reader(file, format_name)
                for batch in joined_batches(reader, COMMIT_SAMPLES):
                    _append(store, batch, origin, done)
                    rate = done.counts.received / max(time.perf_counter() - began, 1e-9)
                    progress.update(task, rate=f"{rate:,.0f} points/s")
            for bad in reader.bad_lines:
                console.warn(f"{path}:{bad.number}: {bad.message}")
        except (DecodeError, OSError) as error:
            done.failed.append(f"{path}: {error}")
            console.warn(f"{path} could not be read to its end: {error}")
    task = progress.add_task("summaries", total=store.dirty_hours, rate="")
    store.roll_up(progress=lambda hours: progress.advance(task, hours))
    store.finish(origin, done.counts, done.dropped)
    done.seconds = time.perf_counter() - began
    return done


def _append(store: Store, batch: Batch, origin: int, done: Imported) -> None:
    appended = store.append(batch, origin)
    done.counts.add(batch.counts)
    done.stored += appended.stored
    done.dropped.update(appended.dropped)


def read_preset(preset_file: Path | None, profile: str) -> Preset:
    """A preset of the user's own, or one that ships. Raises UsageError, ConfigError, NotFoundError."""
    if preset_file is None:
        return load_preset(profile)
    try:
        return parse_preset(preset_file.read_text("utf-8"), where=str(preset_file))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the preset {preset_file}: {error}") from error


def files_in(paths: list[Path]) -> Iterator[Path]:
    """The files named, and those of directories in order of name. Raises UsageError for a path that is none."""
    for path in paths:
        if path.is_dir():
            yield from sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
        elif path.is_file():
            yield path
        else:
            raise UsageError(f"there is no file {path}", hint="give files, or a directory of files")


def _report(store: Store, done: Imported, files: list[Path]) -> None:
    counts = done.counts
    console.say(
        f"{counts.received:,} points from {len(files)} file{'s' if len(files) != 1 else ''} "
        f"in {done.seconds:.1f} s ({counts.received / max(done.seconds, 1e-9):,.0f} points/s)"
    )
    rows = [("stored", "", done.stored)]
    for name, reasons in (("dropped", done.dropped), ("rejected", counts.rejected), ("ignored", counts.ignored)):
        rows += [(name, why, many) for why, many in sorted(reasons.items())]
    rows += [("of these clipped", why, many) for why, many in sorted(counts.clipped.items())]
    console.print_table(("points", "why", "count"), rows)
    if settled := done.dropped["settled"]:
        console.warn(
            f"{settled:,} samples were left out (settled): of their hours only summaries are left, which they would "
            "replace. `ebbtide backfill files --replace-live` brings whole hours, where the files have all of them"
        )
    span = store.reading.span()
    if span is not None:
        senders = len(store.reading.senders(span[0], span[1] + 1))
        console.say(
            f"The store holds {senders:,} sending entities, {rfc3339(span[0])} to {rfc3339(span[1])}. "
            f"Next: ebbtide detect --db {store.path}"
        )
    elif counts.received:
        console.warn(
            "none of the points is ours: does --profile fit the source? `ignored` above says why each was left out"
        )


def check_command(db: Db = DEFAULT_DB, as_json: Json = False) -> None:
    """Print every broken promise; exit code 3 if there is one."""
    with Store.open(db, is_new_allowed=False) as store:
        problems = check_store(store)
        waiting = store.dirty_hours
    if as_json:
        console.print_json({"problems": [str(one) for one in problems], "hours_to_derive": waiting})
    elif not problems:
        console.say(f"{db} is sound." + (f" {waiting} hours wait to be derived." if waiting else ""))
    if problems:
        raise DataError(
            f"{db} breaks {len(problems)} promises: " + "; ".join(map(str, problems)),
            hint="keep a copy, then import again",
        )
