"""The figures of an evaluation as one HTML page that loads and runs nothing: tables, and two drawings in SVG."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from ebbtide.finding.text import one_line
from ebbtide.lab.cluster_figures import AtBudget, DetectionFigures
from ebbtide.lab.cluster_judge import Interval

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b2733;background:#fff}
h1{font-size:1.5rem}h2{margin-top:2.5rem;font-size:1.2rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;display:block;overflow-x:auto}td{white-space:nowrap}
th,td{padding:.25rem .7rem;border-bottom:1px solid #d5dde5;text-align:right;font-variant-numeric:tabular-nums}
th:first-child,td:first-child{text-align:left}caption{text-align:left;font-weight:600;padding:.3rem 0}
.bad{color:#a3211b;font-weight:600}.note{color:#4a5a68}svg{max-width:100%;height:auto}
svg text{font:12px system-ui,sans-serif;fill:#1b2733}.axis{stroke:#7a8894}.grid{stroke:#e3e9ee}
.line{fill:none;stroke:#0b6e8a;stroke-width:2}.dot{fill:#0b6e8a}.whisker{stroke:#0b6e8a}
@media(prefers-color-scheme:dark){body{background:#12191f;color:#dfe7ee}th,td{border-color:#33414d}.note{color:#9fb0bf}
.bad{color:#ff8a80}svg text{fill:#dfe7ee}.grid{stroke:#26323c}.line,.whisker{stroke:#5cc2dd}.dot{fill:#5cc2dd}}
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}"><style>{{ style|safe }}</style></head><body>
<h1>{{ title }}</h1>{% for note in notes %}<p class="note">{{ note }}</p>{% endfor %}
<p class="note">An event counts (paired) only if something is told between its start and an hour after its end, and
nothing is told of that entity there without it. False findings are those of the unmodified traffic, joined over gaps of
up to 6 h, per 1000 entity-days. Brackets: 95 % by entity.</p>
<table><caption>As shipped</caption><tr><th>detection</th><th>false / 1000 entity-days</th><th>paired recall</th>
<th>raw</th><th>delay median, p90</th><th>lost before told, median</th><th>in noisiest tenth</th>
<th>in crowded hours</th></tr>{% for one in figures %}<tr><td>{{ one.detection }}</td>
<td>{{ one.false|interval(1) }}</td><td>{{ one.paired|interval(2) }}</td><td>{{ one.raw|interval(2) }}</td>
<td>{{ one.delays.median_s|minutes }}, {{ one.delays.p90_s|minutes }}</td><td>{{ one.delays.median_lost|mb }}</td>
<td>{{ one.shares.noisiest_tenth|number(2) }}</td><td>{{ one.shares.crowded_hours|number(2) }}</td></tr>{% endfor %}
</table>{% for one in figures %}<h2>{{ one.detection }}</h2>
{% if one.budgets %}{{ curve(one.budgets)|safe }}
<table><caption>Held to a budget</caption><tr><th>budget / 1000 entity-days</th><th>realised</th><th>paired recall</th>
</tr>{% for at in one.budgets %}<tr><td>{{ at.budget|number(0) }}</td><td>{{ at.realised|interval(1) }}</td>
<td>{{ at.paired|interval(2) }}</td></tr>{% endfor %}</table>{% endif %}
{% if one.scenarios %}<table><caption>By scenario</caption><tr><th>scenario</th><th>events</th><th>paired</th>
<th>raw</th><th>delay median</th><th>lost, median</th></tr>{% for row in one.scenarios %}<tr>
<td>{{ row.id }} {{ row.name }}</td><td>{{ row.events }}</td>
<td{% if row.is_benign and row.paired %} class="bad"{% endif %}>{{ row.paired }}</td>
<td>{{ row.raw }}</td><td>{{ row.delays.median_s|minutes }}</td><td>{{ row.delays.median_lost|mb }}</td></tr>
{% endfor %}</table>
<table><caption>Volume, by size relative to the entity's largest of 30 days</caption><tr><th>rho</th><th>events</th>
<th>paired recall</th></tr>{% for row in one.sizes if row.events %}<tr><td>{{ row.low }} to {{ row.high }}</td>
<td>{{ row.events }}</td><td>{{ (row.paired / row.events)|number(2) }}</td></tr>{% endfor %}</table>{% endif %}
{% if one.negatives %}<table><caption>Benign changes, findings / 1000 entity-days</caption><tr><th>change</th>
<th>with it</th><th>without</th><th>new findings</th></tr>{% for row in one.negatives %}<tr>
<td>{{ row.name }}{% if row.is_strict %} (must be 0){% endif %}</td><td>{{ row.changed|number(1) }}</td>
<td>{{ row.unchanged|number(1) }}</td><td{% if row.is_strict and row.new %} class="bad"{% endif %}>{{ row.new }}</td>
</tr>{% endfor %}</table>{% endif %}{% endfor %}</body></html>
"""


