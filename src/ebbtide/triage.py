"""What people do with findings: filter them, decide about them, and what that does to what is learned.

The command line, the API and the pages call the same functions, so a decision has the same effect wherever it is made.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from ebbtide.errors import ConfigError, NotFoundError
from ebbtide.finding.filters import Filter, Matcher, apply, parse_matchers
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.plan import NAME, PLAN_FIELDS, Plan
from ebbtide.finding.verdict import Judgement
from ebbtide.series import Entity
from ebbtide.store.known_contacts import ATTACK_MASK
from ebbtide.store.search import Search
from ebbtide.store.store import Store


def filtered(store: Store, found: Iterable[Finding], now_ns: int) -> list[Finding]:
    """The findings with the marks of the store's filters as of now, and of its plans.

    The filters keep their new hit counts. A plan's mark depends on when the finding was, not on when it is looked at.
    """
    with store.transaction():
        filters = store.filters.all()
        result = apply(filters, found, now_ns)
        for before, after in zip(filters, result.filters, strict=True):
            if before != after:
                store.filters.save(after)
        plans = store.plans.all()
    return [_with_plans(one, plans) for one in result.findings]


def _with_plans(finding: Finding, plans: list[Plan]) -> Finding:
    marks = tuple(plan.mark for plan in plans if plan.covers(finding))
    return dataclasses.replace(finding, hidden_by=finding.hidden_by + marks) if marks else finding


def refilter(store: Store, now_ns: int) -> list[Finding]:
    """Apply the filters of today to every finding there is, and keep the marks."""
    with store.transaction():
        return _mark(store, store.findings.all(), now_ns)


def _mark(store: Store, known: list[Episode], now_ns: int) -> list[Finding]:
    found = filtered(store, [one.finding for one in known], now_ns)
    for episode, finding in zip(known, found, strict=True):
        if episode.finding.hidden_by != finding.hidden_by:
            store.findings.save(dataclasses.replace(episode, finding=finding))
    return found


def lapse(store: Store, now_ns: int) -> list[Episode]:
    """Show again what only filters hid that have ended; the episodes that are hidden no longer, oldest first."""
    with store.transaction():
        hidden = [one for one in store.findings.among(store.search.possible(None)) if one.finding.is_hidden]
        found = _mark(store, hidden, now_ns)
    return [
        dataclasses.replace(episode, finding=finding)
        for episode, finding in zip(hidden, found, strict=True)
        if not finding.is_hidden
    ]


def keep(store: Store, found: Iterable[Finding]) -> None:
    """Keep findings of single evaluations, each in place of an older version of itself."""
    with store.transaction():
        for one in found:
            store.findings.save(Episode(one, one.count))


def add_filter(store: Store, added: Filter, now_ns: int) -> tuple[int, int]:
    """Keep a filter and apply it at once: how many findings it covers, of how many.

    Only findings that it may cover, or that are hidden already, are looked at: of 10,000 few documents are read.
    """
    with store.transaction():
        store.filters.save(added)
        found = _mark(store, store.findings.among(store.search.possible(added.matchers)), now_ns)
        total = store.search.pulse(Search("all")).findings
    return sum(added.covers(one) for one in found), total


def remove_filter(store: Store, name: str, now_ns: int) -> None:
    """Forget a filter; what only it hid is shown again. Raises NotFoundError."""
    with store.transaction():
        if not store.filters.remove(name):
            raise NotFoundError(f"there is no filter {name!r}", hint="list them with: ebbtide filters list")
        _mark(store, store.findings.among(store.search.possible(None)), now_ns)


def judge(store: Store, judgement: Judgement) -> Finding:
    """Keep a verdict on the finding with this uid. `attack` takes its time out of the baseline, others give it back.

    Raises NotFoundError.
    """
    with store.transaction():
        known = store.findings.find(judgement.uid)
        if len(known) != 1 or known[0].finding.uid != judgement.uid:
            raise NotFoundError(f"there is no finding {judgement.uid!r}", hint="list them with: ebbtide findings --all")
        finding = known[0].finding
        reason = f"{ATTACK_MASK}{finding.uid}"
        store.unmask(reason)
        if judgement.verdict.masks:
            for entity in finding.entities:
                store.mask(entity, finding.opened_ns, finding.end_ns, reason)
        store.findings.judge(judgement)
    return finding


#: What the masks of a reset are found by, with the entity behind it.
RESET = "baseline reset of "


def entities_under(store: Store, path: str) -> list[Entity]:
    """The entities a path means: `cluster/namespace/workload`, all of its processes, or one with `/process` behind.

    Raises NotFoundError where there is none.
    """
    parts = path.split("/", 3)
    known = [
        one
        for one in list(store.identity.entities)
        if len(parts) > 2
        and [one.cluster, one.namespace, one.workload] == parts[:3]
        and (len(parts) < 4 or one.process == parts[3])
    ]
    if not known:
        hint = "write cluster/namespace/workload or cluster/namespace/workload/process; see `ebbtide export entities`"
        raise NotFoundError(f"no entity {path!r} is known", hint=hint)
    return known


def reset_baseline(store: Store, path: str, before_ns: int, reason: str) -> list[Entity]:
    """Learn anew: leave everything before an instant out of the baselines of the entities a path means.

    A second reset of an entity takes the place of the first. Summaries are not touched: `undo_reset` gives all back.
    Detections as upstream know no masks. Raises NotFoundError.
    """
    with store.transaction():
        found = entities_under(store, path)
        for entity in found:
            _undo_reset(store, entity)
            store.mask(entity, 0, before_ns, f"{RESET}{entity}: {reason}")
    return found


def undo_reset(store: Store, path: str) -> int:
    """Take resets back; how many there were. Raises NotFoundError where no such entity is known."""
    with store.transaction():
        return sum(_undo_reset(store, entity) for entity in entities_under(store, path))


def _undo_reset(store: Store, entity: Entity) -> int:
    mine = {reason for whose, _, _, reason in store.masks() if whose == entity and reason.startswith(RESET)}
    return sum(store.unmask(reason) for reason in mine)


def add_plan(store: Store, plan: Plan, now_ns: int) -> tuple[int, int]:
    """Keep a planned change and mark the findings there are: how many lie within it, of how many.

    With `is_masked` its time is left out of the baselines of all entities that are known by now and that it is about;
    adding it again afterwards masks those that came since. Raises ConfigError for a name that cannot stand in an
    address, and for matchers on anything but senders.
    """
    if not re.fullmatch(NAME, plan.name):
        hint = "it has letters, digits, `_`, `.` and `-`, at most 100, and begins with a letter or digit"
        raise ConfigError(f"a plan cannot be called {plan.name[:60]!r}", hint=hint)
    for matcher in plan.matchers:
        if matcher.field not in PLAN_FIELDS:
            raise ConfigError(f"a plan cannot look at {matcher.field!r}", hint=f"it can at {', '.join(PLAN_FIELDS)}")
    if plan.from_ns >= plan.to_ns:
        raise ConfigError(f"the plan {plan.name!r} ends before it begins")
    with store.transaction():
        store.unmask(plan.mask_reason)
        if plan.is_masked:
            for entity in [one for one in store.identity.entities if plan.is_about(one)]:
                store.mask(entity, plan.from_ns, plan.to_ns, plan.mask_reason)
        store.plans.save(plan)
        found = refilter(store, now_ns)
    return sum(plan.covers(one) for one in found), len(found)


def remove_plan(store: Store, name: str, now_ns: int) -> None:
    """Forget a planned change: its findings are shown, its time is learned from. Raises NotFoundError."""
    with store.transaction():
        plans = [one for one in store.plans.all() if one.name == name]
        if not plans:
            raise NotFoundError(f"there is no plan {name!r}", hint="list them with: ebbtide plans list")
        store.plans.remove(name)
        store.unmask(plans[0].mask_reason)
        refilter(store, now_ns)


def known_destinations(path: str, destinations: Iterable[str]) -> tuple[Matcher, ...]:
    """Matchers of a filter that hides a workload's findings as long as all it sent went to these destinations.

    A filter on destinations holds only when it holds for every one of them, unlisted ones included: a single byte to
    a stranger brings the finding back. Raises ConfigError.

    >>> known_destinations("prod/shop/backup", ["s3", "gcs"])[-1].value
    's3|gcs'
    """
    parts = path.split("/", 3)
    names = [one for one in destinations if one]
    if len(parts) < 3 or not parts[2] or not names:
        raise ConfigError(
            "a list of known destinations has a workload and at least one destination",
            hint="write cluster/namespace/workload",
        )
    pattern = "|".join(re.escape(one) for one in names)
    columns = dict(zip(("cluster", "namespace", "workload", "process"), parts, strict=False))
    exact = [str(Matcher(field, "=", value)) for field, value in columns.items() if value]
    quoted = pattern.replace("\\", "\\\\").replace('"', '\\"')
    return parse_matchers("{" + ",".join([*exact, f'destination=~"{quoted}"']) + "}")
