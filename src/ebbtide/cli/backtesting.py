"""`backtest`: the engine over a range, as it is, with a changed option or filter, and with planted attacks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
import yaml

from ebbtide.backtest import Backtest, instants, replay
from ebbtide.cli import console
from ebbtide.cli.findings import finding_rows, print_findings
from ebbtide.cli.injecting import own_copy, print_trial, trial_object, try_attacks
from ebbtide.cli.options import (
    DEFAULT_DB,
    Csv,
    Db,
    Directory,
    Fail,
    Ids,
    Json,
    chosen,
    instant,
    load_catalogue,
    parse_span,
    parse_time,
    span_of,
)
from ebbtide.comparison import compare, comparison_object, headlines, with_options
from ebbtide.detect.detection import Detection
from ebbtide.errors import UsageError
from ebbtide.finding.filters import parse_matchers
from ebbtide.finding.finding import Finding
from ebbtide.finding.form import to_object
from ebbtide.finding.text import rfc3339
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.lab.cluster_study import Heard, Settings, score_of
from ebbtide.lab.cluster_trial import Trial
from ebbtide.registry import load_detectors
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store
from ebbtide.triage import filtered

_NOON = "2026-11-24T12:00:00Z"
_BACKTEST = "Judge every window of a range, as `detect` would have at each tick."
_MOST_LINES = 20


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backtest", help=_BACKTEST, epilog=f"Example: ebbtide backtest --from {_NOON} --set budget=3")(
        backtest_command
    )


@dataclass(slots=True)
class _Run:
    """What one call of the command found: per detection as it is, and changed where `--set` changes it.

    `hidden` are the findings a filter would hide, `heard` what the planted attacks are held against.
    """

    first_ns: int
    last_ns: int
    unit: str
    results: list[Backtest] = field(default_factory=list)
    changed: list[tuple[Backtest, Backtest]] = field(default_factory=list)
    found: list[Finding] = field(default_factory=list)
    hidden: list[Finding] = field(default_factory=list)
    heard: Heard = field(default_factory=Heard)
    trial: Trial | None = None


From = Annotated[str | None, typer.Option("--from", help="First instant. Default: a day after the first sample.")]
To = Annotated[str | None, typer.Option("--to", help="Last instant. Default: the end of what is stored.")]
Every = Annotated[
    str | None, typer.Option("--every", help="Time between ticks. Default: the detection's own, at least 5m.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Compare with another option, such as budget=3 or outbound.budget=3; repeatable."),
]
Hide = Annotated[str, typer.Option("--hide", help="Say what a filter would hide, such as '{process=\"restic\"}'.")]
Inject = Annotated[str, typer.Option("--inject", help="Plant attacks in a copy: core, all, or ids such as X1,X7.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The seed of the planted attacks.")]
Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds",
        min=1,
        max=100,
        help="Rounds of attacks, each entity hit once in each. Default: as many as plant every kind, at most 8.",
    ),
]


def backtest_command(
    from_: From = None,
    to: To = None,
    every: Every = None,
    db: Db = DEFAULT_DB,
    ids: Ids = None,
    directory: Directory = None,
    options: Set = None,
    hide: Hide = "",
    inject: Inject = "",
    seed: Seed = 1,
    rounds: Rounds = None,
    fail: Fail = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Run detections over a range: findings a day, the noisiest entities, what could not be judged and why.

    With attacks to plant, the store is copied and never opened.
    """
    detections = chosen(load_catalogue(directory), ids)
    changed = changed_detections(detections, options or [])
    matchers = parse_matchers(hide, "--hide") if hide else ()
    scenarios = choose(inject.split(",")) if inject else ()
    every_ns = parse_span(every) if every else None
    with own_copy(db) if inject else nullcontext(db) as path:
        run = _replay_all(path, detections, changed, from_, to, every_ns)
        if inject:
            plan = Settings(tuple(detections), replay, scenarios, rounds=rounds, seed=seed, every_ns=every_ns)
            run.trial = try_attacks(path, plan, run.first_ns, run.last_ns, run.heard)
    run.hidden = [one for one in run.found if matchers and all(matcher.holds(one) for matcher in matchers)]
    if as_json:
        console.print_json(_as_object(run, is_changed=bool(options), is_hiding=bool(matchers)))
    elif as_csv:
        console.print_csv(*finding_rows(run.found))
    else:
        _print_backtests(run.results)
        print_findings(run.found)
        for before, after in run.changed:
            _print_change(before, after, run)
        if matchers:
            console.say()
            console.say(f"The filter {hide} would hide {len(run.hidden)} of {len(run.found)} findings.")
            _print_lines("-", headlines(tuple(run.hidden)))
        if run.trial is not None:
            print_trial(run.trial, detections, run.unit)
    if fail and any(not finding.is_hidden for finding in run.found):
        raise typer.Exit(1)


