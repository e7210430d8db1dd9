"""The whole service under load: points acknowledged, ticks, pages, and how long a finding takes to its receiver.

`ebbtide serve` runs with all its detections, a page is asked for twice a second, and encoded OTLP requests are sent as
fast as they are acknowledged, from series of 10,000 entities. Each round of the series is 10 s of theirs, so time in
the data runs a little faster than the clock. Every 42nd round some entities send much more; a detection of the
benchmark finds them, and a webhook on loopback notes when. Its delay counts from the answer that moved the watermark
past the instant that was judged. Prints a table; ends by itself.

Usage: python bench/service.py [--seconds 600] [--series 1000000] [--size 10000] [--connections 8] [--findings 2000]
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from bodies import bodies, encode_points
from ebbtide.series import HOUR_NS, MINUTE_NS, SECOND_NS
from history import METRICS
from receive import OTLP, Send, memory_mib, over_http, retime_points
from report import Row, machine, show

RATE_AIM, DELAY_AIM_S, PAGE_AIM_S = 150_000, 30.0, 1.0
LATENESS_NS = MINUTE_NS
#: The interval of the sources: a million series in it are 100,000 points a second.
STEP_NS = 10 * SECOND_NS
#: Rounds between bursts; the first ones are what a burst is compared with.
BURST_EVERY = 42
BURST_FACTOR = 10_000
SETTINGS = """\
store: {{path: {folder}/service.duckdb, memory: 4GiB}}
lateness: 1m
detections: {{directories: [{folder}/detections]}}
guard: {{entities: 50000, series: 2000000, share: 1}}
sinks: {{hook: {{type: webhook, url: "http://127.0.0.1:{hook}/", allow_private: true, changes: [opened]}}}}
receivers: {{otlp_http: {{address: "127.0.0.1:{port}", preset: opentelemetry-network, cluster: bench}}}}
web: {{address: "127.0.0.1:{web}"}}
log: {{level: warning}}
"""
DETECTION = """\
id: bench_short_history
uuid: 3c6f9a52-7d41-4a3e-8f0b-52d9a7c1e604
name: Benchmark, much more than in the minutes before
label: benchmark
version: 1.0.0
date: 2026-11-24
author: Ebbtide
status: experimental
description: Finds the bursts of the benchmark of the whole service.
metrics: [tcp.bytes]
by: [cluster, namespace, workload, process]
every: 5m
window: 5m
bucket: 30s
baseline: {length: 1h, gap: 5m, by: [cluster, namespace, workload, process], of: buckets}
detector: sigma
options: {k: 6, statistic: sum, udp_stdev: stdev, one_point: silent, more_than: 0, min_points: 2, floor_share: 1}
risk: {impact: 20, confidence: 20}
message: $process$ sent far more than before
"""


@dataclass(slots=True)
class Watched:
    """What was seen from outside. Times are of the clock, in seconds; `crossed` by instant of the data."""

    acknowledged: int = 0
    newest_ns: int = 0
    crossed: dict[int, float] = field(default_factory=dict)
    delays_s: list[float] = field(default_factory=list)
    pages_s: list[float] = field(default_factory=list)
    refused: int = 0
    judged_s: dict[str, list[float]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, points: int, end_ns: int) -> None:
        """A request was acknowledged whose data end then."""
        with self.lock:
            self.acknowledged += points
            step_ns = 5 * MINUTE_NS
            if self.newest_ns:
                before, after = ((ns - LATENESS_NS) // step_ns for ns in (self.newest_ns, max(end_ns, self.newest_ns)))
                for instant in range(before + 1, after + 1):
                    self.crossed[instant * step_ns] = time.time()
            self.newest_ns = max(self.newest_ns, end_ns)

    def told(self, body: bytes) -> None:
        """A finding arrived at the webhook."""
        finding = json.loads(body)["finding"]
        at_ns = round(datetime.fromisoformat(finding["at"]).timestamp()) * SECOND_NS
        with self.lock:
            if finding["detection"]["id"] == "bench_short_history" and at_ns in self.crossed:
                self.delays_s.append(time.time() - self.crossed[at_ns])


@contextlib.contextmanager
def hook(watched: Watched) -> Iterator[int]:
    """A webhook's receiver; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # receivers keep connections open

        def do_POST(self) -> None:
            watched.told(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Rounds:
    """Requests in order, with the end of their data: the same series 10 s later each round, some with a burst."""

    def __init__(self, made: list[bytes], burst: bytes) -> None:
        self._made, self._burst = made, burst
        self._first_ns = (time.time_ns() - 12 * HOUR_NS) // STEP_NS * STEP_NS
        self._number = 0
        self._lock = threading.Lock()

    def take(self) -> tuple[bytes, int]:
        with self._lock:
            number = self._number
            self._number += 1
        turn, at = divmod(number, len(self._made))
        is_burst = at == 0 and turn and turn % BURST_EVERY == 0
        start_ns = self._first_ns + turn * STEP_NS
        return retime_points(self._burst if is_burst else self._made[at], start_ns, STEP_NS), start_ns + STEP_NS


def send(rounds: Rounds, port: int, size: int, until_s: float, watched: Watched) -> None:
    """Send until then; an answer that asks for patience gets it."""
    post = over_http(port, "/v1/metrics", OTLP)
    while time.monotonic() < until_s:
        post = send_once(rounds, port, size, watched, post)


def send_once(rounds: Rounds, port: int, size: int, watched: Watched, post: Send) -> Send:
    """Send the next request until it is taken; what to send the one after it with."""
    body, end_ns = rounds.take()
    while True:
        try:
            post(body)
            break
        except (RuntimeError, OSError, http.client.HTTPException):
            watched.refused += 1
            time.sleep(0.2)
            post = over_http(port, "/v1/metrics", OTLP)
    watched.answered(size, end_ns)
    return post


def look(web: int, until_s: float, watched: Watched) -> None:
    """The page of findings and the health page, twice a second; now and then what each detection took."""
    turn = 0
    while time.monotonic() < until_s:
        began = time.perf_counter()
        get(web, "/findings" if turn % 2 else "/health")
        watched.pages_s.append(time.perf_counter() - began)
        if turn % 20 == 0:
            for name, took in re.findall(
                r'ebbtide_detection_duration_seconds\{detection="([^"]+)"\} (\S+)', get(web, "/metrics").decode()
            ):
                watched.judged_s.setdefault(name, []).append(float(took))
        turn += 1
        time.sleep(0.5)


#: Pages ask for a cookie.
_OPENER = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())


