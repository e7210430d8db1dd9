"""`detect` and `why`: the engine at one instant, and asked about one entity."""

from __future__ import annotations

import time
from typing import Annotated

import numpy as np
import typer

from ebbtide import joined, novelty, novelty_findings, outbound, outbound_findings
from ebbtide.cli import console
from ebbtide.cli.findings import finding_rows, print_findings
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
)
from ebbtide.detect.detection import Detection
from ebbtide.detect.joined_detector import Joined, JoinedSettings
from ebbtide.detect.novelty_detector import Novelty, NoveltySettings
from ebbtide.detect.outbound_detector import Outbound, OutboundSettings
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.engine import Evaluation, Judged, evaluate, judge
from ebbtide.errors import NotFoundError
from ebbtide.finding.form import to_object
from ebbtide.finding.headline import amount_text, unit_of
from ebbtide.finding.novelty_words import explain_novelty
from ebbtide.finding.outbound_evidence import OutboundEvidence
from ebbtide.finding.outbound_repeat import telling_amount
from ebbtide.finding.outbound_words import explain_outbound
from ebbtide.finding.text import count_text, rfc3339
from ebbtide.registry import load_detectors
from ebbtide.store.store import Store
from ebbtide.triage import filtered, keep

_WORDS = {
    "no_baseline": "have no baseline (new process, first use of the protocol)",
    "too_little_history": "have too little history",
    "no_spread": "have a baseline without spread",
}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("detect", help=_DETECT, epilog=f"Example: ebbtide detect --db shop.duckdb --at {_NOON}")(detect_command)
    app.command("why", help=_WHY, epilog=f"Example: ebbtide why shop/checkout/nginx --at {_NOON}")(why_command)


_NOON = "2026-11-24T12:00:00Z"
_DETECT = "Judge the last window before an instant."
_WHY = "Say for one entity what was compared with what, and what would have fired."

At = Annotated[
    str | None, typer.Option("--at", help="When, RFC 3339 or Unix seconds. Default: the end of what is stored.")
]


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
        now_ns = instant(store, at)
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
        now_ns = instant(store, at)
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
            if score <= judged.threshold:
                console.say(f"  {_would_fire(evidence, judged.options, unit)}")
            is_judged = True
    return is_judged


def _would_fire(evidence: OutboundEvidence, options: OutboundOptions, unit: str) -> str:
    """From what amount of the hour on it would have been told."""
    amount = telling_amount(evidence, options)
    if amount is None:
        return "No amount would have fired: it has no record of an earlier day yet."
    where = " to the same places" if evidence.main.sent[0] > 0 else ""
    return f"{amount_text(amount, unit)} sent{where} in this hour would have fired."


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
