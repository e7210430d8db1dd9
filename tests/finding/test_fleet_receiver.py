"""Findings about a receiver that many send more to: `ebbtide.finding.fleet.gather_by_receiver` and its lifecycle."""

from __future__ import annotations

import dataclasses

import pytest
from joined_samples import CURL, DETECTION, NOW_NS, STRANGER, amount, new

from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.finding import Finding, uid_of
from ebbtide.finding.fleet import receiver_of
from ebbtide.finding.form import from_json, to_json
from ebbtide.finding.lifecycle import Change, advance
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, Endpoint, EndpointClass, Entity

INGRESS = Entity("prod", "ingress", "controller", "")
KNOWN_NS = NOW_NS - 9 * DAY_NS


def to(share: float, workload: str = "controller", first_ns: int | None = KNOWN_NS, cluster: str = "prod"):
    where = Endpoint(cluster, "ingress", workload, "nginx", EndpointClass.INTERNAL)
    return DestinationShare(where, share * 1e9, share, first_ns)


MOSTLY = (to(0.9),)


def of(workload: str, at_ns: int = NOW_NS, places=MOSTLY, base=amount) -> Finding:
    one = base(at_ns)
    entity = dataclasses.replace(CURL, workload=workload)
    uid = uid_of(DETECTION.uuid, DETECTION.id, DETECTION.major, entity, one.opened_ns)
    evidence = dataclasses.replace(one.evidence, destinations=tuple(places))
    return dataclasses.replace(one, uid=uid, entity=entity, evidence=evidence)


def told(step) -> list[tuple[Change, str]]:
    return sorted((change, one.finding.entity.workload) for change, one in step.changes)


def test_two_that_send_more_to_one_receiver_are_one_finding_about_it():
    [(change, episode)] = advance((), [of("web"), of("api")], NOW_NS).changes
    finding = episode.finding

    assert change is Change.OPENED and finding.entity == INGRESS
    assert [one.entity.workload for one in finding.evidence.fleet] == ["api", "web"]
    assert finding.headline.startswith("2 processes sent unusually much to ingress/controller; the most surprising: ")
    assert (finding.count, finding.risk.object) == (2, "prod/ingress/controller")
    assert to_json(from_json(to_json(finding))) == to_json(finding)


def test_the_second_of_a_day_opens_it_and_later_ones_join_without_being_told_again():
    first = advance((), [of("web")], NOW_NS)
    soon = NOW_NS + 5 * HOUR_NS
    second = advance(first.episodes, [of("web", soon), of("api", soon)], soon)
    later = soon + 4 * HOUR_NS
    third = advance(second.episodes, [of("api", later), of("blog", later)], later)
    [fleet] = [one.finding for one in third.episodes if one.finding.evidence.fleet]

    assert told(first) == [(Change.OPENED, "web")]
    assert told(second) == [(Change.OPENED, "controller"), (Change.UPDATED, "web")]
    assert told(third) == [(Change.UPDATED, "controller")]
    assert [one.entity.workload for one in fleet.evidence.fleet] == ["api", "blog", "web"]
    apart = NOW_NS + 25 * HOUR_NS
    assert told(advance(first.episodes, [of("api", apart)], apart))[-1] == (Change.OPENED, "api")


def test_after_a_day_members_stay_and_others_are_told_by_themselves():
    episodes = advance((), [of("web"), of("api")], NOW_NS).episodes
    for hours in (8, 16, 24):
        episodes = advance(episodes, [of("api", NOW_NS + hours * HOUR_NS)], NOW_NS + hours * HOUR_NS).episodes
    late = NOW_NS + 25 * HOUR_NS
    step = advance(episodes, [of("web", late), of("blog", late)], late)

    assert told(step) == [(Change.OPENED, "blog"), (Change.UPDATED, "controller")]


def test_one_that_was_told_alone_and_comes_back_is_listed_as_it_is_now():
    first = advance((), [of("web")], NOW_NS)
    late = NOW_NS + 20 * HOUR_NS
    again = [of("web", late), of("api", late)]
    [fleet] = [one.finding for _, one in advance(first.episodes, again, late).changes if one.finding.evidence.fleet]

    assert {one.uid for one in fleet.evidence.fleet} == {one.uid for one in again}


@pytest.mark.parametrize(
    ("places", "base"),
    [
        ((to(0.79), to(0.1, "other")), amount),
        ((to(0.9), dataclasses.replace(STRANGER, share=0.06)), amount),
        ((to(0.9, first_ns=None),), amount),
        ((dataclasses.replace(STRANGER, share=1.0, first_seen_ns=KNOWN_NS),), amount),
        ((), amount),
        ((to(0.9),), new),
    ],
)
def test_who_sends_elsewhere_or_to_what_is_new_is_told_alone(places, base):
    ones = [of("web", places=places, base=base), of("api", places=places, base=base)]

    assert [receiver_of(one) for one in ones] == [None, None]
    assert told(advance((), ones, NOW_NS)) == [(Change.OPENED, "api"), (Change.OPENED, "web")]


def test_a_member_that_turns_to_a_stranger_is_told_alone():
    episodes = advance((), [of("web"), of("api")], NOW_NS).episodes
    soon = NOW_NS + 30 * MINUTE_NS
    step = advance(episodes, [of("web", soon, (dataclasses.replace(STRANGER, share=0.9),))], soon)

    assert told(step) == [(Change.OPENED, "web")]


def test_what_the_receiver_sends_is_told_by_itself():
    outside = (dataclasses.replace(STRANGER, share=1.0, first_seen_ns=KNOWN_NS),)
    own = of("controller", places=outside)
    own = dataclasses.replace(own, entity=dataclasses.replace(INGRESS, process="nginx"))

    assert told(advance((), [of("web"), of("api"), own], NOW_NS)) == [
        (Change.OPENED, "controller"),
        (Change.OPENED, "controller"),
    ]


def test_a_receiver_without_processes_keeps_a_finding_of_its_own():
    bare = dataclasses.replace(of("controller", places=()), entity=INGRESS)
    step = advance((), [of("web"), of("api"), bare], NOW_NS)
    again = advance(step.episodes, [of("web", NOW_NS + HOUR_NS), dataclasses.replace(bare, is_late=True)], NOW_NS)

    assert [bool(one.finding.evidence.fleet) for _, one in step.changes] in ([True, False], [False, True])
    assert len(again.episodes) == 2


def test_the_same_workload_of_two_clusters_is_two_receivers():
    far = [dataclasses.replace(of(name, places=(to(0.9, cluster="dev"),)),
                               entity=Entity("dev", "shop", name, "curl")) for name in ("web", "api")]  # fmt: skip
    near = [of("web", places=(to(0.9, cluster=""),)), of("api")]
    step = advance((), [*far, *near], NOW_NS)

    assert sorted(one.finding.entity.cluster for _, one in step.changes) == ["dev", "prod"]


def test_an_older_record_without_the_option_gathers_nothing():
    ones = [of("web"), of("api")]
    bare = [
        dataclasses.replace(one, evidence=dataclasses.replace(one.evidence, options={"fleet_least": 10}))
        for one in ones
    ]

    assert len(advance((), bare, NOW_NS).changes) == 2
    assert len(advance((), ones, NOW_NS).changes) == 1
    assert advance((), ones, NOW_NS) == advance((), ones[::-1], NOW_NS)
