"""Takes the pictures of docs/web.md: every page, light and dark, of the shipped recording and of a made-up shop.

Run by `make docs`; where there is no Chromium it says so and leaves the pictures as they are.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "tests")]

# isort: split
from playwright.sync_api import APIRequestContext, sync_playwright  # noqa: E402

from ebbtide.demo import compare, fill  # noqa: E402
from ebbtide.detect.catalogue import Catalogue  # noqa: E402
from ebbtide.finding.filters import Filter, parse_matchers  # noqa: E402
from ebbtide.series import DAY_NS  # noqa: E402
from ebbtide.store.store import Store  # noqa: E402
from ebbtide.triage import add_filter  # noqa: E402
from web_fixtures import (  # noqa: E402 the tests' made-up shop, found by the line above
    CATALOGUE,
    CORRECTED,
    END_NS,
    SENDER,
    fill_shop,
    fill_street,
    payments_detection,
    serving,
    site_of,
    tokens,
)
from web_fixtures import CHROMIUM as FLAGS  # noqa: E402

IMAGES = HERE / "images"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
#: Longer pages are cut: a picture shows what a page is like.
TALLEST = 1500
SIZES = {"": (1280, 860), "-narrow": (400, 860)}


def pages(urls: dict[str, str], uids: dict[str, str], job: str) -> Iterator[tuple[str, str]]:
    """Name and address of every page."""
    demo, shop = urls["demo"], urls["shop"]
    yield "findings", f"{shop}/findings"
    yield "finding", f"{shop}/findings/{uids['shop']}"
    yield "finding-recording", f"{demo}/findings/{uids['demo']}"
    yield "entity", f"{demo}/entities/smd/-/machine-2-1/server"
    yield "entities", f"{shop}/entities"
    yield "tuning", f"{demo}/tuning?detection=outbound_network_activity_from_process_corrected&job={job}"
    yield "filters", f"{shop}/filters"
    yield "health", f"{shop}/health"
    yield "login", f"{urls['closed']}/login"
    yield "first-run", f"{urls['empty']}/findings"


def main() -> None:
    """Fill the stores, serve them, take the pictures."""
    if CHROMIUM is None:
        print("no Chromium: the pictures stay as they are")
        return
    from ebbtide.store.store import Store

    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),  # so that the commands on the pages name a file, not a place of this machine
        Store.open(Path("demo.duckdb")) as demo,
        Store.open(Path("shop.duckdb")) as shop,
        Store.open() as empty,
        serving(site_of(_demo(demo))) as demo_url,
        serving(site_of(_shop(shop), catalogue=_catalogue())) as shop_url,
        serving(site_of(empty, tokens=tokens())) as closed_url,
        serving(site_of(empty, sender_settings=SENDER)) as empty_url,
        sync_playwright() as playwright,
    ):
        urls = {"demo": demo_url, "shop": shop_url, "closed": closed_url, "empty": empty_url}
        uids = {"demo": _uid(demo), "shop": _uid(shop)}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        job = _backtest(browser.new_context().request, demo_url)
        for theme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                context = browser.new_context(
                    viewport={"width": width, "height": height},
                    color_scheme=theme,
                    timezone_id="Etc/UTC",
                    locale="en-GB",
                )
                page = context.new_page()
                for name, address in pages(urls, uids, job):
                    if size and name not in ("findings", "finding"):
                        continue
                    page.set_viewport_size({"width": width, "height": height})
                    page.goto(address)
                    page.wait_for_selector("body[data-ready]")
                    if page.locator(".plot").count():
                        page.wait_for_selector('.plot[data-drawn="yes"]')
                    # As tall as the page, so that what sticks to an edge does not lie over what is shown.
                    tall = page.evaluate("document.documentElement.scrollHeight")
                    page.set_viewport_size({"width": width, "height": min(max(tall, 420), TALLEST)})
                    page.wait_for_timeout(150)
                    page.screenshot(path=IMAGES / f"{name}{size}-{theme}.png")
                context.close()
        browser.close()


def _catalogue() -> Catalogue:
    own = payments_detection()
    return Catalogue({**CATALOGUE.detections, own.id: own}, {**CATALOGUE.origin, own.id: "payments.yaml"})


def _demo(store: Store) -> Store:
    """The recording, judged by the corrected detection."""
    fill(store, lambda _: None)
    for episode in compare(store, CATALOGUE.get(CORRECTED), lambda _, __: None).backtest.episodes.values():
        store.findings.save(episode)
    return store


def _shop(store: Store) -> Store:
    """A shop in which some processes begin to send to a stranger, and others are merely busy."""
    fill_shop(store)
    fill_street(store)
    backups = parse_matchers('{namespace="backup",process="restic"}')
    until_ns = END_NS + 89 * DAY_NS
    add_filter(store, Filter("nightly-backup", backups, "platform", "to the vault", END_NS - DAY_NS, until_ns), END_NS)
    return store


def _uid(store: Store) -> str:
    found = max(store.findings.all(), key=lambda one: (one.finding.risk.score, one.finding.evidence.metrics[0].total))
    return found.finding.uid


def _backtest(request: APIRequestContext, url: str) -> str:
    """A finished backtest on the recording."""
    wanted = {
        "detection": "outbound_network_activity_from_process_corrected",
        "options": {"k": 4},
        "from": "2024-01-18T00:00:00Z",
        "to": "2024-02-02T00:00:00Z",
    }
    job = request.post(f"{url}/api/v1/backtests", data=wanted).json()["id"]
    deadline = time.monotonic() + 300
    while request.get(f"{url}/api/v1/backtests/{job}").json()["state"] != "done" and time.monotonic() < deadline:
        time.sleep(0.2)
    return str(job)


if __name__ == "__main__":
    main()
