"""The service as a whole, in this process and in one of its own."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from build import Point, batch_of
from ebbtide.config import Config, Slots, load_config
from ebbtide.errors import ConfigError, ServiceError
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, SECOND_NS
from ebbtide.service.front import WebSettings
from ebbtide.service.process import Service
from ebbtide.service.vitals import Figures
from ebbtide.store.store import Store
from ebbtide.telemetry import Log
from test_engine import burst, quiet

NOW_S = 60 * 3600


def until(is_so: Callable[[], bool], longest_s: float = 30) -> None:
    ends = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < ends
        threading.Event().wait(0.01)


class FakeReceiver:
    """Stores what a test gives it, as receivers do."""

    def __init__(self, service: Service) -> None:
        self.store = service.store
        self.events: list[str] = []
        self.stored = 0

    def start(self) -> None:
        self.origin = self.store.begin("live", "fake")
        self.events.append("start")

    def take(self, points: list[Point]) -> None:
        self.stored += self.store.append(batch_of(points), self.origin).stored

    def stop(self) -> None:
        self.events.append("stop")

    def figures(self) -> Figures:
        return Figures({"accepted": self.stored}, {"queue_bytes": 0.0})


class Refusing(FakeReceiver):
    def start(self) -> None:
        raise ServiceError("the port is taken")


def config_of(tmp_path: Path, more: str = "", slots: Slots | None = None) -> Config:
    text = f"store: {{path: {tmp_path / 's.duckdb'}}}\ntick: 1s\n"
    text += f"sinks: {{log: {{type: lines, path: {tmp_path / 'out'}}}}}\n"
    return load_config(text + more, "e.yaml", {}, str, slots or {})


def service_of(config: Config, servers: list[FakeReceiver], kind=FakeReceiver) -> tuple[Service, io.StringIO]:
    out = io.StringIO()

    def build(service: Service) -> list[FakeReceiver]:
        servers.append(kind(service))
        return servers[-1:]

    now = lambda: NOW_S * SECOND_NS  # noqa: E731
    return Service(config, detectors=DETECTORS, log=Log(out), build=build, now=now), out


def test_what_a_receiver_stores_is_judged_delivered_and_counted(tmp_path):
    servers: list[FakeReceiver] = []
    service, out = service_of(config_of(tmp_path, slots={"web": WebSettings}), servers)
    service.start()
    servers[0].take(quiet(until_s=NOW_S) + burst(end_s=NOW_S - 3600))
    until(lambda: (tmp_path / "out").exists() and b"opened" in (tmp_path / "out").read_bytes(), longest_s=120)
    health = service.health()
    assert service.is_ready()
    service.stop()

    assert health.received == {"accepted": servers[0].stored}
    assert {one.detection for one in health.detections} >= {"outbound_network_activity_from_process_corrected"}
    assert servers[0].events == ["start", "stop"]
    told = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert (told[0], told[-1]) == ("started", "stopped")
    assert "stopping" in told
    with Store.open(tmp_path / "s.duckdb") as store:
        uids = {one.finding.uid for one in store.findings.all()} | {one.record.uid for one in store.notices.all()}
    links = {json.loads(line)["link"] for line in (tmp_path / "out").read_bytes().splitlines()}
    assert links == {f"http://127.0.0.1:8765/findings/{uid}" for uid in uids} != set()
    with Store.open(tmp_path / "s.duckdb") as store:
        assert store.progress.reached()


def test_a_server_that_cannot_start_leaves_nothing_open(tmp_path):
    service, _ = service_of(config_of(tmp_path), [], Refusing)
    with pytest.raises(ServiceError, match="port is taken"):
        service.start()

    Store.open(tmp_path / "s.duckdb").close()
    assert [one.name for one in threading.enumerate() if one.name.startswith("ebbtide-")] == []


def test_other_settings_are_taken_on_while_it_runs(tmp_path):
    servers: list[FakeReceiver] = []
    service, _ = service_of(config_of(tmp_path), servers)
    service.start()
    try:
        service.reload(config_of(tmp_path, "lateness: 5m\nguard: {series: 10}\n"))
        assert service.rounds.clockwork.pace.lateness_ns == HOUR_NS // 12
        assert [one.events for one in servers] == [["start", "stop"], ["start"]]
        with pytest.raises(ConfigError, match="at the start alone"):
            service.reload(config_of(tmp_path, "clusters: [prod]\n"))
    finally:
        service.stop()


def test_servers_that_cannot_open_with_new_settings_go_on_with_the_old_ones(tmp_path):
    servers: list[FakeReceiver] = []
    service, _ = service_of(config_of(tmp_path), servers)
    service.start()
    try:
        servers[0].kinds = [Refusing, FakeReceiver]
        service._build = lambda one: [servers[0].kinds.pop(0)(one)]
        before = service.config
        with pytest.raises(ServiceError, match="port is taken"):
            service.reload(config_of(tmp_path, "guard: {series: 10}\n"))
        assert service.config is before
        assert len(service._servers) == 1
    finally:
        service.stop()


def test_sinks_come_and_go_with_the_settings(tmp_path):
    service, _ = service_of(config_of(tmp_path), [])
    service.start()
    try:
        more = load_config(
            f"store: {{path: {tmp_path / 's.duckdb'}}}\ntick: 1s\n"
            f"sinks: {{other: {{type: lines, path: {tmp_path / 'o'}}}}}\n",
            "e.yaml", {}, str, {},
        )  # fmt: skip
        service.reload(more)
        assert list(service._couriers) == ["other"]
        assert [one.name for one in service.health().sinks] == ["other"]
    finally:
        service.stop()


@pytest.fixture
def running(tmp_path):
    """`ebbtide serve` as a process; killed at the end if it still runs."""
    serve = "from ebbtide.cli.app import main; main()"
    (tmp_path / "ebbtide.yaml").write_text(
        f"store: {{path: {tmp_path / 's.duckdb'}}}\ntick: 1s\nweb: {{address: '127.0.0.1:{free_port()}'}}\n"
        f"receivers: {{otlp_http: {{address: '127.0.0.1:{free_port()}', cluster: prod}}}}\n"
    )
    with (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-c", serve, "serve", "--config", str(tmp_path / "ebbtide.yaml")],
            stderr=err,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        yield process, tmp_path
        if process.poll() is None:
            process.kill()
            process.wait()


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def asked(base: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(base + path, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


def post(base: str) -> None:
    """One point of OTLP, sent as a collector does."""
    labels = {"source.namespace.name": "shop", "source.workload.name": "checkout", "source.process.name": "nginx",
              "source.resolution_type": "K8S_CONTAINER", "dest.workload.name": "x", "dest.resolution_type": "DNS",
              "aggregation": "az_az"}  # fmt: skip
    now_ns = time.time_ns()
    point = {
        "startTimeUnixNano": str(now_ns - 30 * SECOND_NS),
        "timeUnixNano": str(now_ns),
        "asInt": "7",
        "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in labels.items()],
    }
    metric = {"name": "tcp.bytes", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [metric]}]}]}).encode()
    request = urllib.request.Request(base + "/v1/metrics", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200


def events(tmp_path: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (tmp_path / "err").read_text().splitlines()]


def test_the_command_serves_probes_reloads_and_stops_with_0(running):
    process, tmp_path = running
    text = (tmp_path / "ebbtide.yaml").read_text()
    base = "http://" + text.partition("address: '")[2].partition("'")[0]
    until(lambda: asked(base, "/readyz")[0] == 200)

    assert "ebbtide_ready 1.0" in asked(base, "/metrics")[1]
    assert asked(base, "/nothing")[0] == 404
    assert json.loads(asked(base, "/api/v1/health")[1])["is_ready"]
    post("http://" + text.split("address: '")[2].partition("'")[0])
    until(lambda: 'ebbtide_points_total{outcome="accepted"} 1.0' in asked(base, "/metrics")[1])
    until(lambda: 'ebbtide_source_state{cluster="prod",state="new"} 1.0' in asked(base, "/metrics")[1])
    (tmp_path / "ebbtide.yaml").write_text(text + "latenes: 5m\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: "reload_refused" in events(tmp_path))
    (tmp_path / "ebbtide.yaml").write_text(text + "lateness: 5m\n")
    process.send_signal(signal.SIGHUP)
    until(lambda: "reloaded" in events(tmp_path))
    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 0
    assert events(tmp_path)[-1] == "stopped"
    Store.open(tmp_path / "s.duckdb", is_new_allowed=False).close()
