"""The JSON API under /api/v1: findings, entities, detections, health."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from ebbtide.achieved import achieved
from ebbtide.errors import NotFoundError, UsageError
from ebbtide.finding.explain import explain
from ebbtide.finding.form import to_object
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.text import rfc3339
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.series import Entity
from ebbtide.store.search import Order, Search, State
from ebbtide.store.view import View
from ebbtide.triage import judge
from ebbtide.web.access import ApiReader, ApiWriter, TheSite
from ebbtide.web.answers import (
    Decision,
    DestinationsAnswer,
    DetectionAnswer,
    DetectionList,
    EntityAnswer,
    EntityList,
    EntityName,
    FindingAnswer,
    FindingList,
    FindingRow,
    HealthAnswer,
    KnownDestination,
    NewVerdict,
    SeriesAnswer,
    WeekAnswer,
)
from ebbtide.web.chart import FindingChart, finding_chart, members
from ebbtide.web.entity import (
    SPAN_NS,
    chosen_of,
    destinations,
    entity_rows,
    hours_of_week,
    learning,
    members_of,
    metrics_of,
    series,
)
from ebbtide.web.parameters import After, LongLimit
from ebbtide.web.policy import egress_policy, usual_of
from ebbtide.web.query import cursor_of, name_key, page_after, parse_entity, read_query
from ebbtide.web.refusal import REFUSALS
from ebbtide.web.runbook import repeat_command
from ebbtide.web.site import Site
from ebbtide.web.views import TheView

router = APIRouter(prefix="/api/v1", responses=REFUSALS)

Uid = Annotated[str, Path(min_length=8, max_length=64, description="A finding's uid, or its first 8 letters or more.")]
EntityPath = Annotated[str, Path(description="`cluster/namespace/workload/process`; a missing part is `-`.")]
Metric = Annotated[str | None, Query(max_length=200, description="A metric's name; absent: the most telling one.")]


def the_finding(view: View, uid: str) -> Episode:
    """The one finding whose uid begins so. Raises NotFoundError."""
    known = view.findings.find(uid) if len(uid) >= 8 else []
    if len(known) != 1:
        which = "no finding" if not known else f"{len(known)} findings"
        raise NotFoundError(f"{which} whose uid begins with {uid[:64]!r}", hint="search for the entity instead")
    return known[0]


def db_of(site: Site) -> str:
    """How command lines name the store."""
    return str(site.store.path) if site.store.path else "FILE"


class ListParams(BaseModel):
    """What a list of findings may be asked for; `query.read_query` reads the same from the address."""

    state: State = "undecided"
    sort: Order = "risk"
    cluster: list[str] = Field(default_factory=list, max_length=50)
    namespace: list[str] = Field(default_factory=list, max_length=50)
    detection: list[str] = Field(default_factory=list, max_length=50)
    verdict: list[Verdict] = Field(default_factory=list, max_length=10)
    entity: str | None = Field(None, max_length=4_000)
    incident: str | None = Field(None, max_length=4_000)
    from_: str | None = Field(None, alias="from", max_length=40)
    to: str | None = Field(None, max_length=40)
    q: str | None = Field(None, max_length=4_000, description="Matchers as of filters, or plain words.")
    after: str | None = Field(None, max_length=500, description="The cursor `next` of the page before.")
    limit: int = Field(50, ge=1, le=500)


@router.get("/findings", tags=["findings"])
def list_findings(request: Request, params: Annotated[ListParams, Query()], view: TheView, _: ApiReader) -> FindingList:
    """Findings by risk or time, a page at a time; parameters are those of the page's own address."""
    query = read_query(request.query_params)
    if query.error is not None:
        raise query.error
    page = view.search.page(query.search, query.after, params.limit)
    return FindingList(
        findings=[FindingRow.of(row) for row in page.rows], next=cursor_of(page.next), is_cut=page.is_cut
    )


@router.get("/findings/{uid}", tags=["findings"])
def get_finding(uid: Uid, site: TheSite, view: TheView, _: ApiReader) -> FindingAnswer:
    """One finding in full, with what was decided about it and what to do."""
    episode = the_finding(view, uid)
    finding = episode.finding
    detection = site.catalogue.detections.get(finding.detection_id)
    return FindingAnswer(
        finding=to_object(finding),
        closed=None if episode.closed_ns is None else rfc3339(episode.closed_ns),
        reopened=episode.reopened,
        peak_count=episode.peak_count,
        verdicts=[Decision.of(one) for one in view.findings.judgements(finding.uid)],
        explanation=explain(finding, detection),
        command=repeat_command(finding, db_of(site)),
        network_policy=policy_of(view, site, episode),
    )


def policy_of(view: View, site: Site, episode: Episode) -> str:
    """The egress policy of a finding's workload: what it talked to before the finding."""
    finding = episode.finding
    numbers = members(view, finding, site.catalogue.detections.get(finding.detection_id))
    known = view.profile.destinations(numbers, finding.opened_ns - SPAN_NS, finding.end_ns)
    return egress_policy(finding.riskiest, usual_of(known, finding.opened_ns))


