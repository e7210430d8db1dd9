"""A report as one HTML page: nothing is loaded, nothing runs but the two scripts whose hashes the page names.

Three things keep hostile labels harmless: autoescape, JSON without a single `<`, and a Content-Security-Policy under
which even an escape that failed could neither run nor call home.
"""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

import jinja2

from ebbtide.report import wording
from ebbtide.report.chart_data import chart_json
from ebbtide.report.report import Chart, Report, Summary
from ebbtide.report.timeline import timeline

#: What is drawn in a chart: swatch, name, meaning, and the chart's field that must be there.
_LEGEND = (
    ("sent", "sent", "what left in each bucket", "sent"),
    ("received", "received", "what came in, for comparison", "received"),
    ("band", "usual band", "where the values of the baseline mostly lie", "lower"),
    ("mean", "usual mean", "of the baseline", "mean"),
    ("line", "line", "what lies above it counts", "line"),
    ("mark", "marked buckets", "those that made the finding", "marks"),
    ("label", "label", "what the data's publisher says was an incident", "labels"),
)


def render(report: Report) -> str:
    """The page, to be written as UTF-8. The same report gives the same page."""
    styles = [_static("uplot/uPlot.min.css") + "\n" + _static("report.css")]
    licence = f"/*! uPlot\n{_static('uplot/LICENSE').strip()}\n*/\n"
    scripts = [licence + _static("uplot/uPlot.iife.min.js"), _static("report.js")]
    return _template().render(
        report=report,
        timeline=timeline(report),
        legend=_legend([chart for card in report.cards for chart in card.charts]),
        has_labels=any(_has_labels(one) for one in report.summaries),
        verdicts={verdict: sum(card.verdict == verdict for card in report.cards) for verdict in ("found", "extra")},
        policy=_policy(styles, scripts),
        styles=styles,
        scripts=scripts,
    )


def _legend(charts: list[Chart]) -> list[tuple[str, str, str]]:
    """What some chart of the page shows, so that nothing is explained that is not there."""
    shown = {name for *_, name in _LEGEND for chart in charts if _is_shown(getattr(chart, name))}
    return [(swatch, title, meaning) for swatch, title, meaning, name in _LEGEND if name in shown]


def _is_shown(value: object) -> bool:
    return value is not None and not (isinstance(value, tuple) and not value)


def _has_labels(one: Summary) -> bool:
    return not (one.found is None and one.missed is None and one.extra is None)


def _policy(styles: list[str], scripts: list[str]) -> str:
    parts = [
        "default-src 'none'",
        "script-src " + " ".join(_hash(one) for one in scripts),
        "style-src " + " ".join(_hash(one) for one in styles),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(parts)


def _hash(content: str) -> str:
    """The source expression of an inline element's exact content. Source: W3C CSP Level 3, 2.3.1."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=_finalize,
        loader=jinja2.DictLoader({"report.html": _read("templates/report.html")}),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "anchor": wording.anchor,
        "chart_json": chart_json,
        "duration": wording.duration,
        "iso": wording.iso,
        "si": wording.si,
        "utc": wording.utc,
        "visible": wording.visible,
    }
    return environment.get_template("report.html")


def _finalize(value: object) -> object:
    """Whatever is put into the page as text is made visible first; what is marked safe is ours."""
    return wording.visible(value) if type(value) is str else value


def _static(name: str) -> str:
    """One of our files, with the line ends an HTML parser would make of them: hashes are taken of those."""
    return _read(f"static/{name}")


def _read(name: str) -> str:
    content = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return content.replace("\r\n", "\n")
