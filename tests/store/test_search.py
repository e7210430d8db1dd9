"""Lists of findings against a naive reading of all of them."""

import dataclasses

import pytest
from finding_samples import NOON_NS, sample

from ebbtide.finding.evidence import Member
from ebbtide.finding.filters import parse_matchers
from ebbtide.finding.lifecycle import Episode
from ebbtide.finding.verdict import Judgement, Verdict
from ebbtide.series import DAY_NS, HOUR_NS, Entity
from ebbtide.store.search import Pulse, Search
from ebbtide.store.search_row import MetricRow
from ebbtide.store.store import Store

BASE = sample()


def finding(number, **changes):
    entity = Entity(f"c{number % 2}", f"n{number % 3}", f"w{number % 5}", "nginx" if number % 4 else "curl")
    opened_ns = NOON_NS + number * HOUR_NS
    fields = {
        "uid": f"{number:08x}-0000-5000-8000-000000000000",
        "entity": entity,
        "opened_ns": opened_ns,
        "last_ns": opened_ns + 60 * 10**9,
        "hidden_by": ("known",) if number % 7 == 0 else (),
        "risk": dataclasses.replace(BASE.risk, score=float(number % 4 * 10), object=f"o{number % 3}"),
    }
    return dataclasses.replace(BASE, **(fields | changes))


FOUND = [finding(number) for number in range(40)]


@pytest.fixture(scope="module")
def store():
    with Store.open() as store:
        for at, one in enumerate(FOUND):
            closed_ns = one.last_ns + HOUR_NS if at % 2 else None
            store.findings.save(Episode(one, one.count, closed_ns))
        for one in FOUND[:6]:
            store.findings.judge(Judgement(one.uid, Verdict.UNSURE, "ann", "", 1))
            store.findings.judge(Judgement(one.uid, Verdict.BENIGN, "ann", "", 2))
        yield store


def listed(store, search, size=7):
    rows, after = [], None
    while True:
        page = store.search.page(search, after, size)
        rows += page.rows
        after = page.next
        if after is None:
            return rows


def uids(rows):
    return [one.uid for one in rows]


MEMBERS = tuple(Member(Entity("c0", f"n{at}", "w0", f"p{at}"), f"u{at}", NOON_NS, 1.0, "") for at in range(3))


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ('namespace=~"n."', True),
        ('namespace="n1"', False),
        ('cluster="c0",namespace!="n1"', False),
        ('cluster="c0",namespace!="n7"', True),
        ('workload="w0"', True),
        ('cluster="c0",process!~"p[3-9]"', True),
        ('cluster="c0",process!~"p2"', False),
        ('process=~"p[01]"', False),
    ],
)
def test_a_fleet_is_found_by_names_that_all_its_members_have_and_so_is_a_nameless_process(text, is_found):
    evidence = dataclasses.replace(BASE.evidence, fleet=MEMBERS)
    fleet = finding(100, entity=Entity("c0", "", "", ""), evidence=evidence)
    nameless = finding(101, entity=Entity("c0", "", "", ""))
    matchers = parse_matchers(text)
    with Store.open() as store:
        for one in (fleet, nameless):
            store.findings.save(Episode(one, one.count))
        expected = [one.uid for one in (fleet, nameless) if all(matcher.holds(one) for matcher in matchers)]

        assert sorted(uids(listed(store, Search("all", matchers=matchers)))) == expected
        assert (fleet.uid in expected) is is_found


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_hold_every_finding_once_in_order(store, size):
    expected = sorted(FOUND, key=lambda one: (one.risk.score, one.last_ns, one.uid), reverse=True)
    assert uids(listed(store, Search("all"), size)) == [one.uid for one in expected]
    newest = sorted(FOUND, key=lambda one: one.last_ns, reverse=True)
    assert uids(listed(store, Search("all", order="newest"), size)) == [one.uid for one in newest]


def test_states(store):
    counted = {state: len(listed(store, Search(state))) for state in ("undecided", "open", "decided", "hidden", "all")}

    hidden = {one.uid for one in FOUND if one.hidden_by}
    judged = {one.uid for one in FOUND[:6]}
    still_open = {one.uid for one in FOUND[::2]}
    assert counted == {
        "undecided": len({one.uid for one in FOUND} - hidden - judged),
        "open": len(still_open - hidden),
        "decided": 6,
        "hidden": len(hidden),
        "all": 40,
    }
    assert store.search.facets(Search("all"))["state"] == list(counted.items())