def _as_object(run: _Run, *, is_changed: bool, is_hiding: bool) -> dict[str, object]:
    """What the command found, as JSON values; what was not asked for has no key."""
    told: dict[str, object] = {
        "from": rfc3339(run.first_ns),
        "to": rfc3339(run.last_ns),
        "backtests": [one.summary() for one in run.results],
        "findings": [to_object(one) for one in run.found],
    }
    if is_changed:
        told["changed"] = [comparison_object(*both, run.first_ns, run.last_ns) for both in run.changed]
    if is_hiding:
        told["would_hide"] = headlines(tuple(run.hidden))
    if run.trial is not None:
        told["injected"] = trial_object(run.trial, run.unit)
    return told


def changed_detections(detections: Sequence[Detection], options: Sequence[str]) -> dict[str, Detection]:
    """The detections that `[DETECTION.]OPTION=VALUE` change, by id. Raises UsageError for what fits none of them."""
    wanted: dict[str, dict[str, object]] = {}
    detectors = load_detectors()
    for text in options:
        name, is_set, value = text.partition("=")
        owner, _, option = name.rpartition(".")
        fitting = [
            one for one in detections
            if owner in ("", one.id, one.label) and option in detectors[one.detector].options.model_fields
        ]  # fmt: skip
        if not is_set or not fitting:
            raise UsageError(
                f"{text[:60]!r} changes no option of these detections",
                hint="write OPTION=VALUE, or DETECTION.OPTION=VALUE; `ebbtide detections show ID` lists the options",
            )
        for one in fitting:
            wanted.setdefault(one.id, {})[option] = _value(value)
    by_id = {one.id: one for one in detections}
    return {name: with_options(by_id[name], values, detectors) for name, values in wanted.items()}


def _value(text: str) -> object:
    """A value as in a detection's file. Raises UsageError."""
    try:
        value: object = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UsageError(f"{text[:60]!r} is no value", hint="write it as in a detection's file") from None
    return value


def _replay_all(
    path: Path,
    detections: Sequence[Detection],
    changed: Mapping[str, Detection],
    from_: str | None,
    to: str | None,
    every_ns: int | None,
) -> _Run:
    """Every detection over the range, those that are changed twice."""
    with Store.open(path, is_new_allowed=False) as store:
        store.roll_up()
        first = parse_time(from_) if from_ else span_of(store)[0] + 24 * 3600 * SECOND_NS
        last = parse_time(to) if to else instant(store, None)
        if last < first:
            raise UsageError(f"--to {rfc3339(last)} lies before --from {rfc3339(first)}")
        units = store.contacts.units()
        run = _Run(first, last, units.pop() if len(units) == 1 else "")
        for one in detections:
            result = run_backtest(store, one, first, last, every_ns or one.history_ns, run.heard)
            run.results.append(result)
            if one.id in changed:
                other = changed[one.id]
                run.changed.append((result, run_backtest(store, other, first, last, every_ns or one.history_ns)))
        found = [episode.finding for one in run.results for episode in one.episodes.values()]
        run.found = filtered(store, found, time.time_ns())
        return run


def run_backtest(
    store: Store, detection: Detection, first_ns: int, last_ns: int, every_ns: int, heard: Heard | None = None
) -> Backtest:
    """One detection over a range, with a progress bar; `heard` takes in what it told after the first instant."""
    result = Backtest(detection)
    ticks = instants(first_ns, last_ns, every_ns)
    with console.progress_bar() as progress:
        task = progress.add_task(detection.id, total=len(ticks), rate="")
        for evaluation in replay(store, detection, first_ns, last_ns, every_ns, load_detectors()):
            result.add(evaluation)
            if heard is not None and evaluation.now_ns > first_ns:
                heard.add(detection, evaluation, score_of)
            progress.update(task, advance=1, rate=f"{len(result.episodes)} findings")
    return result


def _print_backtests(results: Sequence[Backtest]) -> None:
    console.print_table(
        ("detection", "days", "ticks", "rows", "findings", "a day", "judged", "not judged"),
        [
            (one.detection.short_name, one.days, one.ticks, one.fired, len(one.episodes), one.per_day(), one.scored,
             ", ".join(f"{many:,} {why}" for why, many in sorted(one.unscored.items())) or "-")
            for one in results
        ],
    )  # fmt: skip
    for one in results:
        if one.episodes:
            console.print_table(("entity", "findings"), one.noisiest(), title=f"\nNoisiest under {one.detection.id}")


def _print_change(before: Backtest, after: Backtest, run: _Run) -> None:
    """What a changed option adds and removes."""
    found = compare(before, after, run.first_ns, run.last_ns)
    was = before.detection.options
    options = ", ".join(f"{name} {value}" for name, value in after.detection.options.items() if was.get(name) != value)
    console.say()
    console.say(
        f"{after.detection.id} with {options or 'the same options'}: {len(after.episodes)} findings, "
        f"{after.per_day():.2f} a day; as it is {len(before.episodes)} and {before.per_day():.2f}. "
        f"{len(found.appeared)} appear, {len(found.disappeared)} disappear."
    )
    _print_lines("+", headlines(found.appeared))
    _print_lines("-", headlines(found.disappeared))


def _print_lines(mark: str, lines: Sequence[str]) -> None:
    for line in lines[:_MOST_LINES]:
        console.say(f"  {mark} {line}")
    if len(lines) > _MOST_LINES:
        console.say(f"  {mark} and {len(lines) - _MOST_LINES} more: see --json")
