"""Real servers filled with counters, a scripted one that misbehaves, and what is expected of both."""

from __future__ import annotations

import contextlib
import http.server
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ebbtide.series import HOUR_NS, SECOND_NS

#: A day ago and more, at an hour's start: servers refuse neither the past nor the future then.
NOW_S = int(time.time())
HOURS = 30
FIRST = NOW_S // 3600 - HOURS - 1
STEP_S = 30
SENT, RECEIVED = "container_net_tcp_bytes_sent_total", "container_net_tcp_bytes_received_total"
PODS = ("checkout-7d9c5b6f4-x2x9q", "cart-5f6d7c8b9-abcde")


def readings() -> list[tuple[dict[str, str], list[int], list[float]]]:
    """Counters of two pods in both directions, one reset in the middle: labels, seconds, readings."""
    rng = np.random.default_rng(5)
    found = []
    for at, pod in enumerate(PODS):
        for metric in (SENT, RECEIVED):
            time_s = [FIRST * 3600 + 7 + tick * STEP_S for tick in range(HOURS * 3600 // STEP_S)]
            total = np.cumsum(rng.integers(0, 2_000_000, len(time_s))).astype(float)
            half = len(total) // 2
            total[half:] -= total[half] if at else 0
            labels = {"__name__": metric, "container_id": f"/k8s/shop/{pod}/app", "destination": "10.0.0.1:443"}
            found.append((labels, time_s, total.tolist()))
    return found


def sent_of(time_s: list[int], total: list[float], hour: int) -> float:
    """By hand: what a counter grew by in the readings of an hour, the reset counted from zero."""
    grown = 0.0
    for (_, before), (at, after) in zip(
        zip(time_s, total, strict=True), list(zip(time_s, total, strict=True))[1:], strict=False
    ):
        if at // 3600 == hour:
            grown += after - before if after >= before else after
    return grown


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextlib.contextmanager
def running(command: list[str], log: Path, ready: str) -> Iterator[None]:
    """A server that answers at `ready`, ended afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            until(lambda: is_up(ready), lambda: log.read_text("utf-8", "replace")[-2000:])
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Callable[[], bool], said: Callable[[], str] = str, limit_s: float = 40) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, said()
        time.sleep(0.05)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def post(url: str, body: bytes) -> None:
    with urllib.request.urlopen(urllib.request.Request(url, body, method="POST"), timeout=20) as answer:
        assert answer.status in (200, 204)


@contextlib.contextmanager
def victoria_metrics(folder: Path) -> Iterator[str]:
    """VictoriaMetrics with the counters imported by its own import API."""
    import json

    port = free_port()
    command = [binary("victoria-metrics"), f"-storageDataPath={folder / 'vm'}", f"-httpListenAddr=127.0.0.1:{port}"]
    url = f"http://127.0.0.1:{port}"
    with running([*command, "-retentionPeriod=100y"], folder / "vm.log", f"{url}/health"):
        lines = [
            json.dumps({"metric": labels, "timestamps": [at * 1000 for at in time_s], "values": total})
            for labels, time_s, total in readings()
        ]
        post(f"{url}/api/v1/import", "\n".join(lines).encode())
        urllib.request.urlopen(f"{url}/internal/force_flush", timeout=20).close()
        yield url


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """Prometheus over blocks that promtool makes from an OpenMetrics file."""
    text = []
    for metric in (SENT, RECEIVED):
        text.append(f"# TYPE {metric.removesuffix('_total')} counter")
        for labels, time_s, total in readings():
            if labels["__name__"] == metric:
                names = ",".join(f'{name}="{value}"' for name, value in labels.items() if name != "__name__")
                text += [f"{metric}{{{names}}} {value} {at}" for at, value in zip(time_s, total, strict=True)]
    (folder / "om.txt").write_text("\n".join([*text, "# EOF", ""]), "utf-8")
    (folder / "prometheus.yml").write_text("global: {scrape_interval: 1h}\n", "utf-8")
    promtool = [binary("promtool"), "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run([*promtool, folder / "om.txt", folder / "tsdb"], check=True, capture_output=True, timeout=60)
    port = free_port()
    command = [binary("prometheus"), f"--config.file={folder / 'prometheus.yml'}",
               f"--storage.tsdb.path={folder / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
               "--storage.tsdb.retention.time=100y"]  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with running(command, folder / "prometheus.log", f"{url}/-/ready"):
        yield url


class Scripted:
    """A server that gives the answers of a list, the last for ever; each is called with the handler."""

    def __init__(self, *answers: Callable[[http.server.BaseHTTPRequestHandler], None]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.headers: list[str | None] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.headers.append(self.headers.get("Authorization"))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                with contextlib.suppress(OSError):
                    answer(self)

            def log_message(self, *_: object) -> None:
                return None

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self) -> Scripted:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()


def say(status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> Callable[..., None]:
    """An answer; with `length` it promises more than it gives."""

    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def matrix(hour: int, values: dict[str, list[float]]) -> bytes:
    """A Prometheus answer: per container, readings each minute from two minutes before the hour on."""
    import json

    result = [
        {
            "metric": {"__name__": SENT, "container_id": f"/k8s/shop/{pod}/app", "destination": "10.0.0.1:443"},
            "values": [[hour * 3600 + 60 * (at - 2), str(value)] for at, value in enumerate(of)],
        }
        for pod, of in values.items()
    ]
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


HOUR_S = HOUR_NS // SECOND_NS
