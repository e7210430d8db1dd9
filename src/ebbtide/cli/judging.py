"""`detect`, `backtest` and `why`: the engine at one instant, over a range, and asked about one entity."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ebbtide import joined, novelty, novelty_findings, outbound, outbound_findings
from ebbtide.backtest import Backtest, instants, replay
from ebbtide.cli import console
from ebbtide.cli.findings import finding_rows, print_findings
from ebbtide.cli.injecting import own_copy, print_trial, trial_object, try_attacks
from ebbtide.cli.options import (
    DEFAULT_DB,
    Csv,
    Db,
    Directory,
    Ids,
    Json,
    chosen,
    load_catalogue,
    parse_span,
    parse_time,
)
from ebbtide.detect.detection import Detection
from ebbtide.detect.joined_detector import Joined, JoinedSettings
from ebbtide.detect.novelty_detector import Novelty, NoveltySettings
from ebbtide.detect.outbound_detector import Outbound, OutboundSettings
from ebbtide.engine import Evaluation, Judged, evaluate, judge
from ebbtide.errors import NoDataError, NotFoundError, UsageError
from ebbtide.finding.finding import Finding
from ebbtide.finding.form import to_object
from ebbtide.finding.headline import unit_of
from ebbtide.finding.novelty_words import explain_novelty
from ebbtide.finding.outbound_words import explain_outbound
from ebbtide.finding.text import count_text, rfc3339
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.registry import load_detectors
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store
from ebbtide.triage import filtered, keep

_GRID_NS = 10 * SECOND_NS
_WORDS = {
    "no_baseline": "have no baseline (new process, first use of the protocol)",
    "too_little_history": "have too little history",
    "no_spread": "have a baseline without spread",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("detect", help=_DETECT, epilog=f"Example: ebbtide detect --db shop.duckdb --at {_NOON}")(detect_command)
    app.command("backtest", help=_BACKTEST, epilog=f"Example: ebbtide backtest --from {_NOON}")(backtest_command)
    app.command("why", help=_WHY, epilog=f"Example: ebbtide why shop/checkout/nginx --at {_NOON}")(why_command)


_NOON = "2026-11-24T12:00:00Z"
_DETECT = "Judge the last window before an instant."
_BACKTEST = "Judge every window of a range, as `detect` would have at each tick."
_WHY = "Say for one entity what was compared with what, and what would have fired."

At = Annotated[
    str | None, typer.Option("--at", help="When, RFC 3339 or Unix seconds. Default: the end of what is stored.")
]
Fail = Annotated[bool, typer.Option("--fail-on-findings", help="Exit with 1 if something is found and not filtered.")]


def detect_command(
    db: Db = DEFAULT_DB,
    ids: Ids = None,
    at: At = None,
    directory: Directory = None,
    is_kept: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep the findings in the store.")] = True,
    fail: Fail = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Evaluate detections at one instant, print what was scored and what could not be, and the findings."""
    detections = chosen(load_catalogue(directory), ids)
    detectors = load_detectors()
    with Store.open(db, is_new_allowed=False) as store:
        store.roll_up()
        now_ns = _instant(store, at)
        evaluations = [evaluate(store, one, now_ns, detectors=detectors) for one in detections]
        found = filtered(store, [finding for one in evaluations for finding in one.findings], time.time_ns())
        if is_kept:
            keep(store, found)
    if as_json:
        objects = [_as_object(one) for one in evaluations]
        findings = [to_object(finding) for finding in found]
        console.print_json({"at": rfc3339(now_ns), "evaluations": objects, "findings": findings})
    elif as_csv:
        console.print_csv(*finding_rows(found))
    else:
        for evaluation in evaluations:
            console.say(_proof(evaluation))
        print_findings(found)
    if fail and any(not finding.is_hidden for finding in found):
        raise typer.Exit(1)


def backtest_command(
    from_: Annotated[
        str | None, typer.Option("--from", help="First instant. Default: a day after the first sample.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Last instant. Default: the end of what is stored.")] = None,
    every: Annotated[
        str | None, typer.Option("--every", help="Time between ticks. Default: the detection's own.")
    ] = None,
    db: Db = DEFAULT_DB,
    ids: Ids = None,
    directory: Directory = None,
    inject: Annotated[
        str, typer.Option("--inject", help="Plant attacks in a copy: core, all, or ids such as X1,X7.")
    ] = "",
    seed: Annotated[int, typer.Option("--seed", min=0, help="The seed of the planted attacks.")] = 1,
    fail: Fail = False,
    as_json: Json = False,
    as_csv: Csv = False,
) -> None:
    """Run detections over a range: findings a day, the noisiest entities, what could not be judged and why.

    With attacks to plant, the store is copied and never opened.
    """
    detections = chosen(load_catalogue(directory), ids)
    scenarios = choose(inject.split(",")) if inject else ()
    with own_copy(db) if inject else nullcontext(db) as path:
        results, found, first, last = _replay_all(path, detections, from_, to, every)
        every_ns = parse_span(every) if every else None
        trial = try_attacks(path, detections, scenarios, seed, first, last, every_ns) if inject else None
    if as_json:
        range_ = {"from": rfc3339(first), "to": rfc3339(last)}
        summaries = [one.summary() for one in results]
        planted = {"injected": trial_object(trial)} if trial is not None else {}
        console.print_json(range_ | {"backtests": summaries, "findings": [to_object(one) for one in found]} | planted)
    elif as_csv:
        console.print_csv(*finding_rows(found))
    else:
        _print_backtests(results)
        print_findings(found)
        if trial is not None:
            print_trial(trial, detections)
    if fail and any(not finding.is_hidden for finding in found):
        raise typer.Exit(1)


