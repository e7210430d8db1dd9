"""Templates become pages: everything escaped and made visible, numbers and times in one way, the theme as chosen."""

from __future__ import annotations

import functools
import hashlib
import math
from importlib import resources

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.finding import Finding
from ebbtide.finding.headline import amount_text
from ebbtide.finding.text import count_text, duration_text, percent_text, ratio_text, rfc3339
from ebbtide.report.wording import si, utc, visible
from ebbtide.series import DAY_NS, HOUR_NS, Endpoint
from ebbtide.store.search_row import Row
from ebbtide.web.access import Who, access_of, site_of
from ebbtide.web.answers import deviations
from ebbtide.web.query import entity_href, entity_path
from ebbtide.web.site import Site

THEMES = ("auto", "light", "dark")
THEME_COOKIE = "ebbtide_theme"


def render(request: Request, name: str, who: Who | None, *, status: int = 200, **context: object) -> HTMLResponse:
    """A template as an answer. `who` None: nobody is logged in, so nothing but the log-in is offered."""
    site: Site = site_of(request)
    theme = request.cookies.get(THEME_COOKIE, "auto")
    text = (
        _environment()
        .get_template(name)
        .render(
            who=who,
            is_open=access_of(request).is_open,
            csrf=who.csrf if who else "",
            here=request.url.path,
            address=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            theme=theme if theme in THEMES else "auto",
            version=site.version,
            now_ns=site.now(),
            **context,
        )
    )
    return HTMLResponse(text, status)


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        autoescape=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
        loader=jinja2.PackageLoader("ebbtide.web"),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "amount": amount_text,
        "capitalize_first": lambda text: text[:1].upper() + text[1:],
        "count": count_text,
        "day": lambda day: utc(day * DAY_NS)[:10],
        "duration": duration_text,
        "entity_href": entity_href,
        "entity_path": entity_path,
        "hour": lambda at_ns: at_ns // HOUR_NS * HOUR_NS,
        "iso": rfc3339,
        "map_of": dict,
        "percent": percent_text,
        "place": place_name,
        "plain": Exact,
        "si": si,
        "unusual": unusual,
        "utc": utc,
    }
    environment.globals |= {"asset": asset, "bytes_unit": bytes_unit}
    return environment


class Exact(str):
    """Text that is escaped but otherwise kept as it is: what a form sends back, or what is copied."""


def place_name(place: Endpoint) -> str:
    """A destination in short, as findings name it."""
    return DestinationShare(place, 0.0, 0.0, None).name


def bytes_unit(finding: Finding) -> str:
    """The unit of a finding's destinations."""
    return next((one.unit for one in finding.evidence.metrics if one.unit.startswith("scaled")), "bytes")


@functools.cache
def asset(name: str) -> str:
    """The address of a static file; it changes with the file, so that browsers may keep it for ever."""
    folder = resources.files("ebbtide.report" if name.startswith("uplot/") else "ebbtide.web").joinpath("static")
    digest = hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def unusual(row: Row) -> str:
    """How unusual a finding is, in a few words: against the usual hour, and in deviations of its worst bucket.

    Bytes speak where there are any, else the first metric.
    """
    told = next((one for one in row.metrics if one.metric.endswith(".bytes")), row.metrics[0] if row.metrics else None)
    if told is None:
        return "not known"
    parts = []
    if told.usual_hour is not None and told.usual_hour > 0 and told.total / told.usual_hour >= 1.05:
        parts.append(f"{ratio_text(told.total / told.usual_hour)} x its usual hour")
    elif told.mean > 0 and math.isfinite(told.value):
        parts.append(f"up to {ratio_text(told.value / told.mean)} x its usual {duration_text(row.bucket_ns)}")
    else:
        parts.append("usually nothing at all")
    found = deviations(row)
    if found is not None:
        parts.append(f"{ratio_text(found)} σ above its mean")
    return ", ".join(parts)
