"""The pages of findings: the inbox, one finding, verdicts, and the preview of what a filter would hide."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import ValidationError

from ebbtide.errors import EbbtideError, UsageError
from ebbtide.finding.evidence import MetricEvidence
from ebbtide.finding.explain import quiet_k
from ebbtide.finding.filters import matchers_text, suggest
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.notice import SILENCE
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.series import HOUR_NS
from ebbtide.store.search import Page, Pulse, Search
from ebbtide.store.view import View
from ebbtide.triage import judge
from ebbtide.web.access import PageReader, PageWriter, TheSite, local_path
from ebbtide.web.accounts import accounts
from ebbtide.web.answers import NewFilter
from ebbtide.web.api import db_of, policy_of, the_finding
from ebbtide.web.api_decisions import keep_filter, preview
from ebbtide.web.chart import band_words, line_words, main_metric
from ebbtide.web.query import cursor_of, read_query
from ebbtide.web.rendering import render
from ebbtide.web.runbook import QUARANTINE, repeat_command, steps
from ebbtide.web.views import TheView

router = APIRouter(include_in_schema=False)

#: Rows of a page without groups, groups of a page, and rows of a group before "more".
ROWS, GROUPS, ROWS_OF_GROUP = 50, 25, 4
#: Findings that one form may decide at once.
MOST_AT_ONCE = 500
#: Related findings: same entity at any time, or other entities within this of it.
NEAR_NS = 2 * HOUR_NS


@router.get("/")
def first_page() -> Response:
    """The inbox is where people begin."""
    return RedirectResponse("/findings", 303)


@router.get("/findings")
def findings_page(request: Request, site: TheSite, view: TheView, who: PageReader) -> Response:
    """The inbox, grouped as asked; a search that cannot be read is said beside the field."""
    query = read_query(request.query_params)
    search, until_ns = query.search, view.reading.horizon(site.now())
    span = view.reading.span()
    pulse = view.search.pulse(search)
    page, groups, following = Page((), None), [], None
    if query.error is not None:
        pass  # nothing is listed: a list that leaves a condition out would be another list
    elif query.group == "none":
        page = view.search.page(search, query.after, ROWS)
        following = cursor_of(page.next)
    else:
        groups = view.search.groups(search, query.group, query.skip, GROUPS + 1, ROWS_OF_GROUP)
        following = cursor_of(None, query.skip + GROUPS) if len(groups) > GROUPS else None
    return render(
        request,
        "findings.html",
        who,
        query=query,
        page=page,
        groups=groups[:GROUPS],
        following=following,
        facets=view.search.facets(search),
        pulse=pulse,
        incidents={name: points for name, _, points in view.search.incidents(until_ns)},
        total=view.search.pulse(Search("all")).findings,
        span=span,
        until_ns=until_ns,
        sender_settings=site.sender_settings,
        labels={one.id: one.short_name for one in site.catalogue.detections.values()},
    )


@router.get("/findings/news")
def news(request: Request, view: TheView, who: PageReader) -> Response:
    """What happened to a list since it was shown: a line that offers to show it, nothing that moves the list."""
    query = read_query(request.query_params)
    params = request.query_params
    shown = [params.get(name, "") for name in ("n", "opened", "last")]
    if not all(one.isdecimal() and len(one) < 20 for one in shown):
        raise UsageError("the address lacks what was shown before", hint="reload the page")
    since = Pulse(*map(int, shown))
    opened, gone_on = view.search.news(query.search, since)
    return render(request, "news.html", who, opened=opened, gone_on=gone_on, query=query)


@router.get("/findings/{uid}")
def finding_page(uid: str, request: Request, site: TheSite, view: TheView, who: PageReader) -> Response:
    """One finding, from what happened to what to do; of a notice the page that shows what it tells."""
    notice = view.notices.find(uid)
    if notice is not None:
        incident = urlencode({"incident": notice.record.risk.object, "state": "all"})
        return RedirectResponse("/health" if notice.kind == SILENCE.id else f"/findings?{incident}", 303)
    episode = the_finding(view, uid)
    finding = episode.finding
    wanted = request.query_params.get("metric")
    main = next((one for one in finding.evidence.metrics if one.metric == wanted), main_metric(finding.evidence))
    detection = site.catalogue.detections.get(finding.detection_id)
    matchers = matchers_text(suggest(finding))
    return render(
        request,
        "finding.html",
        who,
        episode=episode,
        finding=finding,
        main=main,
        standings=[standing(one) for one in finding.evidence.metrics],
        accounts=accounts(finding.evidence),
        band_words=band_words(finding.evidence),
        line_words=line_words(finding.evidence),
        detection=detection,
        row=view.search.rows([finding.uid])[0],
        judgements=view.findings.judgements(finding.uid),
        quiet_k=quiet_k(finding.evidence),
        verdicts=list(Verdict),
        steps=steps(finding),
        quarantine=QUARANTINE,
        policy=policy_of(view, site, episode),
        command=repeat_command(finding, db_of(site)),
        explain_command=f"ebbtide explain --db {db_of(site)} {finding.uid}",
        related=_related(view, episode),
        points=_points(view, finding),
        matchers=matchers,
        preview=preview(view, matchers),
    )


def standing(one: MetricEvidence) -> dict[str, object]:
    """What a metric contributed, and how often such a value came before."""
    known = one.baseline
    if known.count == 0:
        rarity = "no history to compare with"
    elif one.value > known.maximum:
        rarity = f"higher than all {known.count:,} values before"
    else:
        rarity = f"was reached before: the highest of {known.count:,} values is higher"
    return {"metric": one, "rarity": rarity, "hits": len(one.hits) + one.hits_left_out}


def _related(view: View, episode: Episode) -> dict[str, object]:
    finding = episode.finding
    own = view.search.page(Search("all", entity=finding.entity, order="newest"), size=9).rows
    near = Search("all", from_ns=finding.opened_ns - NEAR_NS, to_ns=finding.end_ns + NEAR_NS, order="risk")
    others = view.search.page(near, size=12).rows
    return {
        "own": [one for one in own if one.uid != finding.uid][:8],
        "near": [one for one in others if one.entity != finding.entity][:6],
    }


def _points(view: View, finding: Finding) -> float | None:
    """The points of the finding's risk object, where they are an incident as of its end."""
    incidents = {name: points for name, _, points in view.search.incidents(finding.end_ns)}
    return incidents.get(finding.risk.object)


