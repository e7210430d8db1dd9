"""What people do with findings: filter them, decide about them, and what that does to what is learned.

The command line, the API and the pages call the same functions, so a decision has the same effect wherever it is made.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ebbtide.errors import NotFoundError
from ebbtide.finding.filters import Filter, apply
from ebbtide.finding.finding import Finding
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.verdict import Judgement
from ebbtide.store.search import Search
from ebbtide.store.store import Store


def filtered(store: Store, found: Iterable[Finding], now_ns: int) -> list[Finding]:
    """The findings with the marks of the store's filters as of now; the filters keep their new hit counts."""
    with store.transaction():
        filters = store.filters.all()
        result = apply(filters, found, now_ns)
        for before, after in zip(filters, result.filters, strict=True):
            if before != after:
                store.filters.save(after)
    return list(result.findings)


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
        reason = f"verdict on {finding.uid}"
        store.unmask(reason)
        if judgement.verdict.masks:
            store.mask(finding.entity, finding.opened_ns, finding.end_ns, reason)
        store.findings.judge(judgement)
    return finding
