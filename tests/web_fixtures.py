"""Sites to test with: the recording, a shop with destinations, hostile names; served on a free port of loopback."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from build import Point, batch_of
from ebbtide.detect.catalogue import load
from ebbtide.engine import evaluate
from ebbtide.finding.lifecycle import Episode
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, SECOND_NS, Entity
from ebbtide.store.store import Store
from ebbtide.web.app import make_app
from ebbtide.web.offline import health_of
from ebbtide.web.site import Scope, Site, Token

CATALOGUE = load(DETECTORS)
CORRECTED = "outbound_network_activity_from_process_corrected"
#: A Wednesday, 00:00 UTC.
START_S = 1_764_115_200
DAYS = 16
END_NS = (START_S + DAYS * 86_400) * SECOND_NS
NGINX = Entity("prod", "shop", "checkout", "nginx")
REDIS = Entity("prod", "shop", "cart", "redis")
STRANGER = "203.0.113.9"
CHROMIUM = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
TOKENS = {"reader": "r" * 40, "writer": "w" * 40, "admin": "a" * 40}


def shop_points(process: str = "nginx", workload: str = "checkout", stranger: str = STRANGER) -> list[Point]:
    """16 quiet days in steps of 5 minutes, the last half hour of them with 60 MB a step to a stranger."""
    who = Entity("prod", "shop", workload, process)
    points = []
    for step in range(DAYS * 288):
        end = START_S + (step + 1) * 300
        day = step // 288
        points.append(Point(end, 250_000 + step % 7 * 20_000, sender=who, to="api.example.com", span_s=300))
        points.append(Point(end, 40_000 + day * 100, sender=who, to="cart", receiver=REDIS, span_s=300))
        if step >= DAYS * 288 - 8:
            points.append(Point(end - 1, 60e6, sender=who, to=stranger, span_s=299))
    return points


def fill_shop(store: Store, **names: str) -> None:
    """Import the shop's points, judge the end, keep the finding."""
    store.append(batch_of(shop_points(**names)), store.begin("import", "shop"))
    store.roll_up()
    for finding in evaluate(store, CATALOGUE.get(CORRECTED), END_NS + 600 * SECOND_NS).findings:
        store.findings.save(Episode(finding, finding.count))


def site_of(store: Store, **changes: object) -> Site:
    fields = {
        "store": store,
        "catalogue": CATALOGUE,
        "detectors": DETECTORS,
        "now": lambda: END_NS + HOUR_NS // 2,
        "health": lambda: health_of(store),
        "version": "1.2.3",
        "session_key": "k" * 40,
    }
    return Site(**(fields | changes))


def tokens() -> tuple[Token, ...]:
    return tuple(Token.of(name, text, Scope[scope]) for (name, text), scope in
                 zip(TOKENS.items(), ("READ", "WRITE", "ADMIN"), strict=True))  # fmt: skip


@contextmanager
def serving(site: Site) -> Iterator[str]:
    """The site on a free port; its address."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(make_app(site), log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        assert server.started
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def many_findings(store: Store, count: int) -> None:
    """So many open findings of as many entities, copies of the shop's one."""
    [episode] = store.findings.all()
    with store.transaction():
        for number in range(count):
            entity = Entity(f"c{number % 3}", f"ns{number % 40}", f"w{number}", "nginx")
            opened_ns = episode.finding.opened_ns - number % 30 * DAY_NS - number * SECOND_NS
            finding = dataclasses.replace(
                episode.finding, uid=f"{number:08x}-0000-5000-8000-000000000000", entity=entity, opened_ns=opened_ns,
                last_ns=opened_ns + HOUR_NS, risk=dataclasses.replace(episode.finding.risk, score=float(number % 100)),
            )  # fmt: skip
            store.findings.save(Episode(finding, 1))
