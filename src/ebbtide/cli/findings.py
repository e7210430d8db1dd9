"""`findings`, `explain` and `export`: what was found, one of them in full, and tables for other tools."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import typer

from ebbtide.achieved import Achieved, achieved
from ebbtide.cli import console
from ebbtide.cli.options import DEFAULT_DB, Csv, Db, Directory, Json, load_catalogue
from ebbtide.cli.remote import Server, TokenFile, in_path, remote_of
from ebbtide.cli.settings import Configured, configured_detections
from ebbtide.errors import NotFoundError, UsageError
from ebbtide.finding.evidence import repeat
from ebbtide.finding.explain import explain
from ebbtide.finding.finding import HELD_BACK, Finding
from ebbtide.finding.form import from_json, to_json, to_object
from ebbtide.finding.text import rfc3339
from ebbtide.registry import load_detectors
from ebbtide.store.store import Store
from ebbtide.triage import refilter

_COLUMNS = (
    "uid",
    "opened",
    "detection",
    "risk",
    "cluster",
    "namespace",
    "workload",
    "process",
    "count",
    "headline",
    "hidden_by",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("findings", help="List the findings kept in the store.")(findings_command)
    app.command("explain", help="Tell one finding in full, and prove it from its evidence.",
                epilog="Example: ebbtide explain 3f2a (the first letters of its uid)")(explain_command)  # fmt: skip
    app.command("export", help="Write a table of the store as Parquet, CSV or JSON lines.",
                epilog="Example: ebbtide export hours --to hours.parquet")(export_command)  # fmt: skip


def finding_rows(found: Iterable[Finding]) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """Findings as columns and rows, for CSV."""
    rows: list[tuple[object, ...]] = [
        (one.uid, rfc3339(one.opened_ns), one.detection_id, one.risk.score, one.entity.cluster, one.entity.namespace,
         one.entity.workload, one.entity.process, one.count, one.headline, " ".join(one.hidden_by))
        for one in found
    ]  # fmt: skip
    return _COLUMNS, rows


def print_findings(found: list[Finding], *, is_all: bool = False) -> None:
    """Findings for people, the riskiest first; hidden ones only counted unless all are wanted."""
    shown = [one for one in found if is_all or not one.is_hidden]
    shown.sort(key=lambda one: (-one.risk.score, one.opened_ns))
    if shown:
        for one in shown:
            console.say(f"{one.uid[:8]}  {rfc3339(one.opened_ns)}  risk {one.risk.score:g}  {one.detection_id}")
            console.say(
                f"          {one.headline}" + (f" [hidden by {', '.join(one.hidden_by)}]" if one.is_hidden else "")
            )
        console.say(f"Next: ebbtide explain {shown[0].uid[:8]}")
    else:
        console.say("No findings." if not found else "No findings that no filter hides.")
    held = sum(HELD_BACK in one.hidden_by for one in found) if not is_all else 0
    if hidden := len(found) - len(shown) - held:
        console.say(f"{hidden} hidden by filters; see them with: ebbtide findings --all")
    if held:
        console.say(f"{held} held back by the daily cap of their entity; see them with: ebbtide findings --all")


def findings_command(
    db: Db = DEFAULT_DB,
    is_all: Annotated[bool, typer.Option("--all", help="Also those that a filter hides.")] = False,
    is_budget: Annotated[
        bool, typer.Option("--budget", help="Instead: what was told in 30 days against the budget, by detection.")
    ] = False,
    as_json: Json = False,
    as_csv: Csv = False,
    server: Server = None,
    token_file: TokenFile = None,
    config: Configured = None,
) -> None:
    """List findings with the filters of today applied, or what was told against the budget."""
    remote = remote_of(server, token_file)
    if is_budget:
        _tell_budget(remote.budget() if remote else spent_of(db, config), as_json=as_json)
        return
    if remote:
        found = remote.findings()
    else:
        with Store.open(db, is_new_allowed=False) as store:
            found = refilter(store, time.time_ns())
    if as_json:
        console.print_json([to_object(one) for one in found if is_all or not one.is_hidden])
    elif as_csv:
        console.print_csv(*finding_rows(one for one in found if is_all or not one.is_hidden))
    else:
        print_findings(found, is_all=is_all)


def _tell_budget(spent: list[Achieved], *, as_json: bool) -> None:
    """What each detection told in the last 30 days, against its budget."""
    if as_json:
        console.print_json(
            [dataclasses.asdict(one) | {"effective": one.effective, "is_over": one.is_over} for one in spent]
        )
        return
    for one in spent:
        console.say(_spent_text(one))


def _spent_text(one: Achieved) -> str:
    """One line: what was told, at which rates, and what is accepted."""
    told = f"{one.detection}: {one.findings} in {one.days:.0f} days"
    if one.held_back or one.hidden:
        told += f" ({one.held_back} held back, {one.hidden} hidden)"
    a_day = f"{one.a_day:.2f} a day" + ("" if one.budget_a_day is None else f" of {one.budget_a_day:g}")
    rate = f"{one.per_1000:.2f} per 1000 entity-days" + ("" if one.effective is None else f" of {one.effective:.4g}")
    return f"{told}: {a_day}, {rate}{': OVER THE BUDGET' if one.is_over else ''}"


def spent_of(db: Path, config: Path | None) -> list[Achieved]:
    """What the detections that run told in the last 30 days of a store, against their budgets.

    Which run, and what is accepted, a settings file says; None: those that run by default, as they ship.
    """
    detections = configured_detections(config)
    with Store.open(db, is_new_allowed=False) as store:
        span = store.reading.span()
        until_ns = span[1] if span else max((one.finding.at_ns for one in store.findings.all()), default=0)
        return achieved(store, detections, until_ns)


def explain_command(
    uid: Annotated[str, typer.Argument(help="The uid of a finding, or its first letters.")],
    db: Db = DEFAULT_DB,
    directory: Directory = None,
    as_json: Json = False,
    server: Server = None,
    token_file: TokenFile = None,
) -> None:
    """Print a finding with everything known about it, and evaluate its evidence again."""
    lines: list[str] | None = None
    if remote := remote_of(server, token_file):
        answer = remote.get(f"/findings/{in_path(uid)}")
        finding, lines = from_json(json.dumps(answer["finding"])), list(answer["explanation"])
    else:
        finding = _the_finding(db, uid)
    if as_json:
        console.print_json(to_object(finding))
        return
    if lines is None:
        lines = explain(finding, load_catalogue(directory).detections.get(finding.detection_id))
    for line in lines:
        console.say(line)
    console.say()
    verdict = repeat(finding.evidence, load_detectors()[finding.evidence.detector])
    if verdict.agrees:
        console.say(f"Repeated from the evidence alone: {verdict.count} hits, the same verdict.")
    else:
        console.warn("the evidence does not repeat the verdict: " + "; ".join(verdict.differences))


def _the_finding(db: Path, uid: str) -> Finding:
    with Store.open(db, is_new_allowed=False) as store:
        known = store.findings.find(uid)
    if len(known) != 1:
        which = "no finding" if not known else f"{len(known)} findings"
        raise NotFoundError(f"{which} whose uid begins with {uid!r}", hint="list them with: ebbtide findings --all")
    return known[0].finding


class Table(StrEnum):
    """What can be exported."""

    FINDINGS = "findings"
    ENTITIES = "entities"
    HOURS = "hours"
    DAYS = "days"
    EDGES = "edges"
    SAMPLES = "samples"


def export_command(
    what: Annotated[Table, typer.Argument(help="The table.")],
    to: Annotated[Path, typer.Option("--to", help="A file; its ending says how: .parquet, .csv or .jsonl.")],
    db: Db = DEFAULT_DB,
) -> None:
    """Write a table with names in place of numbers."""
    with Store.open(db, is_new_allowed=False) as store:
        is_table = what is not Table.FINDINGS
        rows = _write(store.export(what.value), to) if is_table else _export_findings(store, to)
    sys.stderr.write(f"{rows:,} rows written to {to}\n")


def _export_findings(store: Store, to: Path) -> int:
    found = [one.finding for one in store.findings.all()]
    if to.suffix == ".jsonl":
        to.write_text("".join(to_json(one) + "\n" for one in found), "ascii")
        return len(found)
    columns, rows = finding_rows(found)
    cells = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    table = pa.table({name: pa.array(list(column)) for name, column in zip(columns, cells, strict=True)})
    return _write(iter([table]), to)


def _write(tables: Iterable[pa.Table], to: Path) -> int:
    rows = 0
    parts = iter(tables)
    first = next(parts)
    if to.suffix == ".parquet":
        with pyarrow.parquet.ParquetWriter(to, first.schema, compression="zstd") as parquet:
            for part in (first, *parts):
                parquet.write_table(part)
                rows += len(part)
    elif to.suffix == ".csv":
        with to.open("wb") as file, pyarrow.csv.CSVWriter(file, first.schema) as writer:
            for part in (first, *parts):
                writer.write_table(_without_formulas(part))
                rows += len(part)
    elif to.suffix == ".jsonl":
        with to.open("w", encoding="utf-8") as lines:
            for part in (first, *parts):
                for row in part.to_pylist():
                    lines.write(console.json_line(row))
                rows += len(part)
    else:
        raise UsageError(f"cannot tell how to write {to}", hint="end the file's name in .parquet, .csv or .jsonl")
    return rows


def _without_formulas(table: pa.Table) -> pa.Table:
    for at, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            safe = pa.array([console.safe_cell(cell) for cell in table.column(at).to_pylist()], pa.string())
            table = table.set_column(at, field, safe)
    return table
