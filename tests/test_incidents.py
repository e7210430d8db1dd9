"""Risk and incidents in the live clockwork."""

import dataclasses

from build import NGINX, NOTHING_LEARNED, Point, batch_of
from ebbtide.deliver.message import delivery_of
from ebbtide.deliver.sinks import load_sinks
from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.live import Clockwork, Outlet
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store.store import Store
from test_engine import CORRECTED, UPSTREAM, quiet

SINKS = load_sinks("sinks: {s: {type: lines, path: '-'}}", "e.yaml", {}, str)
HOURS = 20


def points_of(*bursts: tuple[int, int]) -> list[Point]:
    """Quiet traffic, and 50 MB every 30 s from one hour to another."""
    spans = [range(3600 * first + 30, 3600 * last, 30) for first, last in bursts]
    loud = {at_s for span in spans for at_s in span}
    calm = [one for one in quiet(until_s=3600 * (HOURS + 40)) if one.end_s not in loud]
    return calm + [Point(at_s, 50e6, to="203.0.113.9", span_s=30) for at_s in sorted(loud)]


def judged(detection, points, until_h: int, filters: tuple[Filter, ...] = ()) -> Store:
    store = Store.open()
    store.set_floors(NOTHING_LEARNED)
    for one in filters:
        store.filters.save(one)
    clock = Clockwork(store, [detection], outlet=Outlet(SINKS))
    for hour in range(1, until_h + 1):
        store.append(batch_of([one for one in points if 3600 * (hour - 1) < one.end_s <= 3600 * hour]), 1)
        now_ns = hour * HOUR_NS + 11 * MINUTE_NS
        store.append(batch_of([Point(hour * 3600 + 660, 1.0, sender=dataclasses.replace(NGINX, process="beat"))]), 1)
        assert not clock.tick(now_ns).failed
    return store


def incidents(store: Store) -> list[tuple[str, float]]:
    rows = [delivery_of(row) for row in store.outbox.head("s", 99)]
    return [
        (one.change.value, one.finding.evidence.options["points"])
        for one in rows
        if one.finding.detection_id == "risk_incident"
    ]


def test_upstream_adds_25_each_hour_and_the_fifth_is_an_incident_that_ends():
    # A low line, so that what the baseline has learned of the burst does not hide the rest of it.
    loud = UPSTREAM.model_copy(update={"options": {**UPSTREAM.options, "k": 1.0}})
    with judged(loud, points_of((12, 18)), HOURS + 30) as store:
        contributed = store.risks.all(0)
        assert [one.event.score for one in contributed] == [25.0] * len(contributed)
        assert len({one.event.at_ns for one in contributed}) == len(contributed) >= 5
        assert {one.event.object for one in contributed} == {"prod"}

        told = incidents(store)
        assert told[0] == ("opened", 125.0)
        assert told[-1][0] == "closed"
        [notice] = store.notices.all()
        assert notice.record.entity.cluster == "prod"
        assert notice.record.evidence.options["rules"] == ["points"]
        assert notice.closed_ns - contributed[0].event.at_ns <= 2 * DAY_NS


def test_a_finding_of_ours_adds_once_however_long_it_lasts():
    with judged(CORRECTED, points_of((12, 15)), HOURS) as store:
        [finding] = store.findings.all()
        [one] = store.risks.all(0)

    assert (one.finding, one.event.object) == (finding.finding.uid, "prod/shop/checkout")
    assert one.tactics


def test_findings_above_100_points_together_name_each_other():
    risky = CORRECTED.model_copy(
        update={"risk": CORRECTED.risk.model_copy(update={"impact": 100.0, "confidence": 60.0, "object": "cluster"})}
    )
    curl = dataclasses.replace(NGINX, process="curl")
    points = points_of((12, 13)) + [dataclasses.replace(one, sender=curl) for one in points_of((14, 15))]
    with judged(risky, points, HOURS) as store:
        uids = [one.finding.uid for one in store.findings.all()]
        [notice] = store.notices.all()

    assert incidents_points(notice) == 120
    assert sorted(notice.record.evidence.options["findings"]) == sorted(uids)
    assert all(uid[:8] in notice.record.message for uid in uids)


def incidents_points(notice) -> float:
    return notice.record.evidence.options["points"]


def test_hidden_findings_add_no_risk():
    known = Filter("known", parse_matchers('{workload="checkout"}'), "ann", "known", 0)
    for detection in (CORRECTED, UPSTREAM.model_copy(update={"options": {**UPSTREAM.options, "more_than": 3}})):
        with judged(detection, points_of((12, 14)), 16, (known,)) as store:
            assert store.findings.all()
            assert store.risks.all(0) == []


def test_judging_an_hour_once_more_adds_its_risk_once():
    loud = UPSTREAM.model_copy(update={"options": {**UPSTREAM.options, "more_than": 3}})
    with judged(loud, points_of((12, 14)), 15) as store:
        before = store.risks.all(0)
        store.append(batch_of([Point(12 * 3600 + 1800, 9e6, to="late", span_s=30)]), 1)
        ticked = Clockwork(store, [loud]).tick(15 * HOUR_NS + 40 * MINUTE_NS + SECOND_NS)

        assert ticked.late == 1
        assert store.risks.all(0) == before
