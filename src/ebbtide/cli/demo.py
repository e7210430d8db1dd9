"""`demo`: the shipped recording, two detections side by side, and a page with a chart for every finding."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from ebbtide import recording
from ebbtide.cli import console
from ebbtide.cli.options import chosen, load_catalogue
from ebbtide.cli.ui import DEFAULT_PORT, Port, serve
from ebbtide.demo import Comparison, beside_labels, fill, labelled_span, submit
from ebbtide.demo_attacks import ATTACKS, Outcome, judge, plant
from ebbtide.demo_report import build
from ebbtide.detect.detection import Detection
from ebbtide.engine import Evaluation
from ebbtide.errors import UsageError
from ebbtide.finding.text import rfc3339
from ebbtide.report.render import render
from ebbtide.series import MINUTE_NS
from ebbtide.store.store import Store


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo", help=_DEMO, epilog="Example: ebbtide demo --out out")(demo_command)


_DEMO = (
    "Judge a recording of four servers that ships with the package, print the findings beside the labelled incidents, "
    "and write report.html. Needs no network and no cluster."
)


def demo_command(
    out: Annotated[Path, typer.Option(help="A directory for report.html and demo.duckdb.")] = Path("out"),
    is_served: Annotated[bool, typer.Option("--serve", help="Then show it all in the browser, until Ctrl-C.")] = False,
    is_live: Annotated[
        bool, typer.Option("--live", help="Instead: meter this machine, and find a burst sent between two namespaces.")
    ] = False,
    port: Port = DEFAULT_PORT,
) -> None:
    """Import, judge, compare, report; serve the pages on it if asked to. Or all that live, on this machine."""
    if is_live:
        from ebbtide.cli.demo_live import show_live  # needs the packages of the service

        show_live(out, port)
        return
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    db, page = out / "demo.duckdb", out / "report.html"
    _remove(db)
    detections = chosen(load_catalogue(None), None)
    with _processes() as pool, tempfile.TemporaryDirectory(prefix="ebbtide-demo-") as work:
        clean, planted = Path(work) / "clean.duckdb", Path(work) / "planted.duckdb"
        with Store.open(db) as store, console.progress_bar() as progress:
            task = progress.add_task("importing", total=len(recording.machines()), rate="")
            stored = fill(store, lambda machine: progress.update(task, advance=1, rate=machine))
        took = time.perf_counter() - began
        console.say(f"Imported {stored:,} samples of {len(recording.machines())} servers, 33 days, in {took:.1f} s.")
        shutil.copyfile(db, clean)
        parts = [submit(pool, clean, detection) for detection in detections]
        plant(clean, planted)
        attacks = [pool.submit(judge, clean, planted, attack, detections) for attack in ATTACKS]
        with console.progress_bar() as progress:
            comparisons = [
                _compared(progress, detection, part) for detection, part in zip(detections, parts, strict=True)
            ]
        with Store.open(db) as store:
            for episode in [one for each in comparisons for one in each.backtest.episodes.values()]:
                store.findings.save(episode)
            page.write_text(render(build(store, comparisons, "ebbtide demo")), "utf-8")
        _print(comparisons)
        _print_attacks(attacks, detections)
    console.say(f"Report: {page} (open it in a browser). Store: {db}. Took {time.perf_counter() - began:.1f} s.")
    examples = [one.finding for each in comparisons for one in each.backtest.episodes.values()]
    if examples:
        console.say(f"Next: ebbtide explain --db {db} {examples[-1].uid[:8]}")
    if is_served:
        with Store.open(db) as store:
            serve(store, port)


@contextmanager
def _processes() -> Iterator[Executor]:
    """Two processes to judge in; what they have not begun when this one gives up is dropped."""
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _compared(progress: Progress, detection: Detection, parts: list[Future[list[Evaluation]]]) -> Comparison:
    task = progress.add_task(detection.id, rate="")
    evaluations = chain.from_iterable(part.result() for part in parts)
    return beside_labels(detection, evaluations, lambda done, of: progress.update(task, completed=done, total=of))


def _print(comparisons: list[Comparison]) -> None:
    first, last = labelled_span()
    console.say(f"Judged hourly from {rfc3339(first)} to {rfc3339(last)}. Values are {recording.UNIT}, never bytes.")
    console.say()
    names = [one.backtest.detection.short_name for one in comparisons]
    rows = [
        _incident(incident, ["missed" if one.found_by[at] is None else "found" for one in comparisons])
        for at, incident in enumerate(recording.incidents())
        if incident.is_outbound
    ]
    title = "Labelled incidents with an outbound network metric"
    console.print_table(("incident on", "at", "minutes", *names), rows, title=title)
    console.say()
    console.print_table(
        ("detection", "findings", "found", "missed", "extra", "others found", "judged", "not judged"),
        [_totals(one) for one in comparisons],
    )
    console.say("Others found: labelled incidents without an outbound metric. Extra: findings without a label.")
    console.say("The labels are operations incidents, not attacks.")


def _print_attacks(attacks: list[Future[list[Outcome]]], detections: list[Detection]) -> None:
    """Which detection finds which of the attacks planted into a copy of the store."""
    with console.progress_bar() as progress:
        task = progress.add_task("planted attacks", total=len(ATTACKS), rate="")
        outcomes = []
        for attack in attacks:
            outcomes += attack.result()
            progress.update(task, advance=1)
    rows = [
        (attack.machine, rfc3339(attack.start_ns), attack.words,
         *(_outcome(one) for one in outcomes if one.attack == attack))
        for attack in ATTACKS
    ]  # fmt: skip
    console.say()
    names = [one.short_name for one in detections]
    console.print_table(
        ("attack on", "at", "sends", *names), rows, title="Attacks planted into a copy of the recording"
    )
    console.say("Sent to an address never seen before, with 3 % of it coming back; looked at every 15 minutes.")
    console.say("`fires anyway`: something is said about these hours without the attack too, so it does not count.")
    console.say()


def _outcome(one: Outcome) -> str:
    if one.was_firing:
        return "fires anyway"
    return "missed" if one.after_ns is None else f"found, {one.after_ns // MINUTE_NS} min"


def _incident(one: recording.Incident, verdicts: list[str]) -> tuple[object, ...]:
    return one.machine, rfc3339(one.start_ns), (one.end_ns - one.start_ns) // MINUTE_NS, *verdicts


def _totals(one: Comparison) -> tuple[object, ...]:
    found, labelled = one.count(is_outbound=True)
    others = "{} of {}".format(*one.count(is_outbound=False))
    run = one.backtest
    unscored = ", ".join(f"{many:,} {why}" for why, many in sorted(run.unscored.items())) or "-"
    findings = len(run.episodes)
    return run.detection.short_name, findings, found, labelled - found, len(one.extra), others, run.scored, unscored


def _remove(db: Path) -> None:
    """Start anew, but never delete what the demonstration did not make."""
    for path in (db, db.with_name(db.name + ".wal")):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(f"cannot replace {path}: {error.strerror}", hint="give another --out DIRECTORY") from error
