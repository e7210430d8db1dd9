"""The other pages: entities, tuning, filters, health, the log-in."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from ebbtide.achieved import achieved
from ebbtide.comparison import Comparison
from ebbtide.detect.detection import Detection
from ebbtide.errors import UsageError
from ebbtide.finding.text import rfc3339
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.search import Search
from ebbtide.store.view import View
from ebbtide.web.access import PageReader, PageWriter, TheAccess, TheSite, access_of, local_path
from ebbtide.web.answers import NewBacktest
from ebbtide.web.api import db_of
from ebbtide.web.api_decisions import bench_of, cancel_backtest, drop_filter, filter_list, start_backtest
from ebbtide.web.entity import (
    SPAN_NS,
    destinations,
    hours_of_week,
    learning,
    members_of,
    metrics_of,
)
from ebbtide.web.query import entity_path, parse_entity
from ebbtide.web.rendering import render
from ebbtide.web.site import Site
from ebbtide.web.tuning import Job, command, comparison_of, default_range, diff
from ebbtide.web.usual import levels
from ebbtide.web.views import TheView

router = APIRouter(include_in_schema=False)

#: Entities of a page.
ENTITIES = 50
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@router.get("/entities")
def entities_page(request: Request, site: TheSite, view: TheView, who: PageReader) -> Response:
    """Who sends most, with a search."""
    params = request.query_params
    text, skip = params.get("q", "")[:500], _whole(params.get("skip", "0"))
    until_ns = view.reading.horizon(site.now())
    words = text.split()
    named = view.profile.named(words) if words else None
    found = view.profile.entities(until_ns - SPAN_NS, until_ns, named, skip, ENTITIES)
    total = len(view.identity.entities) if named is None else len(named)
    return render(
        request, "entities.html", who, found=found, total=total, text=text, skip=skip, size=ENTITIES, until_ns=until_ns,
        is_scaled=bool(view.contacts.units() - {""}),
    )  # fmt: skip


@router.get("/entities/{path:path}")
def entity_page(path: str, request: Request, site: TheSite, view: TheView, who: PageReader) -> Response:
    """One entity over 30 days."""
    entity = parse_entity(path)
    numbers = members_of(view, entity)
    until_ns = view.reading.horizon(site.now())
    metrics = metrics_of(view, numbers, until_ns)
    wanted = request.query_params.get("metric", "")
    metric = wanted if wanted in metrics else (metrics[0] if metrics else "")
    heat = hours_of_week(view, numbers, metric, until_ns)
    mean = np.array([[np.nan if one is None else one for one in row] for row in heat.mean])
    known = destinations(view, numbers, until_ns)
    processes = [
        one
        for one in view.identity.entities
        if (one.cluster, one.namespace, one.workload) == (entity.cluster, entity.namespace, entity.workload)
    ]
    return render(
        request,
        "entity.html",
        who,
        entity=entity,
        path=entity_path(entity),
        metrics=metrics,
        metric=metric,
        unit=heat.unit,
        learning=learning(view, numbers, until_ns),
        heat=[
            (day, list(enumerate(zip(shades, row, strict=True))))
            for day, shades, row in zip(WEEKDAYS, levels(mean), heat.mean, strict=True)
        ],
        known=known,
        sent=sum(one.sent for one in known),
        processes=processes,
        versions=view.profile.versions(numbers, until_ns - SPAN_NS, until_ns + HOUR_NS),
        found=view.search.page(Search("all", entity=entity, order="newest"), size=50).rows,
        until_ns=until_ns,
    )


@router.get("/filters")
def filters_page(request: Request, site: TheSite, view: TheView, who: PageReader) -> Response:
    """All filters, and a form for another with what it would hide."""
    total = view.search.pulse(Search("all")).findings
    matchers = request.query_params.get("matchers", "")[:4_000]
    return render(
        request, "filters.html", who, filters=filter_list(view, site), total=total, matchers=matchers, next="/filters"
    )


@router.post("/filters/remove")
def remove_filter_form(site: TheSite, posted: PageWriter) -> Response:
    """Forget a filter, and come back."""
    drop_filter(site, posted.one("name"))
    return RedirectResponse("/filters", 303)


@router.get("/health")
def health_page(request: Request, site: TheSite, view: TheView, who: PageReader) -> Response:
    """How the service fares, and how many findings there were against the budget."""
    until_ns = view.reading.horizon(site.now())
    health = site.health()
    return render(
        request, "health.html", who, health=health, budget=_budget(view, site, until_ns), until_ns=until_ns,
        entities=len(view.identity.entities),
    )  # fmt: skip


def _budget(view: View, site: Site, until_ns: int) -> list[dict[str, object]]:
    """For each detection its findings in the last 30 days: a day, and per 1,000 entity-days beside what is allowed."""
    day = until_ns // DAY_NS + 1
    counts = view.search.by_day((day - 30) * DAY_NS, day * DAY_NS)
    rows = []
    detections = list(site.catalogue.detections.values())
    for detection, spent in zip(detections, achieved(view, detections, until_ns), strict=True):
        by_day = {at: many for name, at, many in counts if name == detection.id}
        rows.append(
            {
                "detection": detection,
                "spent": spent,
                "days": [by_day.get(at, 0) for at in range(day - 30, day)],
                "most": max([1, *by_day.values()]),
            }
        )
    return rows


class Field(BaseModel):
    """One option of a detector as a form shows it."""

    name: str
    kind: str
    value: str
    choices: list[str]
    help: str


def fields_of(detection: Detection, options: type[BaseModel]) -> list[Field]:
    """The options of a detection as fields; what has parts of its own is edited as JSON."""
    found = []
    for name, spec in options.model_json_schema().get("properties", {}).items():
        value = detection.options.get(name)
        choices = [str(one) for one in spec.get("enum", [])]
        kind = "choice" if choices else str(spec.get("type", "json"))
        if kind not in ("choice", "integer", "number", "boolean", "string"):
            kind = "json"
        text = json.dumps(value) if kind in ("json", "boolean") else f"{value:g}" if kind == "number" else str(value)
        found.append(Field(name=name, kind=kind, value=text, choices=choices, help=str(spec.get("description", ""))))
    return found


def options_from(fields: list[Field], posted: dict[str, str]) -> dict[str, object]:
    """The options that a form changes. Raises UsageError for text that is no number or no JSON."""
    changed: dict[str, object] = {}
    for one in fields:
        text = posted.get(one.name)
        if text is None or text == one.value:
            continue
        try:
            plain = one.kind in ("choice", "string")
            changed[one.name] = text if plain else json.loads(text, parse_constant=_refuse)
        except ValueError:
            raise UsageError(
                f"the option {one.name}: {text[:60]!r} is not a {one.kind}", hint=f"it is {one.value} now"
            ) from None
    return changed


def _refuse(word: str) -> float:
    raise ValueError(word)


@router.get("/tuning")
def tuning_page(request: Request, site: TheSite, view: TheView, who: PageReader) -> Response:
    """Choose a detection, change its options, see what that would have found."""
    params = request.query_params
    detections = list(site.catalogue.detections.values())
    detection = site.catalogue.get(params["detection"]) if params.get("detection") else detections[-1]
    job = bench_of(request).get(params["job"]) if params.get("job") else None
    fields = fields_of(detection, site.detectors[detection.detector].options)
    span = view.reading.span()
    range_ = default_range(view, detection) if span else None
    shown = fields_of(job.changed, site.detectors[detection.detector].options) if job else fields
    return render(
        request, "tuning.html", who, detections=detections, detection=detection,
        fields=[(one, params.get(f"o.{one.name}", now.value)) for one, now in zip(fields, shown, strict=True)],
        from_=params.get("from") or (rfc3339((job.range if job else range_).from_ns) if range_ else ""),
        to=params.get("to") or (rfc3339((job.range if job else range_).to_ns) if range_ else ""),
        job=job, work=work_of(site, job),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Work:
    """What the page of a backtest shows of it; `tallest` is the most findings of a day, for the bars."""

    comparison: Comparison | None
    diff: str
    command: str
    tallest: int


def work_of(site: Site, job: Job | None) -> Work | None:
    """The result of a backtest, as far as there is one."""
    if job is None:
        return None
    comparison = comparison_of(job)
    tallest = max([1, *(max(before, after) for _, before, after in comparison.days)]) if comparison else 1
    return Work(comparison, diff(job, site.catalogue.origin[job.detection.id]), command(job, db_of(site)), tallest)


@router.post("/tuning/start")
def post_tuning(request: Request, site: TheSite, view: TheView, posted: PageWriter) -> Response:
    """Start a backtest; its page is the same page with the backtest in its address."""
    detection = site.catalogue.get(posted.one("detection"))
    fields = fields_of(detection, site.detectors[detection.detector].options)
    options = options_from(fields, {one.name: posted.one(f"o.{one.name}", one.value) for one in fields})
    wanted = NewBacktest.model_validate(
        {
            "detection": detection.id,
            "options": options,
            "from": posted.one("from") or None,
            "to": posted.one("to") or None,
        }
    )
    job = start_backtest(bench_of(request), view, site, wanted, posted.who)
    return RedirectResponse(f"/tuning?detection={detection.id}&job={job.id}", 303)


@router.post("/tuning/cancel")
def post_cancel(request: Request, posted: PageWriter) -> Response:
    """Cancel a backtest."""
    job = cancel_backtest(bench_of(request), posted.one("job"), posted.who)
    return RedirectResponse(f"/tuning?detection={job.detection.id}&job={job.id}", 303)


@router.get("/tuning/job")
def job_part(request: Request, site: TheSite, who: PageReader) -> Response:
    """A backtest's progress or result, as a part of the page."""
    job = bench_of(request).get(request.query_params.get("job", ""))
    return render(request, "job.html", who, job=job, work=work_of(site, job))


