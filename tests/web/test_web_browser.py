"""What an analyst does, in a real browser on the recording."""

import dataclasses
import json

import pytest

from ebbtide.detect.catalogue import Catalogue
from ebbtide.detect.detector import Options
from ebbtide.finding.lifecycle import Episode
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS
from web_fixtures import CATALOGUE, CORRECTED, fill_street, many_findings, serving, site_of


@pytest.fixture(scope="module")
def url(demo):
    with serving(site_of(demo)) as url:
        yield url


def test_the_inbox_says_who_sent_what_how_unusual_and_leads_to_the_finding(page, url):
    page.goto(url)

    assert page.url.endswith("/findings")
    row = page.locator("tr.row").first
    assert "server in machine-" in row.inner_text()
    assert "usual" in row.locator(".how").inner_text()
    headline = row.locator(".what a").inner_text()
    row.locator(".what a").click()
    assert page.locator("h1").inner_text() == headline


def test_the_chart_shows_what_the_api_says(page, url):
    uid = api(page, url, "/api/v1/findings?limit=1")["findings"][0]["uid"]
    page.goto(f"{url}/findings/{uid}")
    page.wait_for_selector('.plot[data-drawn="yes"]')
    said = api(page, url, page.locator(".plot").get_attribute("data-src"))

    columns, data = page.evaluate(
        "(() => { const p = document.querySelector('.plot'); return [p.columns, p.plot.data] })()"
    )

    shown = dict(zip(["time", *columns], data, strict=True))
    assert shown["time"] == said["time"]
    assert shown["sent"] == said["sent"]
    assert shown["received"] == said["received"]
    assert set(shown["line"]) == {said["line"]}
    assert set(shown["lower"]) == {said["lower"]}
    assert set(shown["upper"]) == {said["upper"]}
    assert [shown[f"ghost-{one['weeks']}"] for one in said["ghosts"]] == [one["sent"] for one in said["ghosts"]]
    assert len(said["ghosts"]) == 3
    assert said["marks"]


def test_keys_move_choose_and_decide_and_back_works(page, url):
    page.goto(f"{url}/findings?group=none&sort=newest")
    page.wait_for_selector("body[data-ready]")
    before = page.locator("tr.row").count()
    page.keyboard.press("j")
    page.keyboard.press("j")
    uid = page.locator("tr.row.current").get_attribute("data-uid")
    assert uid == page.locator("tr.row").nth(1).get_attribute("data-uid")
    page.keyboard.press("x")
    with page.expect_navigation():
        page.keyboard.press("b")

    assert page.url == f"{url}/findings?group=none&sort=newest"
    assert page.locator("tr.row").count() == before - 1
    assert page.locator(f'tr[data-uid="{uid}"]').count() == 0
    page.goto(f"{url}/findings?state=decided&group=none")
    assert page.locator("tr.row .chip.benign").count() == 1
    page.go_back()
    assert page.url == f"{url}/findings?group=none&sort=newest"


def test_search_takes_matchers_and_says_what_is_wrong_with_them(page, url):
    page.goto(f"{url}/findings?state=all")
    page.wait_for_selector("body[data-ready]")
    page.keyboard.press("/")
    page.keyboard.type('{workload="machine-3-3"}')
    page.keyboard.press("Enter")
    page.wait_for_url("**q=*")
    assert {one.strip() for one in page.locator(".who .under").all_inner_texts()} == {"smd/machine-3-3"}

    page.goto(f"{url}/findings?q=" + '{wrkload="x"}')
    assert "did you mean `workload`?" in page.locator('[role="alert"]').inner_text()
    assert page.locator("tr.row").count() == 0


def test_times_are_local_with_utc_on_hover(page, url):
    page.goto(f"{url}/findings")
    page.wait_for_selector("body[data-ready]")

    one = page.locator("tr.row time").first
    assert one.get_attribute("title").endswith(" UTC")
    assert one.inner_text()[-5:] != one.get_attribute("title")[11:16]  # Berlin is not UTC


def test_the_help_opens_and_the_theme_changes(page, url):
    page.goto(f"{url}/findings")
    page.wait_for_selector("body[data-ready]")
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_an_entity_shows_its_month_its_week_and_its_findings(page, url):
    page.goto(f"{url}/entities")
    page.locator("tbody a").first.click()
    page.wait_for_selector('.plot[data-drawn="yes"]')

    said = api(page, url, page.locator(".plot").get_attribute("data-src"))
    assert page.evaluate("document.querySelector('.plot').plot.data.at(-1)") == said["sent"]
    assert page.evaluate("document.querySelector('.plot').plot.data[0].length") == 720
    assert page.locator(".heat tbody td").count() == 168
    assert "Learned" in page.locator(".note").first.inner_text()


