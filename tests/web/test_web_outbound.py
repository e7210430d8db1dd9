"""A finding of the default detection on its page."""

from build import Point
from ebbtide.engine import evaluate
from ebbtide.finding.lifecycle import Episode
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS
from ebbtide.store.store import Store
from learned_traffic import FLEET, START_NS, STEPS_PER_DAY, batch, batch_of, traffic
from web_fixtures import CATALOGUE, serving, site_of

BURST_NS = START_NS + 9 * DAY_NS + 10 * HOUR_NS


def test_the_page_says_what_each_statistic_added(page):
    sent, received = traffic(10)
    at = (BURST_NS - START_NS) // (DAY_NS // STEPS_PER_DAY)
    sent[0, at - 6 : at] += 1e9
    with Store.open() as store:
        store.append(batch(sent, received), store.begin("import", "burst"))
        store.roll_up()
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
    assert all(" once in " in row.replace("\t", " ") for row in rows)


def test_the_page_of_a_joined_finding_says_what_is_new_too(page):
    sent, received = traffic(10)
    at = (BURST_NS - START_NS) // (DAY_NS // STEPS_PER_DAY)
    sent[0, at - 6 : at] += 1e9
    with Store.open() as store:
        store.append(batch(sent, received), store.begin("import", "burst"))
        stranger = Point(BURST_NS // SECOND_NS - 60, 1e9, sender=FLEET[0], to="198.51.100.9")
        store.append(batch_of([stranger]), store.begin("import", "stranger"))
        store.roll_up()
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