@router.post("/verdicts")
def post_verdicts(site: TheSite, posted: PageWriter) -> Response:
    """Decide about one finding or many, and come back to where one was."""
    uids = posted.fields.get("uid", ())
    if not uids or len(uids) > MOST_AT_ONCE:
        raise UsageError(f"{len(uids)} findings were chosen", hint=f"choose 1 to {MOST_AT_ONCE}")
    verdict = _verdict(posted.one("verdict"))
    note = posted.one("note")[:2_000]
    now_ns = site.now()
    with site.store.transaction():
        for uid in uids:
            judge(site.store, Judgement(uid, verdict, posted.who.name, note, now_ns))
    return RedirectResponse(local_path(posted.one("next", "/findings")), 303)


def _verdict(text: str) -> Verdict:
    try:
        return Verdict(text)
    except ValueError:
        raise UsageError(f"{text[:40]!r} is no verdict", hint=f"one of {', '.join(Verdict)}") from None


@router.post("/filters/preview")
def post_preview(request: Request, view: TheView, posted: PageWriter) -> Response:
    """What the matchers in a form would hide, as a part of the page."""
    found, error = None, None
    try:
        found = preview(view, posted.one("matchers"))
    except EbbtideError as mistake:
        error = mistake
    return render(request, "preview.html", posted.who, preview=found, error=error)


@router.post("/filters/add")
def post_filter(site: TheSite, posted: PageWriter) -> Response:
    """Keep a filter, and come back."""
    fields = {name: posted.one(name) for name in ("name", "matchers", "reason", "expires")}
    try:
        wanted = NewFilter.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"the filter's {first['loc'][0]}: {first['msg']}", hint="go back and mend it") from None
    keep_filter(site, wanted, posted.who.name)
    return RedirectResponse(local_path(posted.one("next", "/filters")), 303)
