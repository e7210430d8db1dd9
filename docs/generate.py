"""Writes the reference pages that the code determines: `make docs`. A test fails when a page is out of date."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer

from ebbtide.cli.app import app
from ebbtide.decode.preset import load_preset, preset_names
from ebbtide.detect.catalogue import load
from ebbtide.finding.annotations import annotate
from ebbtide.registry import DETECTORS

HERE = Path(__file__).parent


def pages() -> dict[str, str]:
    """File name -> text of every generated page."""
    return {"cli.md": cli_page(), "catalogue.md": catalogue_page(), "presets.md": presets_page()}


def cli_page() -> str:
    """Every command with its arguments and options."""
    lines = ["# Command line", "", "Generated from the code by `make docs`.", ""]
    lines += [
        "Exit codes: 0 done, 1 findings (only with `--fail-on-findings`), 2 usage or configuration, 3 data, 4 service."
    ]
    lines += ["Times are RFC 3339 or Unix seconds, durations `10s`, `15m`, `1h`, `30d`.", ""]
    for name, command in _commands(typer.main.get_command(app), "ebbtide"):
        lines += [f"## `{name}`", "", command.help or "", ""]
        for parameter in command.params:
            if parameter.name != "help":
                names = ", ".join(f"`{one}`" for one in (*parameter.opts, *parameter.secondary_opts))
                lines.append(f"- {names}: {getattr(parameter, 'help', '') or ''}")
        lines += ["", command.epilog or "", ""]
    return _text(lines)


def catalogue_page() -> str:
    """Every shipped detection."""
    lines = ["# Detections that ship", "", "Generated from `src/ebbtide/detect/detections/` by `make docs`.", ""]
    for one in load(DETECTORS).detections.values():
        techniques = ", ".join(f"{t.id} {t.name}".strip() for t in annotate(one).mitre_attack)
        lines += [f"## {one.name}", "", f"`{one.id}` {one.version}, {one.status}", "", one.description, ""]
        lines += [f"- Looks at {', '.join(one.metrics)}; one row per {', '.join(one.by)}"]
        lines += [f"- Baseline per {', '.join(one.baseline.by)}; detector `{one.detector}`"]
        lines += [
            f"- Risk {one.risk.score:g} = {one.risk.impact:g} x {one.risk.confidence:g} / 100 on the {one.risk.object}"
        ]
        lines += [
            f"- ATT&CK {techniques}",
            f"- Known false positives: {' '.join(one.known_false_positives.split())}",
            "",
        ]
        if one.choices:
            lines += [
                "Where the original leaves open what happens:",
                "",
                *(f"- {choice}" for choice in one.choices),
                "",
            ]
    return _text(lines)


def presets_page() -> str:
    """Every shipped preset."""
    lines = [
        "# Presets",
        "",
        "Generated from `src/ebbtide/decode/presets/` by `make docs`. A preset explains a source's",
    ]
    lines += ["names. *Verified* means that a payload from the source's own code or tests is among our tests.", ""]
    lines += ["| preset | verified | metrics | what |", "|---|---|---|---|"]
    for name in preset_names():
        preset = load_preset(name)
        metrics = ", ".join(dict.fromkeys(f"`{rule.to}`" for rule in preset.metrics))
        what = " ".join(preset.description.split())
        lines.append(f"| `{name}` | {'yes' if preset.verified else '**no**'} | {metrics} | {what} |")
    return _text([*lines, ""])


def _commands(command: Any, name: str) -> list[tuple[str, Any]]:
    """Name and command of every leaf. `Any`: Typer carries its own copy of Click's classes."""
    if not hasattr(command, "commands"):
        return [(name, command)]
    return [pair for word, sub in command.commands.items() for pair in _commands(sub, f"{name} {word}")]


def _text(lines: list[str]) -> str:
    text = "\n".join(line.rstrip() for line in lines).rstrip() + "\n"
    return re.sub(r"\n{3,}", "\n\n", text)


if __name__ == "__main__":
    for file, text in pages().items():
        (HERE / file).write_text(text, "utf-8")
