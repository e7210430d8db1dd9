"""Sites to test with: the recording, a shop with destinations, hostile names; served on a free port of loopback."""

from __future__ import annotations

import dataclasses
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from build import Point, batch_of
from ebbtide.detect.catalogue import load
from ebbtide.detect.detection import Detection
from ebbtide.engine import evaluate
from ebbtide.finding.lifecycle import Episode
from ebbtide.receive.settings import Receivers
from ebbtide.receive.snippet import sender_settings
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


#: Other workloads of the made-up shop: who, quiet bytes a step, to whom; loud steps at the end, how much, to whom.
STREET = (
    (Entity("prod", "payments", "ledger", "java"), 900_000, "db.example.com", 11, 130e6, "198.51.100.23"),
    (Entity("prod", "payments", "ledger", "curl"), 2_000, "db.example.com", 7, 30e6, "198.51.100.23"),
    (Entity("prod", "web", "frontend", "node"), 4_000_000, "cdn.example.net", 12, 18e6, "cdn.example.net"),
    (Entity("prod", "backup", "restic", "restic"), 300_000, "vault.example.com", 9, 45e6, "vault.example.com"),
    (Entity("stage", "search", "indexer", "python3"), 600_000, "shard", 10, 6e6, "shard"),
)


def payments_detection() -> Detection:
    """A detection of a user's own: the corrected one with more risk, for what must never leak."""
    return CATALOGUE.get(CORRECTED).model_copy(
        update={
            "id": "outbound_from_payments",
            "uuid": uuid.UUID("0d7a3a52-8d0c-4b7e-9a2e-5f5b0a6f2c11"),
            "name": "Unusual outbound traffic from payments",
            "label": "payments",
            "risk": CATALOGUE.get(CORRECTED).risk.model_copy(update={"impact": 90.0, "confidence": 80.0}),
        }
    )


def fill_street(store: Store) -> None:
    """Import the other workloads, judge the end by both detections, keep the findings."""
    origin = store.begin("import", "street")
    steps = DAYS * 288
    for who, quiet, to, last, loud, stranger in STREET:
        points = [
            Point(START_S + (at + 1) * 300, quiet * (1 + at % 5 / 10), sender=who, to=to, span_s=300)
            for at in range(steps)
        ]
        points += [Point(START_S + (at + 1) * 300 - 1, loud, sender=who, to=stranger, span_s=299)
                   for at in range(steps - last, steps)]  # fmt: skip
        store.append(batch_of(points), origin)
    store.roll_up()
    at_ns = END_NS + 600 * SECOND_NS
    own = [one for one in evaluate(store, payments_detection(), at_ns).findings if one.entity.namespace == "payments"]
    taken = {one.entity for one in own}
    found = own + [one for one in evaluate(store, CATALOGUE.get(CORRECTED), at_ns).findings if one.entity not in taken]
    for finding in found:
        store.findings.save(Episode(finding, finding.count))


#: What the first page shows to whoever wants to send.
SENDER = sender_settings(Receivers.model_validate({"otlp_http": {"address": "127.0.0.1:4318"}}), "localhost")


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
