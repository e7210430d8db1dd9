"""`detections list`, `show` and `test`: the catalogue, one of its entries, and the examples in its files."""

from __future__ import annotations

from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.options import Directory, Ids, Json, chosen, load_catalogue
from ebbtide.detect.examples import run_examples
from ebbtide.errors import DataError
from ebbtide.finding.annotations import annotate
from ebbtide.registry import load_detectors

app = typer.Typer(help="What Ebbtide looks for.", no_args_is_help=True)


@app.command("list", help="All detections, shipped and your own.")
def list_command(directory: Directory = None, as_json: Json = False) -> None:
    """One line per detection."""
    catalogue = load_catalogue(directory)
    rows = [
        (one.id, one.version, one.status, f"{one.risk.score:g}", one.detector, one.name, catalogue.origin[one.id])
        for one in catalogue.detections.values()
    ]
    columns = ("id", "version", "status", "risk", "detector", "name", "file")
    if as_json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        console.print_table(columns[:4], [row[:4] for row in rows])


@app.command("show", help="Everything one detection says about itself.")
def show_command(
    detection_id: Annotated[str, typer.Argument(help="Its id.")], directory: Directory = None, as_json: Json = False
) -> None:
    """Print a detection as its page."""
    detection = load_catalogue(directory).get(detection_id)
    if as_json:
        console.print_json(detection.model_dump(mode="json", by_alias=True))
        return
    annotations = annotate(detection)
    console.say(f"{detection.name} ({detection.id} {detection.version}, {detection.status})")
    console.say(detection.description)
    risk = detection.risk
    techniques = ", ".join(f"{one.id} {one.name}".strip() for one in annotations.mitre_attack)
    console.print_table(
        ("", ""),
        [
            ("type", detection.type),
            ("author, date", f"{detection.author}, {detection.date}"),
            ("metrics", ", ".join(detection.metrics)),
            ("one row per", ", ".join(detection.by)),
            ("baseline per", ", ".join(detection.baseline.by)),
            ("detector", f"{detection.detector} {dict(detection.options)}"),
            (
                "risk",
                f"{risk.score:g} = impact {risk.impact:g} x confidence {risk.confidence:g} / 100, on the {risk.object}",
            ),
            ("message", detection.message),
            ("ATT&CK", techniques),
            ("kill chain", ", ".join(annotations.kill_chain)),
            ("NIST, CIS", ", ".join((*annotations.nist, *annotations.cis20))),
            ("story", ", ".join(detection.story)),
            ("required fields", ", ".join(detection.required_fields)),
            ("known false positives", detection.known_false_positives),
            ("how to implement", detection.how_to_implement),
            *(("choice", choice) for choice in detection.choices),
            *(("reference", one) for one in detection.references),
        ],
    )


@app.command("test", help="Run the examples in the detections' files; exit code 3 if one fails.")
def test_command(ids: Ids = None, directory: Directory = None, as_json: Json = False) -> None:
    """Print each example and what became of it."""
    detectors = load_detectors()
    results = [
        (one, result)
        for one in chosen(load_catalogue(directory), ids)
        for result in run_examples(one, detectors[one.detector])
    ]
    rows = [
        (detection.short_name, "passed" if one.passed else "FAILED", one.name, one.expected, one.got)
        for detection, one in results
    ]
    columns = ("detection", "result", "example", "expected", "got")
    if as_json:
        console.print_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        console.print_table(columns, rows)
    if failed := sum(not one.passed for _, one in results):
        raise DataError(
            f"{failed} of {len(results)} examples failed", hint="the table shows what the detector did instead"
        )
