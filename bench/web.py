"""Measures the pages and the API with 10,000 open findings and 10,000 entities: `python bench/web.py`.

Aims: the first page under 1 s, a chart of 30 days under 300 ms. Prints a line for each address: the median and the
slowest of 15 requests, one after the other, over HTTP on loopback; then as many as 8 clients get through together.
"""

from __future__ import annotations

import dataclasses
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

sys.path[:0] = [str(Path(__file__).parents[1] / "tests"), str(Path(__file__).parents[1] / "tests" / "finding")]

# isort: split
from finding_samples import sample  # noqa: E402 the tests' samples, found by the line above

from build import Point, batch_of  # noqa: E402
from ebbtide.finding.lifecycle import Episode  # noqa: E402
from ebbtide.series import HOUR_NS, SECOND_NS, Entity  # noqa: E402
from ebbtide.store.store import Store  # noqa: E402
from web_fixtures import serving, site_of  # noqa: E402

ENTITIES, FINDINGS, DAYS = 10_000, 10_000, 30
#: Hours in which all entities send; the first 20 entities send in every hour.
SHARED_HOURS = 24
START_S = 1_764_115_200
END_S = START_S + DAYS * 86_400
REQUESTS, CLIENTS = 15, 8
FIRST_PAGE_S, CHART_S = 1.0, 0.3


def entity(number: int) -> Entity:
    return Entity(f"c{number % 4}", f"team-{number % 150}", f"service-{number}", "nginx")


def fill(store: Store) -> None:
    """30 days: 20 entities by the hour, all of them in the last day; 10,000 findings with 60 hits each."""
    origin = store.begin("bench", "web")
    for day in range(DAYS):
        points = [
            Point(START_S + day * 86_400 + hour * 3600 + 1800, 1e6, sender=entity(one), to=f"d{hour % 5}", span_s=60)
            for hour in range(24)
            for one in range(20)
        ]
        store.append(batch_of(points), origin)
    for hour in range(SHARED_HOURS):
        at = END_S - (SHARED_HOURS - hour) * 3600 + 1860
        store.append(batch_of(Point(at, 1e6, sender=entity(one), span_s=60) for one in range(ENTITIES)), origin)
    store.roll_up()
    base = sample()
    with store.transaction():
        for number in range(FINDINGS):
            opened_ns = (END_S - number % 720 * 3600 - number % 3600) * SECOND_NS
            finding = dataclasses.replace(
                base, uid=f"{number:08x}-0000-5000-8000-000000000000", entity=entity(number), opened_ns=opened_ns,
                last_ns=opened_ns + HOUR_NS, risk=dataclasses.replace(base.risk, score=float(number % 100)),
            )  # fmt: skip
            store.findings.save(Episode(finding, finding.count))


def measure(name: str, ask: Callable[[], httpx.Response], aim_s: float | None = None) -> bool:
    """Print one line; whether the median keeps its aim."""
    took = []
    size = 0
    for _ in range(REQUESTS):
        began = time.perf_counter()
        answer = ask()
        took.append(time.perf_counter() - began)
        answer.raise_for_status()
        size = len(answer.content)
    median = statistics.median(took)
    verdict = "" if aim_s is None else f"  aim {aim_s:g} s: {'kept' if median < aim_s else 'MISSED'}"
    print(f"{name:44} {median * 1000:8.0f} ms {max(took) * 1000:8.0f} ms {size / 1000:8.0f} kB{verdict}", flush=True)
    return aim_s is None or median < aim_s


def together(url: str, path: str) -> None:
    """Requests a second of several clients at once."""
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as client:
        client.get("/findings")
        count = 40
        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = list(pool.map(lambda _: client.get(path).status_code, range(count)))
        took = time.perf_counter() - began
    assert set(answers) == {200}
    print(f"{CLIENTS} clients, {path:31} {count / took:8.1f} requests/s", flush=True)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder, Store.open(Path(folder) / "bench.duckdb") as store:
        began = time.perf_counter()
        fill(store)
        print(f"{ENTITIES:,} entities, {FINDINGS:,} open findings; made in {time.perf_counter() - began:.0f} s")
        site = site_of(store, now=lambda: (END_S + 600) * SECOND_NS)
        with serving(site) as url, httpx.Client(base_url=url, follow_redirects=True, timeout=60) as client:
            client.get("/findings")
            print(f"{'':44} {'median':>11} {'slowest':>11}")
            path = "/api/v1/entities/c0/team-0/service-0/nginx"
            kept = [
                measure("first page", lambda: client.get("/findings"), FIRST_PAGE_S),
                measure("first page, flat", lambda: client.get("/findings?group=none"), FIRST_PAGE_S),
                measure("by incident", lambda: client.get("/findings?group=incident"), FIRST_PAGE_S),
                measure("search in columns", lambda: client.get('/findings?q={process=~"ng.*",namespace="team-7"}')),
                measure("search in documents", lambda: client.get('/findings?q={destination="nowhere"}')),
                measure("API: findings", lambda: client.get("/api/v1/findings")),
                measure("a finding", lambda: client.get("/findings/00000001")),
                measure("API: chart of a finding", lambda: client.get("/api/v1/findings/00000001/chart"), CHART_S),
                measure("entities", lambda: client.get("/entities"), FIRST_PAGE_S),
                measure("entities, search", lambda: client.get("/entities?q=service-77")),
                measure("an entity", lambda: client.get("/entities/c0/team-0/service-0/nginx")),
                measure("API: 30 days of an entity", lambda: client.get(f"{path}/series"), CHART_S),
                measure("filters", lambda: client.get("/filters")),
                measure("health", lambda: client.get("/health"), FIRST_PAGE_S),
            ]
            adding = {"name": "bench", "matchers": '{workload="service-7"}', "reason": "bench"}
            began = time.perf_counter()
            client.post("/api/v1/filters", json=adding).raise_for_status()
            print(f"{'API: add a filter, applied to all findings':44} {(time.perf_counter() - began) * 1000:8.0f} ms")
            together(url, "/findings")
            together(url, f"{path}/series")
            assert threading.active_count() < 100
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