@pytest.mark.parametrize(
    "text",
    [
        '{cluster="c1"}',
        '{process!="nginx",namespace="n1"}',
        '{workload=~"w[12]",process="nginx"}',
        '{namespace!~"n[01]"}',
        '{risk.object="o2",detection=~".*corrected"}',
        '{destination=~"shop/cart|203.*",cluster="c0"}',
        '{technique=~"T.*",namespace="n2"}',
        '{type="Anomaly",workload="w3"}',
        '{detection.version="1.0.0",metric=~"tcp.*"}',
    ],
)
def test_matchers_mean_what_they_mean_in_filters(store, text):
    matchers = parse_matchers(f'{text[:-1]},uid=~".+"}}')[:-1]

    found = {one.uid for one in FOUND if all(matcher.holds(one) for matcher in matchers)}

    assert set(uids(listed(store, Search("all", matchers=matchers)))) == found
    assert store.search.covered(matchers) == (len(found), 40, False)


def test_words_and_facets(store):
    assert {one.entity.workload for one in listed(store, Search("all", words=("W2", "NGINX")))} == {"w2"}
    facets = store.search.facets(Search("all", clusters=("c0",)))
    assert dict(facets["cluster"]) == {"c0": 20, "c1": 20}  # what choosing it would show
    assert sum(many for _, many in facets["namespace"]) == 20
    assert facets["verdict"] == [("benign", 3)]


def test_groups_hold_their_riskiest_rows(store):
    groups = store.search.groups(Search("all"), "entity", 0, 100, 2)

    assert sum(group.findings for group in groups) == 40
    assert [group.risk for group in groups] == sorted((group.risk for group in groups), reverse=True)
    for group in groups:
        own = [one for one in FOUND if one.entity == group.entity]
        best = sorted(own, key=lambda one: (one.risk.score, one.last_ns, one.uid), reverse=True)[:2]
        assert uids(group.rows) == [one.uid for one in best]
    by_object = store.search.groups(Search("all"), "incident", 1, 1, 1)
    assert [group.entity for group in by_object] == [None]


def test_incidents_add_up_a_day(store):
    now_ns = FOUND[-1].opened_ns
    points = {}
    for at, one in enumerate(FOUND):
        if now_ns - DAY_NS < one.opened_ns and not one.hidden_by and at >= 6:
            points[one.risk.object] = points.get(one.risk.object, 0) + one.risk.score

    expected = {name: many for name, many in points.items() if many > 100}
    assert {name: many for name, _, many in store.search.incidents(now_ns)} == expected
    assert store.search.incidents(NOON_NS) == []


def test_a_row_tells_what_its_document_says(store):
    [row] = store.search.rows([FOUND[3].uid])

    assert (row.headline, row.entity, row.risk, row.bucket_ns) == (
        BASE.headline, FOUND[3].entity, 30.0, BASE.evidence.bucket_ns,
    )  # fmt: skip
    assert [one.metric for one in row.metrics] == [one.metric for one in BASE.evidence.metrics]
    told = BASE.evidence.metrics[0]
    assert row.metrics[0] == MetricRow(
        *(told.metric, told.unit, told.value, told.mean, told.stdev, told.line, told.total, told.usual_hour)
    )
    assert [(one.name, one.share, one.is_new) for one in row.destinations] == [
        (one.name, one.share, one.first_seen_ns is None) for one in BASE.evidence.destinations
    ]


def test_a_row_counts_the_entities_of_a_finding_about_many():
    about = Entity("prod", "ingress", "controller", "")
    fleet = tuple(Member(one.entity, one.uid, one.opened_ns, 1.0, "") for one in FOUND[:3])
    many = finding(41, entity=about, evidence=dataclasses.replace(BASE.evidence, fleet=fleet))
    with Store.open() as store:
        for one in (many, FOUND[0]):
            store.findings.save(Episode(one, one.count))

        assert [one.members for one in store.search.rows([many.uid, FOUND[0].uid])] == [3, 0]


def test_news_count_what_opened_and_what_went_on(store):
    seen = Pulse(0, FOUND[20].opened_ns, FOUND[10].last_ns)

    assert store.search.news(Search("all"), seen) == (19, 10)


def test_what_a_filter_may_cover_is_little(store):
    matchers = parse_matchers('{workload="w1",destination="x"}')

    wanted = {one.uid for one in FOUND if one.hidden_by or one.entity.workload == "w1"}
    assert set(store.search.possible(matchers)) == wanted
    assert {one.finding.uid for one in store.findings.among(sorted(wanted))} == wanted
    assert len(store.search.possible(None)) == 6


def test_a_list_of_one_entity_has_findings_whose_columns_were_pooled():
    pooled = finding(1, entity=Entity("c1", "", "w1", "nginx"))
    with Store.open() as store:
        store.findings.save(Episode(pooled, 1))

        assert len(store.search.page(Search("all", entity=Entity("c1", "n1", "w1", "nginx"))).rows) == 1
        assert len(store.search.page(Search("all", entity=Entity("c1", "n1", "w2", "nginx"))).rows) == 0
        assert store.search.by_day(pooled.opened_ns, pooled.opened_ns + 1)[0][2] == 1
