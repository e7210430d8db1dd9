"""The JSON API under /api/v1, continued: how far entities are learned, what is left out, planned changes."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field

from ebbtide.finding.filters import matchers_text, parse_matchers
from ebbtide.finding.plan import NAME, Plan
from ebbtide.finding.text import rfc3339
from ebbtide.store.learning import Learned, State
from ebbtide.triage import add_plan, remove_plan, reset_baseline, undo_reset
from ebbtide.web.access import ApiReader, ApiWriter, TheSite
from ebbtide.web.answers import EntityName
from ebbtide.web.parameters import After, Limit, LongLimit
from ebbtide.web.query import name_key, page_after, parse_instant
from ebbtide.web.refusal import REFUSALS
from ebbtide.web.views import TheView

router = APIRouter(prefix="/api/v1", responses=REFUSALS)

EntityText = Annotated[
    str,
    Query(min_length=1, max_length=4_000, description="`cluster/namespace/workload`, or with `/process` behind."),
]


class LearnedAnswer(BaseModel):
    """How far an entity is learned: closed days of the last 30, and the share of those in which its cluster was heard.

    `state`: `not_yet` without a closed day (no verdict), `young` below ten, `mature` from ten on.
    """

    entity: EntityName
    state: State
    days: int
    first: str
    covered: float

    @classmethod
    def of(cls, one: Learned) -> LearnedAnswer:
        """The row as an answer."""
        return cls(
            entity=EntityName.of(one.entity), state=one.state, days=one.days, first=rfc3339(one.first_ns),
            covered=one.covered,
        )  # fmt: skip


class LearnedList(BaseModel):
    """Entities by name. `next` is the next page's cursor."""

    entities: list[LearnedAnswer]
    next: str | None


class MaskAnswer(BaseModel):
    """A time of an entity that is left out of baselines, and why."""

    entity: EntityName
    from_: str = Field(serialization_alias="from")
    to: str
    reason: str


class MaskList(BaseModel):
    """What is left out, what begins last first. `next` is the next page's cursor."""

    masks: list[MaskAnswer]
    next: str | None


class NewReset(BaseModel):
    """A baseline to begin anew. `entity` may be a workload; `before` as RFC 3339, absent: now."""

    entity: str = Field(min_length=1, max_length=4_000)
    reason: str = Field(min_length=1, max_length=1_000)
    before: str | None = Field(None, max_length=40)


class ResetAnswer(BaseModel):
    """The entities that learn anew, and from when on."""

    entities: list[EntityName]
    before: str


class UndoneAnswer(BaseModel):
    """How many resets are taken back."""

    resets: int


class NewPlan(BaseModel):
    """A change to announce, in [from, to) as RFC 3339. `is_masked`: its time is left out of baselines."""

    name: str = Field(pattern=rf"^{NAME}$")
    matchers: str = Field(min_length=1, max_length=4_000)
    from_: str = Field(alias="from", max_length=40)
    to: str = Field(max_length=40)
    reason: str = Field(min_length=1, max_length=1_000)
    is_masked: bool


class PlanAnswer(BaseModel):
    """A planned change."""

    name: str
    matchers: str
    from_: str = Field(serialization_alias="from")
    to: str
    owner: str
    reason: str
    is_masked: bool

    @classmethod
    def of(cls, one: Plan) -> PlanAnswer:
        """The plan as an answer."""
        return cls(
            name=one.name, matchers=matchers_text(one.matchers), from_=rfc3339(one.from_ns), to=rfc3339(one.to_ns),
            owner=one.owner, reason=one.reason, is_masked=one.is_masked,
        )  # fmt: skip


class KeptPlan(PlanAnswer):
    """A planned change that was kept: how many findings it marks, of how many there are."""

    covered: int
    of_findings: int


class PlanList(BaseModel):
    """All planned changes, those of the past included."""

    plans: list[PlanAnswer]


@router.get("/learning", tags=["learning"])
def list_learning(
    site: TheSite,
    view: TheView,
    _: ApiReader,
    at: Annotated[
        str | None,
        Query(max_length=40, description="As of this time, RFC 3339; absent: now, or the end of a recording."),
    ] = None,
    after: After = "",
    limit: LongLimit = 100,
) -> LearnedList:
    """How far each entity is learned, and so what the default detection can say of it."""
    learned = view.learning(view.reading.horizon(site.now()) if at is None else parse_instant(at))
    page, following = page_after(learned, lambda one: name_key(one.entity), after, limit)
    return LearnedList(entities=[LearnedAnswer.of(one) for one in page], next=following)


@router.get("/baseline/masks", tags=["learning"])
def list_masks(view: TheView, _: ApiReader, after: After = "", limit: Limit = 100) -> MaskList:
    """What is left out of baselines: resets, attacks, planned changes."""
    masks = view.masks()
    page, following = page_after(masks, lambda one: (-one[1], one[3], *name_key(one[0]), one[2]), after, limit)
    return MaskList(
        masks=[
            MaskAnswer(entity=EntityName.of(entity), from_=rfc3339(from_ns), to=rfc3339(to_ns), reason=reason)
            for entity, from_ns, to_ns, reason in page
        ],
        next=following,
    )


@router.post("/baseline/resets", tags=["learning"], status_code=201)
def post_reset(wanted: NewReset, site: TheSite, _: ApiWriter) -> ResetAnswer:
    """Leave everything before an instant out of an entity's baseline; a second reset takes the place of the first."""
    before_ns = site.now() if wanted.before is None else parse_instant(wanted.before)
    found = reset_baseline(site.store, wanted.entity, before_ns, wanted.reason)
    return ResetAnswer(entities=[EntityName.of(one) for one in found], before=rfc3339(before_ns))


@router.delete("/baseline/resets", tags=["learning"])
def delete_resets(entity: EntityText, site: TheSite, _: ApiWriter) -> UndoneAnswer:
    """Take the resets of an entity back: what was left out is learned from again."""
    return UndoneAnswer(resets=undo_reset(site.store, entity))


@router.get("/plans", tags=["plans"])
def list_plans(view: TheView, _: ApiReader) -> PlanList:
    """All planned changes, by name."""
    return PlanList(plans=[PlanAnswer.of(one) for one in view.plans.all()])


@router.post("/plans", tags=["plans"], status_code=201)
def post_plan(wanted: NewPlan, site: TheSite, who: ApiWriter) -> KeptPlan:
    """Announce a change, or replace the one of this name; findings that lie wholly within it are marked."""
    matchers = parse_matchers(wanted.matchers)
    from_ns, to_ns = parse_instant(wanted.from_), parse_instant(wanted.to)
    plan = Plan(wanted.name, matchers, from_ns, to_ns, who.name, wanted.reason, wanted.is_masked)
    covered, total = add_plan(site.store, plan, site.now())
    kept = PlanAnswer.of(plan)
    return KeptPlan(**dict(kept), covered=covered, of_findings=total)


@router.delete("/plans/{name}", tags=["plans"], status_code=204)
def delete_plan(name: Annotated[str, Path(max_length=100)], site: TheSite, _: ApiWriter) -> None:
    """Forget a planned change: its findings are shown, its time is learned from."""
    remove_plan(site.store, name, site.now())