def test_a_backtest_is_run_watched_and_compared(page, url):
    page.goto(f"{url}/tuning?detection={CORRECTED}")
    page.locator('[name="o.k"]').fill("4")
    page.locator('[name="from"]').fill("2024-01-29T00:00:00Z")
    page.locator('[name="to"]').fill("2024-02-01T00:00:00Z")
    page.get_by_role("button", name="Run the backtest").click()
    page.wait_for_selector('[data-figure="findings"]', timeout=60_000)

    job = page.url.partition("job=")[2]
    said = api(page, url, f"/api/v1/backtests/{job}")
    assert page.locator('[data-figure="findings"]').inner_text() == (
        f"{said['before']['findings']} → {said['after']['findings']}"
    )
    assert int(page.locator('[data-figure="disappeared"]').inner_text()) == len(said["disappeared"]) > 0
    assert "-  k: 3.0" in page.content() and "+  k: 4.0" in page.content()


def test_a_backtest_is_cancelled(page, url):
    page.goto(f"{url}/tuning?detection={CORRECTED}")
    page.locator('[name="o.k"]').fill("5")
    page.get_by_role("button", name="Run the backtest").click()
    page.get_by_role("button", name="Cancel").click()

    page.wait_for_selector("h2:has-text('Cancelled')", timeout=30_000)


def test_a_filter_is_previewed_added_and_removed(page, url):
    page.goto(f"{url}/filters")
    page.locator('[name="matchers"]').fill('{workload="machine-3-3"}')
    page.wait_for_selector("#preview .note")
    preview = page.locator("#preview .note").inner_text()
    page.locator('[name="name"]').fill("known")
    page.locator('[name="reason"]').fill("a backup")
    page.get_by_role("button", name="Add the filter").click()
    page.wait_for_selector("td code")
    count = int(page.locator("tbody tr td.number").first.inner_text())

    assert f"Would hide {count} of" in preview
    assert page.goto(f"{url}/findings?state=hidden&group=none").ok
    assert page.locator("tr.row").count() == count > 0
    page.goto(f"{url}/filters")
    page.get_by_role("button", name="Remove").click()
    page.wait_for_selector("h2:has-text('No filters')")


def test_health_says_what_is_heard(page, url):
    page.goto(f"{url}/health")

    assert "smd" in page.locator("tbody tr").first.inner_text()
    assert "live" in page.locator("tbody tr").first.inner_text()
    assert "Held back" in page.inner_text("section:has(#budget-title)")


def test_the_first_page_alone_says_who_sent_what_to_where_and_how_unusual(page, shop):
    fill_street(shop)
    with serving(site_of(shop)) as url:
        page.goto(url)
        first = page.locator("tr.row").first
        assert first.locator(".risk").inner_text() == "72"
        assert "payments/ledger sent" in first.locator(".what").inner_text()
        assert "prod/payments/ledger" in first.locator(".who").inner_text()
        assert "x its usual hour" in first.locator(".how").inner_text()
        assert "198.51.100.23 99 %" in first.locator(".where").inner_text().replace("\n", " ")
        assert first.locator(".where .chip.new").inner_text() == "never seen before"
        assert "incident: 144 points" in page.locator(".group-row").first.inner_text()


def test_news_are_offered_and_the_list_stays_where_it_is(page, shop):
    many_findings(shop, 60)
    [base] = shop.findings.find("00000001")
    page.clock.install()
    with serving(site_of(shop)) as url:
        page.goto(f"{url}/findings?group=none")
        page.evaluate("scrollTo(0, 900)")
        rows = page.locator("tr.row").count()
        newest = max(one.finding.opened_ns for one in shop.findings.all())
        fresh = dataclasses.replace(
            base.finding, uid="f" * 36, opened_ns=newest + HOUR_NS, last_ns=newest + 2 * HOUR_NS,
            risk=dataclasses.replace(base.finding.risk, score=100.0),
        )  # fmt: skip
        shop.findings.save(Episode(fresh, 1))
        with page.expect_response("**/findings/news**"):
            page.clock.fast_forward(16_000)

        page.wait_for_selector(".news a")
        assert "1 new finding" in page.locator(".news a").inner_text()
        assert page.locator("tr.row").count() == rows
        assert page.evaluate("scrollY") >= 900
        with page.expect_navigation():
            page.locator(".news a").click()
        assert page.url == f"{url}/findings?group=none"
        assert page.locator(f'tr[data-uid="{"f" * 36}"]').count() == 1


