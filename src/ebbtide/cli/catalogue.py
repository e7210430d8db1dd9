"""`detections list`, `show` and `test`: the catalogue, one of its entries, and the examples in its files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from ebbtide.cli import console
from ebbtide.cli.options import Directory, Ids, Json, chosen, load_catalogue
from ebbtide.detect.detection import Detection
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
    console.say(f"{detection.name} ({detection.id} {detection.version}, {detection.status})")
    for name, text in _page(detection):
        console.say()
        console.say(f"{name}:")
        for line in text.splitlines():
            console.say(f"  {line}")


def _page(detection: Detection) -> Iterator[tuple[str, str]]:
    """What the page of a detection says, by heading; headings without a text are left out."""
    annotations, risk = annotate(detection), detection.risk
    options = ", ".join(f"{name}={value}" for name, value in detection.options.items())
    formula = f"{risk.score:g} = impact {risk.impact:g} x confidence {risk.confidence:g} / 100, on the {risk.object}"
    techniques = (f"{one.id} {one.name} ({', '.join(one.tactics)})" for one in annotations.mitre_attack)
    sections = {
        "description": detection.description,
        "type": detection.type,
        "author": f"{detection.author}, {detection.date}",
        "looks at": f"{', '.join(detection.metrics)}, one row per {', '.join(detection.by)}",
        "baseline": f"one per {', '.join(detection.baseline.by)}",
        "detector": f"{detection.detector}: {options}",
        "risk": formula,
        "message": detection.message,
        "ATT&CK": "\n".join(techniques),
        "kill chain": ", ".join(annotations.kill_chain),
        "NIST": ", ".join(annotations.nist),
        "CIS": ", ".join(annotations.cis20),
        "story": ", ".join(detection.story),
        "product": ", ".join(detection.product),
        "required fields": ", ".join(detection.required_fields),
        "how to implement": detection.how_to_implement,
        "known false positives": detection.known_false_positives,
        "choices": "\n".join(detection.choices),
        "macros": "\n".join(f"{one.name}: {one.meaning}" for one in detection.macros),
        "references": "\n".join(detection.references),
    }
    return ((name, text) for name, text in sections.items() if text)


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
