"""A finding of novelty on its page. Covers `ebbtide.web.accounts`."""

import pytest

from build import batch_of
from ebbtide.engine import evaluate
from ebbtide.finding.lifecycle import Episode
from ebbtide.store.store import Store
from novelty_traffic import CURL, NOW_NS, sent, usual
from web_fixtures import CATALOGUE, serving, site_of


@pytest.fixture
def store():
    with Store.open() as store:
        store.append(batch_of([*usual(), sent(9e8, CURL)]), store.begin("import", "test"))
        store.roll_up()
        yield store


def test_the_page_says_what_is_new_and_how_rare_the_like_is(store, page):
    [finding] = evaluate(store, CATALOGUE.get("novelty"), NOW_NS).findings
    store.findings.save(Episode(finding, 1))
    with serving(site_of(store)) as address:
        page.goto(f"{address}/findings/{finding.uid}")
        page.wait_for_selector("body[data-ready]")
        text = page.inner_text("main")
        rows = [row.split("\t") for row in page.locator("table:has(caption) tbody tr").all_inner_texts()]

    assert finding.headline in text
    assert "findings this surprising are expected per 1000 entity-days" in text
    assert "Its workload is known for" in text
    assert [row[0] for row in rows if row[3] == "decided"] == ["a process never seen in this workload"]
    assert all(row[2].startswith("once in ") for row in rows)