@router.get("/login")
def login_page(request: Request, access: TheAccess) -> Response:
    """The log-in; where there is none, a session begins and the browser goes on."""
    following = local_path(request.query_params.get("next", "/findings"))
    if access.is_open:
        response = RedirectResponse(following, 303)
        access.begin(response, None)
        return response
    return render(request, "login.html", None, next=following, error="")


@router.post("/login")
async def post_login(request: Request, access: TheAccess) -> Response:
    """Begin a session for a token. The origin was checked before; there is no session yet to bind the form to."""
    form = await request.form(max_files=0, max_fields=10)
    following = local_path(str(form.get("next", "/findings")))
    token = access.token(str(form.get("token", "")).strip())
    if token is None:
        return render(request, "login.html", None, status=401, next=following, error="This token is not known.")
    response = RedirectResponse(following, 303)
    access.begin(response, token)
    return response


@router.post("/logout")
def post_logout(access: TheAccess) -> Response:
    """End the session; that it is our own page which asks, the origin tells."""
    response = RedirectResponse("/login" if not access.is_open else "/findings", 303)
    access.end(response)
    return response


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 7 else 0


def error_page(request: Request, status: int, refusal: object) -> Response:
    """Any error for people."""
    who = access_of(request).session(request)
    return render(request, "error.html", who, status=status, code=status, refusal=refusal)
