import dataclasses

import pytest
from finding_samples import sample

from build import Point, batch_of
from ebbtide.errors import ConfigError, NotFoundError
from ebbtide.finding.evidence import Member
from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.finding.plan import Plan
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.store.store import Store
from ebbtide.triage import (
    add_filter,
    add_plan,
    filtered,
    judge,
    keep,
    known_destinations,
    refilter,
    remove_filter,
    remove_plan,
    reset_baseline,
    undo_reset,
)

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


def plan_of(**changes: object) -> Plan:
    matchers = parse_matchers(f'{{workload="{FINDING.entity.workload}"}}')
    plan = Plan("move", matchers, FINDING.opened_ns, FINDING.end_ns, "ann", "a migration", True)
    return dataclasses.replace(plan, **changes)


def known(store: Store) -> None:
    entity = FINDING.entity
    senders = [entity, dataclasses.replace(entity, process="sh"), dataclasses.replace(entity, workload="other")]
    store.append(batch_of([Point(10, 1.0, sender=one) for one in senders]), 1)


def test_a_planned_change_marks_what_lies_within_it_and_masks_its_time_until_it_is_removed():
    with Store.open() as store:
        known(store)
        keep(store, [FINDING])

        assert add_plan(store, plan_of(), 10) == (1, 1)
        assert hidden(store) == [("plan:move",)]
        assert {one[0].process for one in store.masks()} == {FINDING.entity.process, "sh"}
        assert [one.hidden_by for one in filtered(store, [FINDING], 10**19 // 2)] == [("plan:move",)]

        remove_plan(store, "move", 12)
        assert hidden(store) == [()]
        assert store.masks() == []
        with pytest.raises(NotFoundError, match="no plan 'move'"):
            remove_plan(store, "move", 12)


def test_a_plan_may_let_its_time_be_learned_and_is_about_senders_alone():
    with Store.open() as store:
        known(store)
        add_plan(store, plan_of(is_masked=False), 10)
        assert store.masks() == []
        with pytest.raises(ConfigError, match="cannot look at 'metric'"):
            add_plan(store, plan_of(matchers=parse_matchers('{metric="tcp.bytes"}')), 10)
        with pytest.raises(ConfigError, match="ends before it begins"):
            add_plan(store, plan_of(to_ns=FINDING.opened_ns), 10)


def test_a_baseline_is_reset_for_all_processes_of_a_workload_and_given_back():
    place = f"{FINDING.entity.cluster}/{FINDING.entity.namespace}/{FINDING.entity.workload}"
    with Store.open() as store:
        known(store)
        assert len(reset_baseline(store, place, 1000, "new version")) == 2
        assert len(reset_baseline(store, f"{place}/sh", 2000, "again")) == 1
        assert sorted((one.process, to_ns) for one, _, to_ns, _ in store.masks()) == [
            (FINDING.entity.process, 1000),
            ("sh", 2000),
        ]

        assert undo_reset(store, place) == 2
        assert store.masks() == []
        with pytest.raises(NotFoundError, match="no entity"):
            reset_baseline(store, "checkout", 1, "x")


def test_known_destinations_hide_until_a_byte_goes_elsewhere():
    names = [one.name for one in FINDING.evidence.destinations]
    entity = FINDING.entity
    place = f"{entity.cluster}/{entity.namespace}/{entity.workload}"

    def covers(destinations: list[str]) -> bool:
        return Filter("known", known_destinations(place, destinations), "ann", "x", 0).covers(FINDING)

    assert covers(names)
    assert covers([*names, 'a"b\\c|d'])
    assert not covers(names[:1])
    assert not covers([name.replace(".", "x") for name in names])
    with pytest.raises(ConfigError):
        known_destinations("checkout", names)


def test_an_attack_on_a_fleet_masks_each_of_its_entities():
    curl, wget = (dataclasses.replace(FINDING.entity, process=name) for name in ("curl", "wget"))
    fleet = tuple(Member(one, FINDING.uid, FINDING.opened_ns, 35.0, "sent") for one in (curl, wget))
    whole = dataclasses.replace(FINDING.entity, namespace="", workload="", process="")
    about = dataclasses.replace(FINDING, entity=whole, evidence=dataclasses.replace(FINDING.evidence, fleet=fleet))
    with Store.open() as store:
        known(store)
        keep(store, [about])
        judge(store, Judgement(about.uid, Verdict.ATTACK, "me", "", 1))
        masked = {one for one, *_ in store.masks()}

    assert masked == {curl, wget}
