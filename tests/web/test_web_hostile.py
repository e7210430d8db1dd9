"""Every page with names an attacker chose, and with what a screen reader needs: in a real browser."""

import dataclasses
import hashlib
from importlib import resources

import pytest
from axe_playwright_python.sync_playwright import Axe

from ebbtide.finding.filters import Filter, Matcher
from ebbtide.finding.lifecycle import Episode
from ebbtide.series import Endpoint, EndpointClass, Entity
from ebbtide.store.store import Store
from ebbtide.triage import add_filter
from ebbtide.web.query import entity_href
from web_fixtures import CORRECTED, END_NS, SENDER, fill_shop, many_findings, serving, site_of, tokens

SCRIPT = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">"
TURNED = "pay\u202egnp.exe\u2066\u200b"
LONG = "n" * 1000
SLASHES = '../..%2F"><svg onload=document.title=`owned`>'
NAMES = (SCRIPT, TURNED, LONG, SLASHES, "{{ 7*7 }}", "'; --", "\x00\x1b[31m")

PAGES = ("/findings?state=all&group=entity", "/findings?state=all&group=incident", "/findings?state=all&group=none",
         "/entities", "/filters", "/health", f"/tuning?detection={CORRECTED}", "/nothing")  # fmt: skip


@pytest.fixture(scope="module")
def hostile():
    with Store.open() as store:
        fill_shop(store, process=SCRIPT, workload=TURNED, stranger=SCRIPT)
        [episode] = store.findings.all()
        for at, name in enumerate(NAMES):
            entity = Entity(name, name, name, name)
            first, *rest = episode.finding.evidence.destinations
            place = dataclasses.replace(first, endpoint=Endpoint(name, name, name, name, EndpointClass.EXTERNAL))
            evidence = dataclasses.replace(episode.finding.evidence, destinations=(place, *rest))
            finding = dataclasses.replace(
                episode.finding, uid=f"{at:08x}-0000-5000-8000-000000000000", entity=entity, evidence=evidence,
                headline=f"{name} in {name} sent 1 GB", message=name,
                risk=dataclasses.replace(episode.finding.risk, object=name, score=40.0 + at),
            )  # fmt: skip
            store.findings.save(Episode(finding, 1))
        add_filter(store, Filter("odd", (Matcher("process", "=", SCRIPT),), SCRIPT, LONG, 0), END_NS)
        yield store


@pytest.fixture(scope="module")
def url(hostile):
    with serving(site_of(hostile)) as url:
        yield url


def all_pages(store):
    findings = [f"/findings/{one.finding.uid}" for one in store.findings.all()]
    entities = [entity_href(one) for one in store.identity.entities]
    return [*PAGES, *findings, *entities]


@pytest.mark.parametrize("width", [1280, 400])
def test_names_are_text_everywhere_and_nothing_overflows(page, url, hostile, width):
    page.set_viewport_size({"width": width, "height": 900})
    for path in all_pages(hostile):
        page.goto(url + path)
        page.wait_for_selector("body[data-ready]")
        for plot in page.locator(".plot[data-src]").all():
            plot.locator("canvas").wait_for()
        assert page.title() != "owned"
        assert page.locator("body script, img, svg[onload]").count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        text = page.locator("body").inner_text()
        assert not any(mark in text for mark in "\u202e\u2066\u200b\x1b"), path


def test_a_hostile_finding_can_be_decided_and_its_filter_previewed(page, url):
    page.goto(f"{url}/findings?state=all&q={{process!=%22x%22}}")
    page.locator("tr.row .what a").first.click()
    page.wait_for_selector("body[data-ready]")
    page.locator("textarea[name=matchers]").press("End")
    page.locator("textarea[name=matchers]").press_sequentially(" ")
    page.wait_for_selector("#preview .note")
    page.get_by_role("button", name="Unsure").click()
    page.wait_for_selector(".chip.unsure")


@pytest.fixture(scope="module")
def calm(shop_file):
    with Store.open() as store:
        fill_shop(store)
        many_findings(store, 30)
        with serving(site_of(store)) as url:
            yield url, store


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_accessibility_issue(browser, calm, theme):
    url, store = calm
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme=theme)
    page = context.new_page()
    uid = max(store.findings.all(), key=lambda one: one.finding.risk.score).finding.uid
    paths = ["/findings", "/findings?group=none", f"/findings/{uid}", "/entities", "/entities/prod/shop/checkout/nginx",
             "/filters", "/health", f"/tuning?detection={CORRECTED}", "/nothing"]  # fmt: skip
    found = {}
    for path in paths:
        page.goto(url + path)
        page.wait_for_selector("body[data-ready]")
        for one in Axe().run(page).response["violations"]:
            if one["impact"] in ("serious", "critical"):
                found[path, one["id"]] = [node["html"][:200] for node in one["nodes"][:3]]
    context.close()
    assert found == {}


def test_the_log_in_page_and_an_empty_site_are_accessible_and_say_what_to_do(page):
    with Store.open() as store:
        with serving(site_of(store, tokens=tokens())) as url:
            page.goto(url)
            assert [one["id"] for one in Axe().run(page).response["violations"]] == []
            page.get_by_label("Token").fill("w" * 40)
            page.get_by_role("button", name="Log in").click()
            page.wait_for_url("**/findings")
            assert "ebbtide import" in page.locator("main").inner_text()
            page.get_by_role("button", name="Log out").click()
            page.wait_for_url("**/login")
        with serving(site_of(store, sender_settings=SENDER)) as url:
            page.goto(f"{url}/findings")
            assert "otlphttp/ebbtide" in page.locator("main").inner_text()
            assert [one["id"] for one in Axe().run(page).response["violations"]] == []


def test_what_is_vendored_is_as_released_and_says_which():
    folder = resources.files("ebbtide.web").joinpath("static", "htmx")
    version = folder.joinpath("VERSION").read_text(encoding="utf-8")

    assert version.startswith("htmx 2.0.11")
    assert f"{hashlib.sha256(folder.joinpath('htmx.min.js').read_bytes()).hexdigest()}  htmx.min.js" in version
    assert "Zero-Clause BSD" in folder.joinpath("LICENSE").read_text(encoding="utf-8")


def test_no_page_has_inline_script_or_foreign_addresses(hostile):
    folder = resources.files("ebbtide.web").joinpath("templates")
    for template in folder.iterdir():
        text = template.read_text(encoding="utf-8")
        assert "|safe" not in text and " style=" not in text and " onclick" not in text, template.name
        assert all(part.startswith(" src=") for part in text.split("<script")[1:]), template.name
        for address in ("http://", "//cdn", "unpkg"):
            assert address not in text, template.name
