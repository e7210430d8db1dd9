"""The real senders, each set up as docs/receivers.md says: SDK, rotel, Prometheus, vmagent, curl."""

from __future__ import annotations

import contextlib
import http.server
import importlib.util
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from ebbtide.errors import ServiceError
from ebbtide.receive.intake import Intake
from ebbtide.receive.serving import open_listener
from ebbtide.receive.settings import Listener, Receivers, Token
from ebbtide.receive.tokens import digest_of
from ebbtide.store.store import Store

PAGE = (Path(__file__).parents[2] / "docs" / "receivers.md").read_text("utf-8")
SNIPPETS = dict(re.findall(r"```(?:yaml|sh)\n# (\w+)\n(.*?)```", PAGE, re.DOTALL))
TOKENS = (Token(name="peer", sha256=digest_of("TOKEN")),)
EDGE = {
    "source.environment": "prod-eu",
    "source.namespace.name": "shop",
    "source.workload.name": "checkout",
    "source.process.name": "java",
    "dest.workload.name": "api.example.com",
}


@pytest.fixture
def live() -> Iterator[Callable[..., tuple[Store, Intake, int]]]:
    """Listeners on the real clock, as real senders use it."""
    with contextlib.ExitStack() as closing:

        def make(kind: str, **settings: object) -> tuple[Store, Intake, int]:
            store = closing.enter_context(Store.open())
            intake = Intake(store)
            intake.start()
            closing.callback(intake.stop)
            server = open_listener(intake, Listener(address="127.0.0.1:0", **settings), kind)  # type: ignore[arg-type]
            closing.callback(server.stop)
            return store, intake, server.port

        yield make