def _replay_all(
    path: Path, detections: list[Detection], from_: str | None, to: str | None, every: str | None
) -> tuple[list[Backtest], list[Finding], int, int]:
    """Every detection over the range: the backtests, their findings as filtered, and the range."""
    with Store.open(path, is_new_allowed=False) as store:
        store.roll_up()
        span = _span(store)
        first = parse_time(from_) if from_ else span[0] + 24 * 3600 * SECOND_NS
        last = parse_time(to) if to else _instant(store, None)
        if last < first:
            raise UsageError(f"--to {rfc3339(last)} lies before --from {rfc3339(first)}")
        results = [
            run_backtest(store, one, first, last, parse_span(every) if every else one.every_ns) for one in detections
        ]
        found = [episode.finding for one in results for episode in one.episodes.values()]
        return results, filtered(store, found, time.time_ns()), first, last


def run_backtest(store: Store, detection: Detection, first_ns: int, last_ns: int, every_ns: int) -> Backtest:
    """One detection over a range, with a progress bar."""
    result = Backtest(detection)
    ticks = instants(first_ns, last_ns, every_ns)
    with console.progress_bar() as progress:
        task = progress.add_task(detection.id, total=len(ticks), rate="")
        for evaluation in replay(store, detection, first_ns, last_ns, every_ns, load_detectors()):
            result.add(evaluation)
            progress.update(task, advance=1, rate=f"{len(result.episodes)} findings")
    return result


def why_command(
    entity: Annotated[str, typer.Argument(help="cluster/namespace/workload/process, or a part of it.")],
    db: Db = DEFAULT_DB,
    at: At = None,
    ids: Ids = None,
    directory: Directory = None,
) -> None:
    """Print, per detection and metric, the largest bucket, its line, and how many hits it would need."""
    detections = chosen(load_catalogue(directory), ids)
    detectors = load_detectors()
    with Store.open(db, is_new_allowed=False) as store:
        store.roll_up()
        now_ns = _instant(store, at)
        if not any(entity in str(one) for one in store.identity.entities):
            raise NotFoundError(f"no stored entity contains {entity!r}", hint="see `ebbtide export entities`")
        for detection in detections:
            console.say(f"{detection.id} at {rfc3339(now_ns)}")
            detector = detectors[detection.detector]
            tell = _TELLERS.get(detector.name, _tell_window)
            if not tell(store, detection, now_ns, entity):
                console.say("It sent nothing in this window, so nothing was judged.")
            console.say()


def _tell_window(store: Store, detection: Detection, now_ns: int, entity: str) -> bool:
    """Every matching entity's metrics against their lines; whether there was one."""
    detector = load_detectors()[detection.detector]
    if isinstance(detector, Outbound | Novelty | Joined):
        return False
    is_judged = False
    for judged in judge(store, detection, now_ns, Evaluation(detection.id, now_ns), detector):
        for at_row, label in enumerate(judged.window.entities):
            if entity in str(label):
                _tell(judged, at_row, detection)
                is_judged = True
    return is_judged


def _tell_outbound(store: Store, detection: Detection, now_ns: int, entity: str) -> bool:
    """What every statistic of every matching entity contributes; whether there was one."""
    metrics = detection.selects(store.identity.metrics)
    judged = outbound.judge(store, now_ns, OutboundSettings.model_validate(detection.options), metrics)
    return _tell_amount(store, judged, now_ns, entity)


def _tell_amount(store: Store, judged: outbound.Judged, now_ns: int, entity: str) -> bool:
    units = store.contacts.units()
    is_judged = False
    for number, score in zip(judged.entities.tolist(), judged.score.tolist(), strict=True):
        label = store.identity.entities[number]
        if entity in str(label):
            evidence = outbound_findings.evidence_of(store, judged, number, score, now_ns)
            console.say(f"{label}: {'fired' if score > judged.threshold else 'quiet'}")
            unit = unit_of(evidence.main.metric, units.pop() if len(units) == 1 else "")
            for line in explain_outbound(evidence, unit):
                console.say(f"  {line}")
            is_judged = True
    return is_judged


