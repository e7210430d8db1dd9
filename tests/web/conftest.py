"""Stores, clients and a browser for the tests of the pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, sync_playwright

from ebbtide.store.store import Store
from ebbtide.web.app import make_app
from ebbtide.web.site import Site
from once import demo_comparisons, made_once, recording_copy
from web_fixtures import CHROMIUM, CORRECTED, fill_shop


@pytest.fixture(scope="session")
def shop_file(tmp_path_factory) -> Path:
    def make(path: Path) -> None:
        with Store.open(path) as store:
            fill_shop(store)

    made = made_once(tmp_path_factory, "shop.duckdb", make)
    return Path(shutil.copy(made, tmp_path_factory.mktemp("shop")))


@pytest.fixture
def shop(shop_file, tmp_path) -> Iterator[Store]:
    """A store of the shop of its own, for a test to change."""
    shutil.copy(shop_file, tmp_path / "own.duckdb")
    with Store.open(tmp_path / "own.duckdb") as store:
        yield store


@pytest.fixture(scope="session")
def shop_read(shop_file) -> Iterator[Store]:
    """A store of the shop that tests only read."""
    path = shop_file.with_name("read.duckdb")
    shutil.copy(shop_file, path)
    with Store.open(path) as store:
        yield store


@pytest.fixture(scope="session")
def demo(tmp_path_factory) -> Iterator[Store]:
    """The recording, judged by the corrected detection."""
    judged = demo_comparisons(tmp_path_factory)["corrected"].backtest
    assert judged.detection.id == CORRECTED
    with Store.open(recording_copy(tmp_path_factory)) as store:
        for episode in judged.episodes.values():
            store.findings.save(episode)
        yield store


@pytest.fixture
def client_of() -> Iterator[Callable[..., TestClient]]:
    """Makes clients of a site that live as long as the test."""
    open_clients = []

    def make(site: Site, **kwargs: object) -> TestClient:
        client = TestClient(make_app(site), base_url="http://localhost", **kwargs)
        client.__enter__()
        open_clients.append(client)
        return client

    yield make
    for client in open_clients:
        client.__exit__(None, None, None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None and not os.environ.get("CI"):
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def page(browser):
    """A page whose console must stay silent: a policy that was violated or a script that failed would speak there."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin")
    page = context.new_page()
    page.set_default_timeout(10_000)
    said = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    context.close()
    assert [one for one in said if "status of 4" not in one] == []