@contextlib.contextmanager
def running(command: list[str], log: Path, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """A peer that is ended afterwards."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, **options)  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def until(condition: Callable[[], bool], log: Path | None = None, limit_s: float = 25) -> None:
    end = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < end, log.read_text("utf-8", "replace")[-3000:] if log else "too long"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Outage:
    """A store that cannot write some times: a sender that was told "again" comes again, and nothing counts twice."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
        self.left = failures
        append = store.append

        def failing(*arguments: object, **named: object) -> object:
            if self.left:
                self.left -= 1
                raise ServiceError("the disk is full")
            return append(*arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(store, "append", failing)


SOON = {"retry_after": 1}


def accepted(intake: Intake) -> int:
    return sum(one.points.accepted for one in intake.counts().traffic.values())


# -- OpenTelemetry


def sdk_metrics(exporter: object, adds: list[int]) -> None:
    """A counter of the SDK, exported after each addition."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)  # type: ignore[arg-type]
    provider = MeterProvider([reader], shutdown_on_exit=False)
    counter = provider.get_meter("peer").create_counter("tcp.bytes", unit="By")
    for add in adds:
        counter.add(add, EDGE)
        assert provider.force_flush()
    provider.shutdown()


def test_the_sdk_over_grpc(live, monkeypatch):
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    store, intake, port = live("otlp_grpc", tokens=TOKENS, limits=SOON)
    outage = Outage(store, monkeypatch, 1)
    headers = {"authorization": "Bearer TOKEN"}
    sdk_metrics(OTLPMetricExporter(f"http://127.0.0.1:{port}", insecure=True, headers=headers), [100, 7, 5])
    # Cumulative: the first is a baseline. The exporter sends once more when it is shut down.
    assert sum(store.totals().values()) == 12
    assert accepted(intake) >= 3
    assert outage.left == 0


def test_the_sdk_over_http_by_its_environment(live, monkeypatch):
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    store, _, port = live("otlp_http", tokens=TOKENS, limits=SOON)
    outage = Outage(store, monkeypatch, 1)
    for line in SNIPPETS["sdk"].strip().splitlines():
        name, value = line.split("=", 1)
        monkeypatch.setenv(name, value.replace("4318", str(port)))
    sdk_metrics(OTLPMetricExporter(), [100, 7, 5])
    assert sum(store.totals().values()) == 12
    assert outage.left == 0


def rotel_agent() -> str | None:
    found = importlib.util.find_spec("rotel")
    agent = Path(found.origin).with_name("rotel-agent") if found and found.origin else None
    return str(agent) if agent is not None and agent.exists() else None


@pytest.mark.skipif(rotel_agent() is None, reason="rotel is not installed")
@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_rotel(live, tmp_path, monkeypatch, protocol):
    import httpx
    from requests_of_decode import Point, proto

    store, intake, port = live(f"otlp_{protocol}", limits=SOON)
    outage = Outage(store, monkeypatch, 2)
    inlet, log = free_port(), tmp_path / "rotel.log"
    command = shlex.split(SNIPPETS["rotel"])
    command[0] = str(rotel_agent())
    command = [part.replace("4318", str(port)) for part in command]
    command[-1] = protocol
    command += ["--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}", "--otlp-http-endpoint", f"127.0.0.1:{inlet}"]
    command += ["--otlp-exporter-retry-initial-backoff", "200ms"]
    command += ["--pid-file", str(tmp_path / "pid"), "--log-file", str(tmp_path / "log")]
    now_ns = time.time_ns()
    body = proto([Point(value=at, labels=EDGE | {"pod": str(at)}, end_ns=now_ns) for at in range(100)])

    def is_open() -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", inlet), 1).close()
            return True
        return False

    with running(command, log):
        until(is_open, log)
        kind = {"content-type": "application/x-protobuf"}
        answer = httpx.post(f"http://127.0.0.1:{inlet}/v1/metrics", content=body, headers=kind)
        assert answer.status_code in (200, 202)
        until(lambda: accepted(intake) == 100, log)
    assert sum(store.totals().values()) == sum(range(100))
    assert outage.left == 0


def test_the_collectors_exporter_has_five_lines():
    exporters = yaml.safe_load(SNIPPETS["collector"])["exporters"]
    assert exporters["otlp_grpc"]["endpoint"].endswith(":4317")
    assert len(SNIPPETS["collector"].strip().splitlines()) == 5


# -- Prometheus


class Target:
    """Something to scrape: a counter of Coroot's agent that grows with each scrape, and noise."""

    def __init__(self) -> None:
        self.served: list[int] = []
        self.is_gone = False
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                text = "# TYPE noise gauge\nnoise 1\n"
                if not target.is_gone:
                    target.served.append(1000 + 37 * len(target.served))
                    name = "container_net_tcp_bytes_sent_total"
                    labels = 'container_id="/k8s/shop/checkout-7d9c5b6f4-x2x9q/app",actual_destination="10.0.0.1:443"'
                    text += f"# TYPE {name} counter\n{name}{{{labels}}} {target.served[-1]}\n"
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = self._server.server_port

    def scrape(self, seconds: float = 0.5) -> dict[str, object]:
        return {
            "global": {"scrape_interval": f"{int(seconds * 1000)}ms"},
            "scrape_configs": [{"job_name": "coroot", "static_configs": [{"targets": [f"127.0.0.1:{self.port}"]}]}],
        }

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def target() -> Iterator[Target]:
    made = Target()
    yield made
    made.close()


def check_ledger(store: Store, target: Target) -> None:
    """What is stored is exactly what the counter grew by, from the first reading to the last that came."""
    [(_, _, newest)] = store.counters().values()
    assert newest in target.served
    assert sum(store.totals().values()) == newest - target.served[0]


@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not installed")
def test_prometheus(live, target, tmp_path, monkeypatch):
    store, intake, port = live("remote_write", preset="coroot", tokens=TOKENS, limits=SOON)
    outage = Outage(store, monkeypatch, 2)
    config = target.scrape() | yaml.safe_load(SNIPPETS["prometheus"].replace("9201", str(port)))
    config["remote_write"][0]["queue_config"] = {"batch_send_deadline": "300ms"}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(config))
    log = tmp_path / "log"
    command = ["prometheus", f"--config.file={tmp_path}/p.yaml", f"--storage.tsdb.path={tmp_path}/data"]
    command += [f"--web.listen-address=127.0.0.1:{free_port()}"]
    with running(command, log):
        until(lambda: accepted(intake) >= 3, log)
        target.is_gone = True
        traffic = intake.counts().traffic["remote_write"]
        until(lambda: intake.counts().traffic["remote_write"].points.ignored["no_recorded_value"] == 1, log)
    assert traffic.refused == {"internal": 2} and traffic.points.rejected == {}
    assert outage.left == 0
    assert "other_metric" not in intake.counts().traffic["remote_write"].points.ignored  # it sends only what is kept
    check_ledger(store, target)


@pytest.mark.skipif(shutil.which("vmagent") is None, reason="vmagent is not installed")
def test_vmagent(live, target, tmp_path, monkeypatch):
    store, intake, port = live("remote_write", preset="coroot", tokens=TOKENS, limits=SOON)
    outage = Outage(store, monkeypatch, 2)
    (tmp_path / "scrape.yaml").write_text(yaml.safe_dump(target.scrape()))
    command = shlex.split(SNIPPETS["vmagent"].replace("\\\n", "").replace("9201", str(port)))
    command += [f"-remoteWrite.tmpDataPath={tmp_path}/data", f"-httpListenAddr=127.0.0.1:{free_port()}"]
    with running(command, tmp_path / "log", cwd=tmp_path):
        until(lambda: accepted(intake) >= 3, tmp_path / "log")
    assert intake.counts().traffic["remote_write"].points.rejected == {}
    assert intake.counts().traffic["remote_write"].points.ignored["other_metric"] > 0
    assert outage.left == 0
    check_ledger(store, target)


# -- Splunk HEC


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(live):
    store, _, port = live("hec", tokens=TOKENS)
    now = str(int(time.time()))
    command = shlex.split(SNIPPETS["hec"].replace("8088", str(port)).replace("1764000030", now))
    answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True, env=os.environ)
    assert answer.stdout == '{"text":"Success","code":0}'
    assert list(store.totals().values()) == [48211]


# -- the page itself


def test_the_settings_of_the_page_are_valid_and_its_defaults_are_ours():
    receivers = Receivers.model_validate(yaml.safe_load(SNIPPETS["receivers"]))
    assert len(receivers.listeners()) == 4
    limits = dict(re.findall(r"`(\w+)`\s(\S+?)[,.;]?\s", PAGE[PAGE.index("## Limits") :] + " "))
    written = {"limits": limits, "address": "127.0.0.1:0"}
    names = set(Listener(address="127.0.0.1:0").limits.model_dump())
    written["limits"] = {name: value for name, value in limits.items() if name in names}
    assert Listener.model_validate(written).limits == Listener(address="127.0.0.1:0").limits
    assert set(written["limits"]) == names
    ours = {name: value for name, value in limits.items() if name in receivers.intake.model_dump()}
    assert Receivers.model_validate({"intake": ours}).intake == Receivers().intake
    assert set(ours) == set(Receivers().intake.model_dump())
