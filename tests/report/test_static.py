"""What is built into a page: the charts as released, colours that can be read."""

from __future__ import annotations

import hashlib
import re
from importlib import resources

import pytest

STATIC = resources.files("ebbtide.report").joinpath("static")
CSS = STATIC.joinpath("report.css").read_text(encoding="utf-8")

#: (text, ground): what is set in small type on what.
TEXTS = [
    ("ink", "ground"),
    ("ink", "paper"),
    ("ink-2", "ground"),
    ("ink-2", "paper"),
    ("accent", "paper"),
    ("accent", "ground"),
    ("ink", "code"),
    ("risk-high", "risk-ground"),
    ("found", "found-ground"),
    ("found", "paper"),
    ("extra", "extra-ground"),
    ("missed", "paper"),
    ("label", "paper"),
]
#: Lines and marks: 3 to 1 is asked of them (WCAG 2.2, 1.4.11).
GRAPHICS = ["sent", "received", "mean", "line", "mark", "label", "focus"]


def colors(scheme):
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", CSS)
    light, dark = (dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})(?:[0-9a-f]{2})?;", block)) for block in blocks[:2])
    return light if scheme == "light" else light | dark


def contrast(one, other):
    """WCAG 2.2, relative luminance and contrast ratio."""

    def luminance(color):
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), TEXTS)
def test_text_has_the_contrast_of_level_aa(scheme, text, ground):
    palette = colors(scheme)
    assert contrast(palette[text], palette[ground]) >= 4.5


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", GRAPHICS)
def test_lines_and_marks_stand_out_from_the_paper(scheme, name):
    palette = colors(scheme)
    assert contrast(palette[name], palette["paper"]) >= 3


def test_the_chart_library_is_as_released_and_says_which():
    folder = STATIC.joinpath("uplot")
    version = folder.joinpath("VERSION").read_text(encoding="utf-8")
    assert version.startswith("uPlot 1.6.32")
    for name in ("uPlot.iife.min.js", "uPlot.min.css"):
        assert f"{hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest()}  {name}" in version
    assert "Leon Sorokin" in folder.joinpath("LICENSE").read_text(encoding="utf-8")


def test_nothing_built_in_could_end_its_element():
    for path in ("report.css", "report.js", "uplot/uPlot.iife.min.js", "uplot/uPlot.min.css", "uplot/LICENSE"):
        text = STATIC.joinpath(path).read_text(encoding="utf-8")
        assert not re.search(r"</(script|style)|<!--", text, re.IGNORECASE)
    assert "*/" not in STATIC.joinpath("uplot/LICENSE").read_text(encoding="utf-8")
