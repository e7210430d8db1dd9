"""A finding of the default detection on its page."""

import dataclasses

import numpy as np
import pytest

from build import Point
from ebbtide.engine import evaluate
from ebbtide.finding.evidence import Member
from ebbtide.finding.lifecycle import Episode
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Entity
from ebbtide.store.store import Store
from ebbtide.web.chart import finding_chart, line_words
from learned_traffic import FLEET, START_NS, STEPS_PER_DAY, batch, batch_of, traffic
from web_fixtures import CATALOGUE, serving, site_of

BURST_NS = START_NS + 9 * DAY_NS + 10 * HOUR_NS


def burst(stranger: bool = False) -> Store:
    """Ten days of a small fleet, the last with a burst of one process, on request in part to a place it never met."""
    sent, received = traffic(10)
    at = (BURST_NS - START_NS) // (DAY_NS // STEPS_PER_DAY)
    sent[0, at - 6 : at] += 1e9
    store = Store.open()
    store.append(batch(sent, received), store.begin("import", "burst"))
    if stranger:
        point = Point(BURST_NS // SECOND_NS - 60, 1e9, sender=FLEET[0], to="198.51.100.9")
        store.append(batch_of([point]), store.begin("import", "stranger"))
    store.roll_up()
    return store


def test_the_page_says_what_each_statistic_added(page):
    with burst() as store:
        [finding] = evaluate(store, CATALOGUE.get("outbound"), BURST_NS).findings
        store.findings.save(Episode(finding, 1))
        with serving(site_of(store)) as address:
            page.goto(f"{address}/findings/{finding.uid}")
            page.wait_for_selector("canvas")
            text = page.inner_text("main")
            rows = page.locator("table:has(caption) tbody tr").all_inner_texts()

    assert finding.headline in text
    assert "findings this surprising are expected per 1000 entity-days" in text
    assert rows[0].startswith("sent against received")
    went = [row for row in rows if row.startswith("where it went")]
    assert all(" once in " in row.replace("\t", " ") for row in rows if row not in went)
    assert [row.split()[-1] for row in went if "ships" in row] == ["+2.5"]


def test_the_page_of_a_joined_finding_says_what_is_new_too(page):
    with burst(stranger=True) as store:
        [finding] = evaluate(store, CATALOGUE.get("joined"), BURST_NS).findings
        store.findings.save(Episode(finding, 1))
        with serving(site_of(store)) as address:
            page.goto(f"{address}/findings/{finding.uid}")
            page.wait_for_selector("canvas")
            text = page.inner_text("main")

    assert finding.headline in text
    assert "sent against received" in text
    assert "Its amount as of" in text
    assert "What is new as of" in text
    assert "new destinations outside" in text
    assert "decided" in text


def test_the_chart_has_the_usual_band_of_the_hour_and_the_record_hour():
    with burst() as store:
        [finding] = evaluate(store, CATALOGUE.get("outbound"), BURST_NS).findings
        chart = finding_chart(store, finding, CATALOGUE.get("outbound"), None, BURST_NS)
        numbers = store.profile.numbers(finding.entity)
        _, hours, _ = store.profile.hours(numbers, chart.metric, START_NS, chart.time[0] * 10**6)

    share = finding.evidence.bucket_ns / HOUR_NS
    for at in (0, len(chart.time) // 2, len(chart.time) - 1):
        of_day = hours[chart.time[at] * 10**6 % DAY_NS // HOUR_NS :: 24]
        low, high = np.percentile(of_day, [10, 90]) * share
        assert (chart.lower[at], chart.upper[at]) == (pytest.approx(low), pytest.approx(high))
    assert chart.line == pytest.approx(np.max(hours) * share, rel=0.2)  # trailing hours begin at any minute
    assert max(chart.upper) < max(one for one in chart.sent if one is not None)
    assert line_words(finding.evidence) == "its record hour, spread evenly"


def test_a_young_process_has_no_band():
    with burst() as store:
        [finding] = evaluate(store, CATALOGUE.get("outbound"), BURST_NS).findings
        early = dataclasses.replace(finding, opened_ns=START_NS + 10 * HOUR_NS, last_ns=START_NS + 10 * HOUR_NS)
        chart = finding_chart(store, early, CATALOGUE.get("outbound"), None, START_NS + 20 * HOUR_NS)

    assert (chart.lower, chart.upper) == (None, None)


def test_the_chart_of_a_fleet_is_of_its_riskiest_member():
    with burst() as store:
        [finding] = evaluate(store, CATALOGUE.get("outbound"), BURST_NS).findings
        members = tuple(
            Member(one, finding.uid, finding.opened_ns, risk, "") for one, risk in ((FLEET[1], 10.0), (FLEET[0], 70.0))
        )
        evidence = dataclasses.replace(finding.evidence, fleet=members)
        fleet = dataclasses.replace(finding, entity=Entity("prod", "", "", ""), evidence=evidence)
        alone, together = (
            finding_chart(store, one, CATALOGUE.get("outbound"), None, BURST_NS) for one in (finding, fleet)
        )

    assert finding.entity == FLEET[0]
    assert together.sent == alone.sent