def get(port: int, path: str) -> bytes:
    with _OPENER.open(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return bytes(answer.read())


def measure(seconds: float, series: int, size: int, connections: int, findings: int) -> list[Row]:
    """Serve, send everything once so that every series is known, then measure for so long."""
    points = encode_points(series)
    made = list(bodies(points, size, is_single=False))
    loud = encode_points(size, BURST_FACTOR, series)[: findings * len(METRICS)]
    burst = next(iter(bodies([*loud, *points[len(loud) : size]], size, is_single=False)))
    del points
    watched, ports = Watched(), (free_port(), free_port())
    with tempfile.TemporaryDirectory() as folder, hook(watched) as hook_port:
        (Path(folder) / "detections").mkdir()
        (Path(folder) / "detections" / "bench_short_history.yaml").write_text(DETECTION, "utf-8")
        settings = SETTINGS.format(folder=folder, hook=hook_port, port=ports[0], web=ports[1])
        (Path(folder) / "ebbtide.yaml").write_text(settings, "utf-8")
        program = "from ebbtide.cli.app import main; main()"
        command = [sys.executable, "-c", program, "serve", "--config", f"{folder}/ebbtide.yaml"]
        with subprocess.Popen(command) as server:
            try:
                await_ready(ports[1], server)
                rounds = Rounds(made, burst)
                warm = Watched()
                began = time.monotonic()
                post = over_http(ports[0], "/v1/metrics", OTLP)
                while warm.acknowledged < len(made) * size:
                    post = send_once(rounds, ports[0], size, warm, post)
                first_s = time.monotonic() - began
                watched.newest_ns = warm.newest_ns
                rss = load(rounds, ports, size, seconds, connections, watched, server.pid)
            finally:
                server.terminate()
    return rows(watched, seconds, len(made) * size / first_s, rss)


def await_ready(web: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            get(web, "/readyz")
            return
        time.sleep(0.2)
    raise SystemExit("the service did not become ready")


def load(
    rounds: Rounds, ports: tuple[int, int], size: int, seconds: float, connections: int, watched: Watched, pid: int
) -> tuple[float, float]:
    """Senders and a reader of pages for so long; then resident memory now and at most, MiB."""
    until_s = time.monotonic() + seconds
    threads = [
        threading.Thread(target=send, args=(rounds, ports[0], size, until_s, watched)) for _ in range(connections)
    ]
    threads.append(threading.Thread(target=look, args=(ports[1], until_s, watched)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(DELAY_AIM_S)  # for what is under way
    return memory_mib(pid)


def rows(watched: Watched, seconds: float, first: float, rss: tuple[float, float]) -> list[Row]:
    """What was seen, against what is aimed at."""
    rate = watched.acknowledged / seconds
    page = np.percentile(watched.pages_s, [50, 95, 100])
    found = [
        Row("points acknowledged", f"{rate:,.0f}/s", target=f"{RATE_AIM:,}/s", is_met=rate >= RATE_AIM),
        Row("the first round, one connection, every series new", f"{first:,.0f}/s"),
        Row("answers that asked for patience", f"{watched.refused}"),
        Row("resident memory, at the end and at most", f"{rss[0]:,.0f}, {rss[1]:,.0f} MiB"),
        Row("a page: median, p95, slowest", ", ".join(f"{one * 1000:,.0f}" for one in page) + " ms",
            target=f"{PAGE_AIM_S:g} s", is_met=bool(page[1] < PAGE_AIM_S)),
    ]  # fmt: skip
    found += [
        Row(f"an evaluation of {name}: median and longest seen", f"{np.median(took):.2f}, {max(took):.2f} s")
        for name, took in sorted(watched.judged_s.items())
    ]
    if watched.delays_s:
        delay = np.percentile(watched.delays_s, [50, 95, 100])
        said = ", ".join(f"{one:.1f}" for one in delay)
        found.append(Row(f"from the watermark to the webhook, {len(watched.delays_s)} findings: median, p95, longest",
                         f"{said} s", target=f"{DELAY_AIM_S:g} s", is_met=bool(delay[1] < DELAY_AIM_S)))  # fmt: skip
    else:
        found.append(Row("findings at the webhook", "none", target="some", is_met=False))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--series", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--findings", type=int, default=2000, help="entities in a burst, at most a fifth of the size")
    options = parser.parse_args()
    print("  ".join(f"{name} {value}" for name, value in machine().items()))
    found = measure(options.seconds, options.series, options.size, options.connections, options.findings)
    show(f"the service under load, {options.series:,} series, {options.seconds:.0f} s", found)
    if missed := [row.what for row in found if row.is_met is False]:
        raise SystemExit(f"\nmissed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
