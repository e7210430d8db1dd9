"""Findings about a fleet: `ebbtide.finding.fleet`, and what the lifecycle, filters and words make of them."""

from __future__ import annotations

import dataclasses

import pytest
from joined_samples import CURL, DETECTION, NOW_NS, new

from ebbtide.detect.catalogue import load
from ebbtide.finding.evidence import repeat
from ebbtide.finding.explain import explain
from ebbtide.finding.filters import Filter, matchers_text, parse_matchers, suggest
from ebbtide.finding.finding import Finding, uid_of
from ebbtide.finding.fleet import gather
from ebbtide.finding.form import from_json, to_json
from ebbtide.finding.lifecycle import Change, advance
from ebbtide.finding.plan import Plan
from ebbtide.incidents import contributions_of
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, MINUTE_NS, Endpoint, EndpointClass, Entity


def of(number: int, at_ns: int = NOW_NS, place: str = "", cluster: str = "prod") -> Finding:
    """A finding of one process; each sends to a place of its own unless one is named."""
    one = new(at_ns)
    entity = dataclasses.replace(CURL, process=f"p{number:02}", cluster=cluster)
    where = Endpoint(workload=place or f"{number}.example", kind=EndpointClass.EXTERNAL)
    [share] = one.evidence.destinations
    evidence = dataclasses.replace(one.evidence, destinations=(dataclasses.replace(share, endpoint=where),))
    uid = uid_of(DETECTION.uuid, DETECTION.id, DETECTION.major, entity, one.opened_ns)
    return dataclasses.replace(one, uid=uid, entity=entity, evidence=evidence)


def told(step) -> list[tuple[Change, str]]:
    return [(change, one.finding.entity.process) for change, one in step.changes]


def test_ten_at_once_are_one_finding_that_lists_them():
    step = advance((), [of(number) for number in range(10)], NOW_NS)
    [(change, episode)] = step.changes
    finding = episode.finding

    assert change is Change.OPENED and finding.entity == Entity("prod", "", "", "")
    assert [one.entity.process for one in finding.evidence.fleet] == [f"p{number:02}" for number in range(10)]
    assert finding.headline.startswith("10 processes of cluster prod sent what they never did within an hour; the most")
    assert (finding.count, finding.risk.object) == (10, "prod")
    assert "10 processes; what follows is of the most surprising one:" in explain(finding, DETECTION)
    assert to_json(from_json(to_json(finding))) == to_json(finding)
    assert (
        repeat(finding.evidence, DETECTORS["joined"]).differences
        == repeat(of(9).evidence, DETECTORS["joined"]).differences
    )


def test_nine_at_once_and_ten_in_two_clusters_are_not():
    assert len(advance((), [of(number) for number in range(9)], NOW_NS).changes) == 9
    split = [of(number, cluster="ab"[number % 2]) for number in range(10)]
    assert len(advance((), split, NOW_NS).changes) == 10


def test_five_that_send_to_the_same_stranger_are_one_and_the_others_stay():
    same = [of(number, place="203.0.113.9") for number in range(5)]
    step = advance((), [*same, of(7)], NOW_NS)
    by_process = {one.finding.entity.process: one.finding for _, one in step.changes}

    assert set(by_process) == {"", "p07"}
    assert "5 of them to 203.0.113.9, never seen before" in by_process[""].headline
    assert len(advance((), same[:4], NOW_NS).changes) == 4


def test_those_of_the_hour_before_count_and_are_listed():
    before = advance((), [of(number) for number in range(6)], NOW_NS)
    soon = NOW_NS + 30 * MINUTE_NS
    step = advance(before.episodes, [of(number, soon) for number in range(4, 11)], soon)
    fleet = next(one.finding for _, one in step.changes if one.finding.evidence.fleet)

    assert sorted(told(step)) == [(Change.OPENED, ""), (Change.UPDATED, "p04"), (Change.UPDATED, "p05")]
    assert len(fleet.evidence.fleet) == 11
    late = NOW_NS + 2 * HOUR_NS
    assert len(advance(before.episodes, [of(number, late) for number in range(6, 11)], late).changes) == 5


def test_members_stay_with_it_others_join_within_the_hour_only():
    episodes = advance((), [of(number) for number in range(10)], NOW_NS).episodes
    steps = []
    for at_ns, numbers in ((NOW_NS + 30 * MINUTE_NS, (3, 20)), (NOW_NS + 3 * HOUR_NS, (3, 21))):
        step = advance(episodes, [of(number, at_ns) for number in numbers], at_ns)
        episodes = step.episodes
        steps.append(step)

    assert [sorted(told(one)) for one in steps] == [
        [(Change.UPDATED, "")],
        [(Change.OPENED, "p21"), (Change.UPDATED, "")],
    ]
    fleet = next(one.finding for one in episodes if one.finding.evidence.fleet)
    assert len(fleet.evidence.fleet) == 11 and fleet.opened_ns == of(0).opened_ns


def test_the_order_of_findings_does_not_matter():
    ones = [of(number) for number in range(12)]

    assert advance((), ones, NOW_NS) == advance((), ones[::-1], NOW_NS)


def test_its_risk_is_added_once_to_the_cluster():
    found = [of(number) for number in range(10)]
    step = advance((), found, NOW_NS)
    later = advance(step.episodes, [of(3, NOW_NS + MINUTE_NS)], NOW_NS + MINUTE_NS)
    added = contributions_of(DETECTION, found, step.changes, step.episodes)
    again = contributions_of(DETECTION, [of(3, NOW_NS + MINUTE_NS)], later.changes, [*step.episodes, *later.episodes])

    assert [(one.event.object, one.detection) for _, one in added] == [("prod", "novelty")]
    assert again == []


def test_the_filter_it_suggests_hides_nothing_else():
    [(_, episode)] = advance((), [of(number) for number in range(10)], NOW_NS).changes

    assert matchers_text(suggest(episode.finding)) == f'{{uid="{episode.finding.uid}"}}'


@pytest.mark.parametrize(
    ("text", "covers"),
    [
        ('{workload="shop"}', False),
        (f'{{workload="{CURL.workload}"}}', True),
        (f'{{namespace="{CURL.namespace}",process=~"p.*"}}', True),
        ('{process=~"p0[0-8]"}', False),
        ('{cluster="prod",process!="p09"}', False),
        ('{cluster="prod"}', True),
        ('{destination="9.example"}', False),
    ],
)
def test_a_filter_hides_it_only_with_all_its_members_and_never_by_the_places_of_one(text, covers):
    [(_, episode)] = advance((), [of(number) for number in range(10)], NOW_NS).changes

    assert Filter("f", parse_matchers(text), "ann", "", 0).covers(episode.finding) is covers


def test_a_planned_change_covers_it_only_with_all_its_members():
    [(_, episode)] = advance((), [of(number) for number in range(10)], NOW_NS).changes
    finding = episode.finding
    plan = Plan("p", parse_matchers('{process=~"p.."}'), finding.opened_ns, finding.end_ns, "ann", "", False)

    assert plan.covers(finding)
    assert not dataclasses.replace(plan, matchers=parse_matchers('{process=~"p0[0-8]"}')).covers(finding)


@pytest.mark.parametrize("options", [{}, {"fleet_least": 30}])
def test_without_enough_of_them_or_without_the_option_nothing_is_gathered(options):
    ones = [of(number) for number in range(12)]
    bare = [dataclasses.replace(one, evidence=dataclasses.replace(one.evidence, options=options)) for one in ones]

    assert gather(bare, (), None) == bare
    assert load(DETECTORS).get("joined").options["fleet_least"] == 10