def test_several_are_decided_at_once(page, shop):
    many_findings(shop, 5)
    with serving(site_of(shop)) as url:
        page.goto(f"{url}/findings?group=none")
        page.wait_for_selector("body[data-ready]")
        assert page.locator(".bulk button[value=attack]").is_disabled()
        for row in page.locator('tr.row input[type="checkbox"]').all()[:3]:
            row.check()
        assert page.locator("[data-count]").inner_text() == "3 chosen"
        page.locator('.bulk [name="note"]').fill("a breach")
        with page.expect_navigation():
            page.locator(".bulk button[value=attack]").click()

        assert page.locator("tr.row").count() == 3
    assert sorted(shop.findings.verdicts().values()) == ["attack"] * 3
    assert len(shop.ask("SELECT DISTINCT reason FROM masks")) == 3


def test_a_finding_becomes_a_filter_that_says_what_else_it_hides(page, shop):
    many_findings(shop, 4)
    uid = next(one.finding.uid for one in shop.findings.all() if one.finding.entity.workload == "checkout")
    with serving(site_of(shop)) as url:
        page.goto(f"{url}/findings/{uid}")
        page.wait_for_selector("body[data-ready]")
        assert "Would hide 1 of 5" in page.locator("#preview").inner_text()
        with page.expect_response("**/filters/preview"):
            page.locator("textarea[name=matchers]").fill('{process="nginx"}')
        page.wait_for_selector("#preview .note.warning")
        assert "Would hide 5 of 5" in page.locator("#preview").inner_text()
        page.locator("textarea[name=matchers]").fill('{workload="checkout"}')
        page.locator('[name="name"]').fill("release")
        page.locator('[name="reason"]').fill("a migration")
        page.get_by_role("button", name="Add the filter").click()
        page.wait_for_selector(".chip:has-text('hidden by the filter release')")


def test_a_key_decides_about_the_finding_that_is_open_and_a_text_field_takes_letters(page, shop):
    uid = shop.findings.all()[0].finding.uid
    with serving(site_of(shop)) as url:
        page.goto(f"{url}/findings/{uid}")
        page.wait_for_selector("body[data-ready]")
        page.locator('form.verdicts [name="note"]').press_sequentially("abe")
        assert page.locator('form.verdicts [name="note"]').input_value() == "abe"
        page.keyboard.press("Escape")
        with page.expect_navigation():
            page.keyboard.press("e")

        assert page.locator(".meta .chip.expected").count() == 1
    assert [one.note for one in shop.findings.judgements(uid)] == ["abe"]


def test_what_counted_lies_on_the_line_that_is_drawn(page, shop_read):
    """The marks of a finding are where the API's marked buckets are, in pixels of the canvas."""
    uid = shop_read.findings.all()[0].finding.uid
    with serving(site_of(shop_read)) as url:
        page.goto(f"{url}/findings/{uid}")
        page.wait_for_selector('.plot[data-drawn="yes"]')
        said = api(page, url, page.locator(".plot").get_attribute("data-src"))
        found = page.evaluate(
            """(marks) => { const { plot } = document.querySelector('.plot');
            const ctx = plot.ctx, wanted = getComputedStyle(document.documentElement).getPropertyValue('--mark').trim();
            const sent = plot.data.at(-1), time = plot.data[0], width = ctx.canvas.width;
            const pixels = ctx.getImageData(0, 0, width, ctx.canvas.height).data;
            return marks.map(([start]) => { const at = time.indexOf(start);
              const x = Math.round(plot.valToPos(start, 'x', true)), y = Math.round(plot.valToPos(sent[at], 'y', true));
              const [r, g, b] = pixels.slice(4 * (y * width + x));
              return '#' + [r, g, b].map((one) => one.toString(16).padStart(2, '0')).join('') === wanted; }); }""",
            said["marks"],
        )

    assert len(found) == len(said["marks"]) > 5
    assert all(found)


def test_a_budget_has_a_slider(page, shop):
    class Budgeted(Options):
        budget: float = 10.0

    detector = type("Budgeted", (), {"name": "sigma", "options": Budgeted, "score": DETECTORS["sigma"].score})()
    detection = CATALOGUE.get(CORRECTED).model_copy(update={"options": {"budget": 10.0}})
    catalogue = Catalogue({CORRECTED: detection}, {CORRECTED: "x.yaml"})
    with serving(site_of(shop, catalogue=catalogue, detectors={"sigma": detector})) as url:
        page.goto(f"{url}/tuning")
        page.locator('input[type="range"]').press("ArrowRight")

        assert page.locator('[name="o.budget"]').input_value() == "20"


def api(page, url, path):
    answer = page.request.get(url + path, headers={"accept": "application/json"})
    assert answer.ok, answer.text()
    return json.loads(answer.text())
