"""`simulate` and `evaluate`: a cluster made up, and detections judged on it or on recorded data."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from ebbtide.backtest import replay
from ebbtide.cli import console
from ebbtide.cli.options import Directory, Ids, Json, chosen, load_catalogue, parse_span, parse_time
from ebbtide.errors import UsageError
from ebbtide.finding.text import rfc3339
from ebbtide.lab.cluster_figures import DetectionFigures, figures, to_json
from ebbtide.lab.cluster_ground import ground_of_simulation
from ebbtide.lab.cluster_inject import Injection, Plot, plant_round
from ebbtide.lab.cluster_negatives import NEGATIVES, choose_negatives
from ebbtide.lab.cluster_page import interval_text, mb_text, minutes_text, number_text, render
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.lab.cluster_study import Measured, Settings, Span, Study
from ebbtide.lab.overlay import copy_store, injected_batches, lay_over
from ebbtide.lab.simulate_benign import draw_plan
from ebbtide.lab.simulate_plan import INTERVAL_S, PER_DAY, SIMULATOR_VERSION, START_S, Parameters, Plan
from ebbtide.lab.simulate_topology import LEAST_ENTITIES
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.lab.simulate_write import event_object, fill, send, stream, truth, write_file
from ebbtide.series import DAY_NS, SECOND_NS
from ebbtide.store.store import Store

_INTERVAL_NS = INTERVAL_S * SECOND_NS


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("simulate", help=_SIMULATE, epilog="Example: ebbtide simulate cluster.jsonl.zst --days 7")(
        simulate_command
    )
    app.command("evaluate", help=_EVALUATE, epilog="Example: ebbtide evaluate --db shop.duckdb --out page.html")(
        evaluate_command
    )


_SIMULATE = (
    "Make up a cluster's traffic, as the source opentelemetry-network would tell it, with its truth beside it: what "
    "happened in it, benign or injected. The same options give the same bytes on every machine."
)
_EVALUATE = (
    "Judge detections by attacks injected into a copy of a store (or into a simulated cluster): paired recall, false "
    "findings per 1000 entity-days, delays, bytes lost, and what benign changes cost. The store itself is never opened."
)

Entities = Annotated[int, typer.Option(help=f"How many entities, {LEAST_ENTITIES} or more.")]
Days = Annotated[int, typer.Option(min=1, help="How many days.")]
Seed = Annotated[int, typer.Option(min=0, help="Another seed, another cluster and other attacks.")]
Novelty = Annotated[float, typer.Option(min=0, max=10, help="Times as many benign new destinations and shells.")]
Churn = Annotated[float, typer.Option(min=0, max=10, help="Times as many rollouts, restarts, surges, gaps.")]


def simulate_command(
    file: Annotated[
        Path | None, typer.Argument(help="FILE.jsonl or FILE.binpb (.zst packs it) of OTLP, or FILE.duckdb.")
    ] = None,
    to: Annotated[str, typer.Option("--to", help="POST to an OTLP/HTTP receiver instead: http://127.0.0.1:4318")] = "",
    entities: Entities = 60,
    days: Days = 14,
    seed: Seed = 1,
    start: Annotated[str, typer.Option(help="The first day, UTC midnight. Default: 2026-01-19.")] = "",
    cluster: Annotated[str, typer.Option(help="The cluster's name.")] = "prod-sim",
    novelty: Novelty = 1.0,
    churn: Churn = 1.0,
    zones: Annotated[int, typer.Option(min=1, max=10, help="Availability zones: as many series an edge.")] = 1,
    views: Annotated[str, typer.Option(help="Aggregation views, which repeat the same bytes: az_az,id_id ...")] = (
        "az_az"
    ),
    is_gateway: Annotated[
        bool, typer.Option("--gateway/--no-gateway", help="Name the cluster in the resource and send heartbeats.")
    ] = False,
    inject: Annotated[
        str, typer.Option(help="Attacks to plant in the last third: core, all, or ids such as X1,X7.")
    ] = "",
) -> None:
    """Make the plan, plant what is to be planted, write hour by hour, and say what was written."""
    if (file is None) == (not to):
        raise UsageError("nowhere to write to", hint="give a FILE, or --to http://HOST:4318")
    parameters = _parameters(entities, days, seed, start, cluster, novelty, churn, zones)
    plan = draw_plan(parameters)
    simulation = Simulation(plan)
    planted = _plant(simulation, inject)
    points = stream(simulation, tuple(views.split(",")), planted)
    name = cluster if is_gateway else ""
    with console.progress_bar() as progress:
        task = progress.add_task("simulating", total=len(simulation.pieces()), rate="")
        advance = lambda: progress.advance(task)  # noqa: E731
        if file is None:
            many = send(points, to, name, advance)
        elif file.suffix == ".duckdb":
            many = _fill_new(file, simulation, planted)
        else:
            many = write_file(points, file, name, advance)
    if file is not None:
        beside = file.with_name(file.name + ".truth.json")
        beside.write_text(json.dumps(truth(plan, [one.event for one in planted]), indent=1) + "\n", "utf-8")
        console.say(f"Its truth, {len(plan.events)} benign events and {len(planted)} attacks, is in {beside}.")
    last = rfc3339(parameters.last * _INTERVAL_NS)
    console.say(
        f"{many:,} points of {len(plan.entities())} entities, {rfc3339(parameters.start_s * SECOND_NS)} to {last}. "
        f"Simulator version {SIMULATOR_VERSION}, seed {seed}."
    )


def _parameters(
    entities: int, days: int, seed: int, start: str, cluster: str, novelty: float, churn: float, zones: int = 1
) -> Parameters:
    if entities < LEAST_ENTITIES:
        raise UsageError(f"{entities} entities make no cluster", hint=f"--entities {LEAST_ENTITIES} or more")
    start_s = parse_time(start) // SECOND_NS if start else START_S
    if start_s % 86_400:
        raise UsageError(f"--start {start} is not a UTC midnight", hint="write a date such as 2026-01-19")
    return Parameters(seed, entities, days, cluster, start_s, novelty, churn, zones)


def _plant(simulation: Simulation, inject: str) -> list[Injection]:
    """One round of attacks in the last third of a simulation."""
    if not inject:
        return []
    parameters = simulation.plan.parameters
    ground = ground_of_simulation(simulation)
    first = parameters.first + max(parameters.days * 2 // 3, 1) * PER_DAY
    plot = Plot(min(first, parameters.last - PER_DAY // 2) * _INTERVAL_NS, parameters.last * _INTERVAL_NS)
    return plant_round(ground, choose(inject.split(",")), plot, parameters.seed, 0)


def _fill_new(file: Path, simulation: Simulation, planted: list[Injection]) -> int:
    if file.exists():
        raise UsageError(f"{file} is there already", hint="give the name of a new file")
    with Store.open(file) as store:
        stored = fill(store, simulation)
        if planted:
            stored += lay_over(store, injected_batches(planted, frozenset(store.identity.metrics)), "planted").stored
    return stored


def evaluate_command(
    db: Annotated[Path | None, typer.Option("--db", help="A store to copy. Default: a simulated cluster.")] = None,
    entities: Entities = 60,
    days: Days = 14,
    seed: Seed = 1,
    novelty: Novelty = 1.0,
    churn: Churn = 1.0,
    scenarios: Annotated[str, typer.Option(help="Attacks: core, all, none, or ids such as X1,X7.")] = "core",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; each plants one attack in each entity.")] = 2,
    share: Annotated[float, typer.Option(min=0.01, max=1, help="The share of entities hit in a round.")] = 1.0,
    negatives: Annotated[str, typer.Option(help="Benign changes: none, all, or beginnings of their names.")] = "none",
    from_: Annotated[str, typer.Option("--from", help="What is judged begins. Default: the last third.")] = "",
    to: Annotated[str, typer.Option("--to", help="What is judged ends. Default: the end of what is stored.")] = "",
    calibrate: Annotated[str, typer.Option(help="Thresholds are set from here to --from.")] = "",
    every: Annotated[
        str, typer.Option("--every", help="Time between ticks. Default: each detection's own, at least 5m.")
    ] = "",
    ids: Ids = None,
    directory: Directory = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write a page (HTML, nothing is loaded).")] = None,
    work: Annotated[Path | None, typer.Option(help="A directory for copies of the store. Default: temporary.")] = None,
    as_json: Json = False,
) -> None:
    """Copy or simulate, plant, replay, count, print."""
    settings = Settings(
        tuple(chosen(load_catalogue(directory), ids)),
        replay,
        () if scenarios == "none" else choose(scenarios.split(",")),
        () if negatives == "none" else choose_negatives(negatives.split(",")),
        rounds,
        share,
        seed,
        parse_span(every) if every else None,
    )
    if db is not None and settings.negatives:
        raise UsageError("benign changes need a simulated cluster", hint="leave out --db, or --negatives")
    with _workplace(work) as place, console.progress_bar() as progress:
        task = progress.add_task("evaluating", total=None, rate="")
        study = Study(place, settings, lambda text: progress.update(task, rate=text))
        if db is not None:
            measured = study.run(db, _span(from_, to, calibrate))
        else:
            plan = draw_plan(_parameters(entities, days, seed, "", "prod-sim", novelty, churn))
            measured = _on_simulation(study, place, plan)
    told = figures(measured, seed)
    title = f"Evaluation of {db.name if db is not None else f'a simulated cluster, seed {seed}'}"
    if out is not None:
        out.write_text(render(title, _notes(measured), told), "utf-8")
    if as_json:
        console.print_json(_as_object(measured, told))
        return
    _print(measured, told, {one.id: one.short_name for one in settings.detections})
    if out is not None:
        console.say(f"Page: {out}")


@contextmanager
def _workplace(work: Path | None) -> Iterator[Path]:
    """A directory of our own within `work`, gone afterwards."""
    if work is not None:
        work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="ebbtide-evaluate-", dir=work) as name:
        yield Path(name)


def _span(from_: str, to: str, calibrate: str) -> Span | None:
    if not (from_ or to or calibrate):
        return None
    if not (from_ and to):
        raise UsageError("half a range", hint="give --from and --to, and --calibrate for budgets")
    from_ns = parse_time(from_)
    return Span(parse_time(calibrate) if calibrate else from_ns - DAY_NS, from_ns, parse_time(to))


def _on_simulation(study: Study, place: Path, plan: Plan) -> Measured:
    """Simulate up to what is judged, keep that for the benign changes, simulate on, and run."""
    parameters = plan.parameters
    if parameters.days < 3:
        raise UsageError("an evaluation needs three days or more", hint="--days 14")
    cut = parameters.last - parameters.days * 2 // 7 * PER_DAY if parameters.days > 3 else parameters.last - PER_DAY
    base, whole = place / "base.duckdb", place / "whole.duckdb"
    simulation = Simulation(plan)
    with Store.open(base) as store:
        fill(store, simulation, between=(parameters.first, cut))
    copy_store(base, whole)
    with Store.open(whole) as store:
        fill(store, simulation, between=(cut, parameters.last))
    calibrate = max(cut - parameters.days * 2 // 7 * PER_DAY, parameters.first + PER_DAY)
    span = Span(calibrate * _INTERVAL_NS, cut * _INTERVAL_NS, parameters.last * _INTERVAL_NS)
    measured = study.run(whole, span)
    study.run_negatives(base, plan, measured)
    return measured


def _notes(measured: Measured) -> list[str]:
    exposure, span = measured.exposure, measured.span
    lines = [
        f"Judged: {rfc3339(span.from_ns)} to {rfc3339(span.to_ns)}, {exposure.entities:,} entities, "
        f"{exposure.entity_days:,.0f} entity-days. Budgets were set from {rfc3339(span.calibrate_ns)} on.",
        f"{len(measured.planted)} attacks were planted in copies.",
    ]
    if measured.left_out:
        lines.append(f"{measured.left_out:,} samples of attacks fell into hours whose samples are no longer stored.")
    return lines


def _as_object(measured: Measured, told: tuple[DetectionFigures, ...]) -> dict[str, object]:
    return {
        "span": to_json(measured.span),
        "exposure": to_json(measured.exposure),
        "calibration": to_json(measured.calibration),
        "detections": to_json(told),
        "attacks": [event_object(one.injection.event) for one in measured.planted],
        "samples_left_out": measured.left_out,
    }


def _print(measured: Measured, told: tuple[DetectionFigures, ...], short: dict[str, str]) -> None:
    names = [short.get(one.detection, one.detection) for one in told]
    for note in _notes(measured):
        console.say(note)
    console.print_table(
        ("detection", "false/1000 d", "paired recall", "raw", "delay", "p90", "lost"),
        [
            (name, interval_text(one.false, 1), interval_text(one.paired, 2), interval_text(one.raw, 2),
             minutes_text(one.delays.median_s), minutes_text(one.delays.p90_s), mb_text(one.delays.median_lost))
            for name, one in zip(names, told, strict=True)
        ],
        title="\nAs shipped",
    )  # fmt: skip
    for name, one in zip(names, told, strict=True):
        if one.budgets:
            rows = [(f"{at.budget:g}", interval_text(at.realised, 1), interval_text(at.paired, 2))
                    for at in one.budgets]  # fmt: skip
            console.print_table(("budget", "realised", "paired recall"), rows, title=f"\n{name} at a budget")
    _print_scenarios(told, names)
    _print_negatives(told, names)


def _print_scenarios(told: tuple[DetectionFigures, ...], names: list[str]) -> None:
    rows = []
    for each in zip(*(one.scenarios for one in told), strict=True):
        first = each[0]
        rows.append((f"{first.id} {first.name}", first.events, *(f"{one.paired} / {one.raw}" for one in each)))
    if rows:
        console.print_table(("scenario", "events", *names), rows, title="\nPaired / raw hits by scenario")


def _print_negatives(told: tuple[DetectionFigures, ...], names: list[str]) -> None:
    rows = []
    for each in zip(*(one.negatives for one in told), strict=True):
        per = [f"{number_text(one.changed, 0)} ({one.new} new)" for one in each]
        rows.append((each[0].name + (" (must be 0)" if each[0].is_strict else ""), *per))
    if rows:
        title = f"\nBenign changes, findings / 1000 entity-days ({len(rows)} of {len(NEGATIVES)} classes)"
        console.print_table(("change", *names), rows, title=title)