def _tell_novelty(store: Store, detection: Detection, now_ns: int, entity: str) -> bool:
    """What is new about every matching entity that sent in the hour; whether there was one."""
    judged = novelty.judge(store, now_ns, NoveltySettings.model_validate(detection.options))
    return _tell_new(store, judged, now_ns, entity)


def _tell_new(store: Store, judged: novelty.JudgedNovelty, now_ns: int, entity: str) -> bool:
    units = store.contacts.units()
    unit = unit_of("bytes", units.pop() if len(units) == 1 else "")
    is_judged = False
    for row, number in enumerate(judged.entities.tolist()):
        label = store.identity.entities[number]
        if entity in str(label):
            console.say(f"{label}: {'fired' if judged.fired[row] else 'quiet'}")
            for line in explain_novelty(novelty_findings.evidence_of(judged, row, now_ns), unit):
                console.say(f"  {line}")
            is_judged = True
    return is_judged


def _tell_joined(store: Store, detection: Detection, now_ns: int, entity: str) -> bool:
    """What each part says about every matching entity; whether there was one."""
    metrics = detection.selects(store.identity.metrics)
    judged = joined.judge(store, now_ns, JoinedSettings.model_validate(detection.options), metrics)
    console.say("By its amount:")
    is_known = _tell_amount(store, judged.outbound, now_ns, entity)
    console.say("By what is new:")
    return _tell_new(store, judged.novelty, now_ns, entity) or is_known


_TELLERS = {Outbound.name: _tell_outbound, Novelty.name: _tell_novelty, Joined.name: _tell_joined}


def _tell(judged: Judged, row: int, detection: Detection) -> None:
    """One entity's metrics against their lines, and what is missing to a finding."""
    window, anomalies, moments = judged.window, judged.anomalies, judged.baseline.moments
    is_sum = detection.options.get("statistic") == "sum"
    rows: list[tuple[object, ...]] = []
    for metric, name in enumerate(window.metrics):
        points = window.points[row, metric]
        if not points.any():
            continue
        value = window.total[row, metric] if is_sum else window.total[row, metric] / np.maximum(points, 1)
        reason = next((why for why, mask in anomalies.unscored.items() if mask[row, metric]), "")
        hits = (anomalies.entity == row) & (anomalies.metric == metric)
        mean = "-" if moments.count[row, metric] == 0 else count_text(float(moments.mean[row, metric]))
        line = "-" if reason else count_text(float(anomalies.lines[row, metric]))
        largest = count_text(float(value[points > 0].max()))
        rows.append((name, largest, line, mean, int(hits.sum()), reason or "judged"))
    console.say(str(window.entities[row]))
    console.print_table(("metric", "largest", "line", "mean", "hits", "judged"), rows)
    needed, count = detection.options.get("more_than", 0), int(anomalies.count[row])
    outcome = (
        f"fired: {count} hits, more than {needed}"
        if anomalies.fired[row]
        else f"{count} hits; more than {needed} would fire"
    )
    console.say(f"  {outcome}.")


def _span(store: Store) -> tuple[int, int]:
    span = store.reading.span()
    if span is None:
        raise NoDataError(f"{store.path} holds no samples", hint="begin with: ebbtide import PATHS")
    return span


def _instant(store: Store, at: str | None) -> int:
    """The instant asked for, or the first on the 10 s grid after everything stored."""
    last = _span(store)[1]
    return parse_time(at) if at is not None else (last // _GRID_NS + 1) * _GRID_NS


def _proof(evaluation: Evaluation) -> str:
    """What was scored and what could not be, in one sentence."""
    parts = [
        f"{evaluation.detection} at {rfc3339(evaluation.now_ns)}: {evaluation.entities:,} entities sent something, "
        f"{evaluation.scored:,} of their metrics judged"
    ]
    parts += [f"{many:,} {_WORDS.get(why, why)}" for why, many in sorted(evaluation.unscored.items())]
    if evaluation.missing:
        parts.append(f"{evaluation.missing:,} senders lack a label it needs")
    if evaluation.snapped:
        parts.append("the baseline begins at a full hour, a little earlier than asked")
    return "; ".join(parts) + f". {len(evaluation.findings)} findings."


def _as_object(evaluation: Evaluation) -> dict[str, object]:
    return {
        "detection": evaluation.detection,
        "entities": evaluation.entities,
        "scored": evaluation.scored,
        "unscored": dict(evaluation.unscored),
        "missing_labels": evaluation.missing,
        "baseline_snapped": evaluation.snapped,
        "findings": len(evaluation.findings),
    }


def _print_backtests(results: list[Backtest]) -> None:
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
