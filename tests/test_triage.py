import dataclasses

import pytest
from finding_samples import sample

from ebbtide.errors import NotFoundError
from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.store.store import Store
from ebbtide.triage import add_filter, filtered, judge, keep, refilter, remove_filter

FINDING = sample()


def covering(name: str, **changes: object) -> Filter:
    matchers = parse_matchers(f'{{workload="{FINDING.entity.workload}"}}')
    return dataclasses.replace(Filter(name, matchers, "ann", "known", 0), **changes)


def hidden(store: Store) -> list[tuple[str, ...]]:
    return [one.finding.hidden_by for one in store.findings.all()]


def test_a_filter_hides_what_is_there_counts_it_once_and_gives_it_back():
    with Store.open() as store:
        keep(store, [FINDING])

        assert add_filter(store, covering("known"), 10) == (1, 1)
        assert hidden(store) == [("known",)]
        refilter(store, 11)
        assert store.filters.all()[0].hits == 1

        remove_filter(store, "known", 12)
        assert hidden(store) == [()]


def test_an_expired_filter_hides_no_more():
    with Store.open() as store:
        keep(store, [FINDING])
        add_filter(store, covering("known", expires_ns=20), 10)

        refilter(store, 20)

        assert hidden(store) == [()]


def test_findings_that_are_not_kept_are_marked_too():
    with Store.open() as store:
        store.filters.save(covering("known"))

        assert [one.hidden_by for one in filtered(store, [FINDING], 5)] == [("known",)]


def test_removing_what_is_not_there_says_so():
    with Store.open() as store, pytest.raises(NotFoundError, match="no filter 'x'"):
        remove_filter(store, "x", 0)


def masks(store: Store) -> list[tuple[object, ...]]:
    return store.ask("SELECT workload, from_ns, to_ns FROM masks")


def test_an_attack_is_not_learned_from_until_the_verdict_changes():
    entity = FINDING.entity
    with Store.open() as store:
        keep(store, [FINDING])

        judge(store, Judgement(FINDING.uid, Verdict.ATTACK, "ann", "curl", 1))
        judge(store, Judgement(FINDING.uid, Verdict.ATTACK, "ann", "sure", 2))
        assert masks(store) == [(entity.workload, FINDING.opened_ns, FINDING.end_ns)]

        judge(store, Judgement(FINDING.uid, Verdict.EXPECTED, "bob", "a migration", 3))
        assert masks(store) == []
        assert store.findings.verdicts() == {FINDING.uid: Verdict.EXPECTED}


def test_a_verdict_on_nothing_is_refused():
    with Store.open() as store, pytest.raises(NotFoundError):
        judge(store, Judgement("", Verdict.BENIGN, "ann", "", 1))