def render(title: str, notes: Sequence[str], figures: Sequence[DetectionFigures]) -> str:
    """The page, to be written as UTF-8. The same figures give the same page; any text may be hostile."""
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    environment = jinja2.Environment(autoescape=True, finalize=_harmless, undefined=jinja2.StrictUndefined)
    environment.filters |= {"interval": interval_text, "number": number_text, "minutes": minutes_text, "mb": mb_text}
    return environment.from_string(_PAGE).render(
        title=title,
        notes=list(notes),
        figures=list(figures),
        curve=curve,
        style=_STYLE,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'",
    )


def _harmless(value: object) -> object:
    return one_line(value, 400) if type(value) is str else value


def number_text(value: float | None, digits: int) -> str:
    """A number, or a dash where there is none.

    >>> number_text(0.126, 2), number_text(float("nan"), 2), number_text(None, 0)
    ('0.13', '-', '-')
    """
    return "-" if value is None or not math.isfinite(value) else f"{value:,.{digits}f}"


def interval_text(value: Interval, digits: int) -> str:
    """A figure with its interval.

    >>> interval_text(Interval(0.5, 0.4, 0.61), 2)
    '0.50 (0.40-0.61)'
    """
    if not math.isfinite(value.value):
        return "-"
    low, high = number_text(value.low, digits), number_text(value.high, digits)
    return f"{number_text(value.value, digits)} ({low}-{high})"


def minutes_text(seconds: float | None) -> str:
    """Seconds in minutes."""
    return "-" if seconds is None else f"{seconds / 60:,.0f} min"


def mb_text(size: float | None) -> str:
    """Bytes in MB."""
    return "-" if size is None else f"{size / 1e6:,.3g} MB" if size < 1e9 else f"{size / 1e9:,.3g} GB"


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a drawing puts budgets (logarithmic, 0.5 to 200) and recall (0 to 1)."""

    left: float = 50.0
    top: float = 10.0
    width: float = 520.0
    height: float = 220.0

    def x(self, findings: float) -> float:
        at = (math.log(min(max(findings, 0.5), 200.0)) - math.log(0.5)) / (math.log(200.0) - math.log(0.5))
        return self.left + at * self.width

    def y(self, recall: float) -> float:
        return self.top + (1 - recall) * self.height


def curve(budgets: Sequence[AtBudget]) -> str:
    """Paired recall over realised findings, with whiskers of 95 %, as SVG; "" where nothing was planted."""
    points = [one for one in budgets if math.isfinite(one.paired.value)]
    if not points:
        return ""
    frame = _Frame()
    parts = [f'<svg viewBox="0 0 600 280" width="600" role="img" aria-label="{_alternative(points)}">']
    for recall in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = frame.y(recall)
        parts.append(f'<line class="grid" x1="50" x2="570" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="42" y="{y + 4:.1f}" text-anchor="end">{recall:g}</text>')
    parts.extend(f'<text x="{frame.x(at):.1f}" y="248" text-anchor="middle">{at}</text>' for at in (1, 3, 10, 30, 100))
    parts.append('<text x="310" y="270" text-anchor="middle">realised findings per 1000 entity-days</text>')
    places = sorted(((frame.x(one.realised.value), one) for one in points), key=lambda place: place[0])
    path = " ".join(f"{x:.1f},{frame.y(one.paired.value):.1f}" for x, one in places)
    parts.append(f'<polyline class="line" points="{path}"/>')
    for x, one in places:
        low, high = frame.y(one.paired.low), frame.y(one.paired.high)
        parts.append(f'<line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
        parts.append(f'<circle class="dot" cx="{x:.1f}" cy="{frame.y(one.paired.value):.1f}" r="4"/>')
    return "".join([*parts, "</svg>"])


def _alternative(points: Sequence[AtBudget]) -> str:
    return "; ".join(f"{one.realised.value:.1f} findings: recall {one.paired.value:.2f}" for one in points)