@router.get("/findings/{uid}/chart", tags=["findings"])
def get_chart(uid: Uid, site: TheSite, view: TheView, _: ApiReader, metric: Metric = None) -> FindingChart:
    """One metric around a finding: sent, received, usual band, line, marked buckets, earlier weeks."""
    finding = the_finding(view, uid).finding
    detection = site.catalogue.detections.get(finding.detection_id)
    chart = finding_chart(view, finding, detection, metric, view.reading.horizon(site.now()))
    if chart is None:
        names = ", ".join(one.metric for one in finding.evidence.metrics)
        raise NotFoundError(f"the finding has no metric {metric!r:.60}", hint=f"it has {names}")
    return chart


@router.post("/findings/{uid}/verdict", tags=["findings"])
def post_verdict(uid: Uid, wanted: NewVerdict, site: TheSite, view: TheView, who: ApiWriter) -> Decision:
    """Say what a finding turned out to be. `attack` takes its time out of what is learned."""
    finding = the_finding(view, uid).finding
    judgement = Judgement(finding.uid, wanted.verdict, who.name, wanted.note, site.now())
    judge(site.store, judgement)
    return Decision.of(judgement)


@router.get("/entities", tags=["entities"])
def list_entities(
    site: TheSite,
    view: TheView,
    _: ApiReader,
    q: Annotated[str, Query(max_length=4_000, description="Words that the name must have, or matchers.")] = "",
    sort: Annotated[Literal["sent", "name"], Query(description="By bytes sent or by name.")] = "sent",
    skip: Annotated[int, Query(ge=0, le=1_000_000, description="Where they are by bytes sent.")] = 0,
    after: After = "",
    limit: LongLimit = 50,
) -> EntityList:
    """Entities of the last 30 days; by name they come in pages with a cursor (`next`, given back as `after`)."""
    until_ns = view.reading.horizon(site.now())
    chosen = chosen_of(view, q)
    if sort == "name":
        everyone = sorted(view.profile.entities(until_ns - SPAN_NS, until_ns, chosen), key=lambda one: one.entity)
        page, following = page_after(everyone, lambda one: name_key(one.entity), after, limit)
    else:
        page, following = view.profile.entities(until_ns - SPAN_NS, until_ns, chosen, skip, limit), None
    total = len(view.identity.entities) if chosen is None else len(chosen)
    return EntityList(entities=entity_rows(view, page, until_ns), total=total, next=following)


@router.get("/entities/{path:path}/series", tags=["entities"])
def get_series(path: EntityPath, site: TheSite, view: TheView, _: ApiReader, metric: Metric = None) -> SeriesAnswer:
    """30 days of hours of one metric, with the usual band."""
    entity, numbers, until_ns = _known(view, site, path)
    return series(view, entity, numbers, _metric(view, numbers, until_ns, metric), until_ns)


@router.get("/entities/{path:path}/week", tags=["entities"])
def get_week(path: EntityPath, site: TheSite, view: TheView, _: ApiReader, metric: Metric = None) -> WeekAnswer:
    """What is usual in each hour of the week."""
    _entity, numbers, until_ns = _known(view, site, path)
    return hours_of_week(view, numbers, _metric(view, numbers, until_ns, metric), until_ns)


@router.get("/entities/{path:path}/destinations", tags=["entities"])
def get_destinations(path: EntityPath, site: TheSite, view: TheView, _: ApiReader) -> DestinationsAnswer:
    """Whom it talked to in the last 30 days."""
    _entity, numbers, until_ns = _known(view, site, path)
    known = destinations(view, numbers, until_ns)
    total = sum(one.sent for one in known)
    return DestinationsAnswer(destinations=[KnownDestination.of(one, total) for one in known])


@router.get("/entities/{path:path}", tags=["entities"])
def get_entity(path: EntityPath, site: TheSite, view: TheView, _: ApiReader) -> EntityAnswer:
    """One entity: its metrics, how far it is learned, how many findings it has."""
    entity, numbers, until_ns = _known(view, site, path)
    everything = Search("all", entity=entity)
    return EntityAnswer(
        entity=EntityName.of(entity),
        metrics=metrics_of(view, numbers, until_ns),
        learning=learning(view, numbers, until_ns),
        findings=view.search.pulse(everything).findings,
    )


def _known(view: View, site: Site, path: str) -> tuple[Entity, list[int], int]:
    entity = parse_entity(path)
    return entity, members_of(view, entity), view.reading.horizon(site.now())


def _metric(view: View, numbers: list[int], until_ns: int, metric: str | None) -> str:
    known = metrics_of(view, numbers, until_ns)
    if metric is None and known:
        return known[0]
    if metric is None or metric not in view.identity.metrics:
        raise UsageError(f"there is no metric {metric!r:.60}", hint=f"it sent {', '.join(known) or 'nothing'}")
    return metric


@router.get("/detections", tags=["detections"])
def list_detections(site: TheSite, _: ApiReader) -> DetectionList:
    """Every detection with its options and what they may be."""
    return DetectionList(
        detections=[
            DetectionAnswer(
                detection=one.model_dump(mode="json", by_alias=True),
                origin=site.catalogue.origin[one.id],
                options_schema=site.detectors[one.detector].options.model_json_schema(),
            )
            for one in site.catalogue.detections.values()
        ]
    )


@router.get("/health", tags=["health"])
def get_health(site: TheSite, view: TheView, _: ApiReader) -> HealthAnswer:
    """Sources, detections, sinks, what stands in the way, and what was told against the budget."""
    spent = achieved(view, site.catalogue.detections.values(), view.reading.horizon(site.now()))
    return HealthAnswer.of(site.health(), spent)
