"""A finding of novelty on its page, and one about many. Covers `ebbtide.web.accounts`."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from build import batch_of
from ebbtide.engine import evaluate
from ebbtide.finding.evidence import Member
from ebbtide.finding.lifecycle import Episode
from ebbtide.series import Entity
from ebbtide.store.store import Store
from novelty_traffic import CURL, NOW_NS, sent, usual_store
from web_fixtures import CATALOGUE, serving, site_of


@pytest.fixture
def store(tmp_path_factory, tmp_path):
    with Store.open(Path(shutil.copy(usual_store(tmp_path_factory), tmp_path / "shop.duckdb"))) as store:
        store.append(batch_of([sent(9e8, CURL)]), store.begin("import", "test"))
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


def test_a_finding_about_many_names_how_many_and_links_to_each(store, page):
    [finding] = evaluate(store, CATALOGUE.get("novelty"), NOW_NS).findings
    members = tuple(
        Member(dataclasses.replace(CURL, process=name), finding.uid, 1, 5.0, f"{name} sent") for name in "ab"
    )
    evidence = dataclasses.replace(finding.evidence, fleet=members)
    fleet = dataclasses.replace(finding, entity=Entity("prod", "ingress", "controller", ""), evidence=evidence)
    store.findings.save(Episode(fleet, 2))
    with serving(site_of(store)) as address:
        page.goto(f"{address}/findings")
        page.wait_for_selector("body[data-ready]")
        row, group = page.inner_text("tr.row td.who"), page.inner_text("tr.group-row th")
        page.goto(f"{address}/findings/{fleet.uid}")
        page.wait_for_selector("body[data-ready]")
        policy = page.locator("pre", has_text="NetworkPolicy").all_text_contents()
        who, listed = page.inner_text(".meta"), page.locator("section:has(#fleet-title) a").all_inner_texts()

    assert group.startswith("findings about many and prod/ingress/controller")
    assert any(f"name: {CURL.workload}-usual-egress" in one for one in policy)
    assert not any("controller" in one for one in policy)
    assert row.split("\n")[0] == "2 processes" and "prod/ingress/controller" in row
    assert "2 processes and prod/ingress/controller" in who
    assert listed == ["a sent", "b sent"]
