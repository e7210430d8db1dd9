"""The JSON API under /api/v1, continued: filters and backtests."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request

from ebbtide.detect.detection import parse_duration
from ebbtide.errors import UsageError
from ebbtide.finding.filters import Filter, matchers_text, parse_matchers
from ebbtide.store.search import Search
from ebbtide.store.view import View
from ebbtide.triage import add_filter, remove_filter
from ebbtide.web.access import ApiReader, ApiWriter, TheSite, Who
from ebbtide.web.answers import (
    BacktestAnswer,
    BacktestList,
    FilterAnswer,
    FilterList,
    FindingRow,
    Matchers,
    NewBacktest,
    NewFilter,
    Preview,
)
from ebbtide.web.query import parse_instant
from ebbtide.web.refusal import REFUSALS, Refused
from ebbtide.web.site import Scope, Site
from ebbtide.web.tuning import Bench, Job, Range, comparison_of, default_range
from ebbtide.web.views import TheView

router = APIRouter(prefix="/api/v1", responses=REFUSALS)

Name = Annotated[str, Path(max_length=100)]
#: A filter that hides more than this share of all findings gets a warning.
WIDE_SHARE = 0.5
#: Findings told of a preview.
PREVIEWED = 10


def filter_list(view: View, site: Site) -> list[FilterAnswer]:
    """Every filter with what it covers of the findings there are, those of files first."""
    now_ns = site.now()
    known = [(one, True) for one in site.fixed_filters] + [(one, False) for one in view.filters.all()]
    return [
        FilterAnswer.of(one, now_ns, view.search.covered(one.matchers)[0], is_fixed=is_fixed) for one, is_fixed in known
    ]


def preview(view: View, text: str) -> Preview:
    """What a filter with these matchers would hide of the findings there are. Raises ConfigError."""
    matchers = parse_matchers(text)
    covered, total, is_bounded = view.search.covered(matchers)
    rows = view.search.page(Search("all", matchers=matchers), size=PREVIEWED).rows
    return Preview(
        matchers=matchers_text(matchers),
        covered=covered,
        of=total,
        is_bounded=is_bounded,
        is_wide=covered > WIDE_SHARE * total,
        findings=[FindingRow.of(row) for row in rows],
    )


def keep_filter(site: Site, wanted: NewFilter, owner: str) -> Filter:
    """Keep a filter and apply it to what there is. Raises ConfigError for matchers, UsageError for a duration."""
    if any(one.id == wanted.name for one in site.fixed_filters):
        raise UsageError(f"the filter {wanted.name!r} comes from a file", hint="give this one another name")
    now_ns = site.now()
    try:
        expires_ns = None if wanted.expires == "never" else now_ns + parse_duration(wanted.expires)
    except ValueError as error:
        raise UsageError(str(error), hint="or `never`") from None
    added = Filter(wanted.name, parse_matchers(wanted.matchers), owner, wanted.reason, now_ns, expires_ns)
    add_filter(site.store, added, now_ns)
    return added


def drop_filter(site: Site, name: str) -> None:
    """Forget a filter. Raises NotFoundError, and UsageError for one that comes from a file."""
    if any(one.id == name for one in site.fixed_filters):
        raise UsageError(f"the filter {name!r} comes from a file", hint="remove it there")
    remove_filter(site.store, name, site.now())


@router.get("/filters", tags=["filters"])
def list_filters(site: TheSite, view: TheView, _: ApiReader) -> FilterList:
    """All filters, expired ones included."""
    return FilterList(filters=filter_list(view, site))


@router.post("/filters", tags=["filters"], status_code=201)
def post_filter(wanted: NewFilter, site: TheSite, view: TheView, who: ApiWriter) -> FilterAnswer:
    """Keep a filter, or replace the one of this name; it applies to findings that exist already."""
    added = keep_filter(site, wanted, who.name)
    kept = next((one for one in view.filters.all() if one.id == added.id), added)
    return FilterAnswer.of(kept, site.now(), view.search.covered(kept.matchers)[0], is_fixed=False)


@router.delete("/filters/{name}", tags=["filters"], status_code=204)
def delete_filter(name: Name, site: TheSite, _: ApiWriter) -> None:
    """Forget a filter; what only it hid is shown again."""
    drop_filter(site, name)


@router.post("/filters/preview", tags=["filters"])
def post_preview(wanted: Matchers, view: TheView, _: ApiReader) -> Preview:
    """What a filter would hide, without keeping it."""
    return preview(view, wanted.matchers)


def bench_of(request: Request) -> Bench:
    """The site's backtests."""
    found: Bench = request.app.state.bench
    return found


def start_backtest(bench: Bench, view: View, site: Site, wanted: NewBacktest, who: Who) -> Job:
    """Start a backtest. Raises NotFoundError, UsageError, NoDataError."""
    detection = site.catalogue.get(wanted.detection)
    whole = default_range(view, detection)
    try:
        every_ns = parse_duration(wanted.every) if wanted.every else whole.every_ns
    except ValueError as error:
        raise UsageError(str(error)) from None
    if every_ns <= 0:
        raise UsageError(f"{wanted.every!r} is no time at all", hint="write a duration such as 15m or 1h")
    from_ns = parse_instant(wanted.from_) if wanted.from_ else whole.from_ns
    to_ns = parse_instant(wanted.to) if wanted.to else whole.to_ns
    return bench.start(detection, wanted.options, Range(from_ns, to_ns, every_ns), who.name)


def cancel_backtest(bench: Bench, job_id: str, who: Who) -> Job:
    """Cancel one's own backtest, or with the scope admin anybody's. Raises NotFoundError, Refused."""
    job = bench.get(job_id)
    if job.owner != who.name and who.scope < Scope.ADMIN:
        raise Refused(403, f"{job.owner} started it", "ask them, or use a token with the scope admin")
    return bench.cancel(job_id)


def _answer(job: Job) -> BacktestAnswer:
    return BacktestAnswer.of(job, comparison_of(job))


@router.get("/backtests", tags=["backtests"])
def list_backtests(request: Request, _: ApiReader) -> BacktestList:
    """The backtests that are kept, the latest first."""
    return BacktestList(backtests=[_answer(job) for job in bench_of(request).jobs()])


@router.post("/backtests", tags=["backtests"], status_code=202)
def post_backtest(
    wanted: NewBacktest, request: Request, site: TheSite, view: TheView, who: ApiWriter
) -> BacktestAnswer:
    """Run a detection over the recorded history, as it is and with other options."""
    return _answer(start_backtest(bench_of(request), view, site, wanted, who))


@router.get("/backtests/{job_id}", tags=["backtests"])
def get_backtest(job_id: Name, request: Request, _: ApiReader) -> BacktestAnswer:
    """How far it is, and what it came to."""
    return _answer(bench_of(request).get(job_id))


@router.delete("/backtests/{job_id}", tags=["backtests"])
def delete_backtest(job_id: Name, request: Request, who: ApiWriter) -> BacktestAnswer:
    """Cancel it at its next tick."""
    return _answer(cancel_backtest(bench_of(request), job_id, who))
