"""deploy/snippets: shown in the documentation word for word, and used as they stand.

What docs/receivers.md shows of senders is sent by real ones in tests/receive/test_receive_peers.py.
"""

import gzip
import json
import re
import socket
import subprocess
import time
import urllib.request
from ipaddress import ip_network

import pytest
import yaml
from fake_peers import peer
from requests_of_decode import Point, proto

from ebbtide.cli.settings import read_settings
from ebbtide.decode.preset import load_preset
from ebbtide.deliver.heartbeat import heartbeat
from ebbtide.deliver.sample import sample
from ebbtide.deliver.sink import Delivery
from ebbtide.deliver.sinks import load_sinks
from ebbtide.errors import ConfigError
from ebbtide.finding.lifecycle import Change
from ebbtide.meter.command import parse_headers
from ebbtide.meter.export import Answer, Outcome, Target, sender_for
from ebbtide.receive.intake import Intake
from ebbtide.receive.serving import open_listener
from ebbtide.receive.settings import Receivers
from ebbtide.receive.tokens import check_bind
from ebbtide.series import MINUTE_NS
from ebbtide.store.store import Store
from manifests import ROOT, Secrets, container, make_secrets, settings_beside
from metrics_servers import binary, free_port, running, until

FILES = sorted((ROOT / "deploy" / "snippets").iterdir())
SHOWN = dict(
    re.findall(
        r"```(?:yaml|sh)\n(?=# (\w+)\n)(.*?)```",
        "".join(page.read_text("utf-8") for page in sorted((ROOT / "docs").glob("*.md"))),
        re.DOTALL,
    )
)
EDGE = {
    "source.namespace.name": "shop",
    "source.workload.name": "checkout",
    "source.process.name": "java",
    "dest.workload.name": "api.example.com",
}


def snippet(name: str):
    [file] = [one for one in FILES if one.stem == name]
    return yaml.safe_load(file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda one: one.name)
def test_the_pages_show_the_file(file):
    assert file.read_text() == SHOWN[file.stem]


def test_every_snippet_of_the_page_of_receivers_is_a_file():
    page = (ROOT / "docs" / "receivers.md").read_text()
    named = set(re.findall(r"```(?:yaml|sh)\n# (\w+)\n", page))
    assert named <= {one.stem for one in FILES}


# -- the collector for opentelemetry-network


def test_the_collectors_pipeline_is_made_of_what_it_defines():
    config = snippet("network")
    [pipeline] = config["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert sorted(pipeline[kind]) == sorted(config[kind])
    assert config["service"]["extensions"] == list(config["extensions"])
    exporter = config["exporters"]["otlp_grpc/ebbtide"]
    assert exporter["sending_queue"]["storage"] in config["extensions"]
    assert pipeline["processors"][0] == "memory_limiter"
    short = snippet("collector")["exporters"]["otlp_grpc"]
    assert exporter["headers"] == short["headers"]
    assert exporter["tls"] == short["tls"]


def test_the_collectors_filter_keeps_what_the_preset_reads_and_nothing_else():
    conditions = snippet("network")["processors"]["filter/network"]["metrics"]
    [kept] = re.findall(r'not IsMatch\(name, "(.*)"\)', *conditions["metric"])
    kept = kept.replace(r"\\", "\\")  # as the collector reads its string
    preset = load_preset("opentelemetry-network")
    wanted = {name for rule in preset.metrics for name in rule.name if "." in name} | set(preset.heartbeats)
    assert {name for name in wanted if not re.search(kept, name)} == set()
    for other in ("tcp.rtt.average", "tcp.active", "dns.responses", "ebpf_net.up.x", "xtcp.bytes"):
        assert not re.search(kept, other)
    assert preset.views is not None
    assert f'attributes["{preset.views.attribute}"] != "{preset.views.use}"' in conditions["datapoint"][0]
    assert f'attributes["{preset.views.attribute}"] != nil and' in conditions["datapoint"][0]


# -- senders into the manifest's listeners, with the secrets that its script makes


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Secrets:
    return make_secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def manifest(secrets, tmp_path) -> Receivers:
    """The listeners of the manifest's settings."""
    file = tmp_path / "ebbtide.yaml"
    file.write_text(settings_beside(secrets, tmp_path))
    found = read_settings(file).slots["receivers"]
    assert isinstance(found, Receivers)
    return found


@pytest.fixture
def opened():
    """Opens a listener on loopback: (store, its port)."""
    closing = []

    def make(kind, listener):
        store = Store.open()
        closing.append(store.close)
        intake = Intake(store)
        intake.start()
        closing.append(intake.stop)
        server = open_listener(intake, listener.model_copy(update={"address": "127.0.0.1:0"}), kind)
        closing.append(server.stop)
        return store, server.port

    yield make
    for close in reversed(closing):
        close()


def test_an_exporter_with_the_collectors_settings_gets_in_by_tls_and_token(manifest, secrets, opened):
    """The SDK's exporter speaks what the collector's does; the certificate's name is the one the snippet dials."""
    import grpc
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    wants = snippet("network")["exporters"]["otlp_grpc/ebbtide"]
    host, _, number = wants["endpoint"].partition(":")
    [(kind, listener)] = [one for one in manifest.listeners() if one[1].port == int(number)]
    assert kind == "otlp_grpc"
    store, port = opened(kind, listener)
    trusted = grpc.ssl_channel_credentials((secrets.folder / "tls" / "tls.crt").read_bytes())
    token = wants["headers"]["authorization"].replace("${env:EBBTIDE_TOKEN}", secrets.collector)

    def export(header: str) -> bool:
        exporter = OTLPMetricExporter(
            f"https://127.0.0.1:{port}", credentials=trusted, headers={"authorization": header}, timeout=5,
            channel_options=(("grpc.ssl_target_name_override", host),), compression=grpc.Compression.Gzip,
        )  # fmt: skip
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
        provider = MeterProvider([reader], shutdown_on_exit=False)
        counter = provider.get_meter("peer").create_counter("tcp.bytes", unit="By")
        for add in (5, 7):
            counter.add(add, EDGE)
            provider.force_flush()
        provider.shutdown()
        return sum(store.totals().values()) == 7

    assert not export("Bearer wrong")
    assert store.totals() == {}
    assert export(token)
    assert clusters(store) == {listener.cluster}


def test_the_meters_arguments_reach_its_own_listener(manifest, secrets, opened, monkeypatch):
    words = dict(one.removeprefix("--").split("=", 1) for one in snippet("meter")["args"])
    monkeypatch.setenv("EBBTIDE_AUTHORIZATION", f"Bearer {secrets.collector}")
    headers = parse_headers([words["header"]])
    host, number = re.fullmatch(r"https://([\w.]+):(\d+)", words["endpoint"]).groups()
    [(kind, listener)] = [one for one in manifest.listeners() if one[1].port == int(number)]
    assert (kind, listener.preset) == ("otlp_http", "ebbtide-meter")
    store, port = opened(kind, listener)
    found = socket.getaddrinfo

    def resolve(name, *rest, **named):
        return found("127.0.0.1" if name == host else name, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    body = proto([Point(value=9, labels=EDGE | {"ebbtide.reporter": "source"}, end_ns=time.time_ns())])

    def send(given) -> Answer:
        target = Target(f"https://{host}:{port}", given, str(secrets.folder / "tls" / "tls.crt"))
        sender = sender_for(target)
        try:
            return sender.send(gzip.compress(body))
        finally:
            sender.close()

    assert send(()).outcome is Outcome.REFUSED
    assert send(headers) == Answer(Outcome.SENT)
    assert list(store.totals().values()) == [9]


def test_the_sensor_gets_in_without_a_token_from_its_network_alone(opened):
    [(kind, listener)] = Receivers.model_validate(snippet("sensor")["receivers"]).listeners()
    check_bind(listener)
    with pytest.raises(ConfigError):
        check_bind(listener.model_copy(update={"insecure": False}))
    chart = snippet("chart")
    assert chart["endpoint"] == {"address": "ebbtide.ebbtide.svc", "port": listener.port}
    assert chart["clusterName"] == listener.cluster
    taken = {one["containerPort"] for one in container()["ports"]}
    assert listener.port not in taken
    dropped = chart["reducer"]["disableMetrics"]
    read = {name for rule in load_preset(listener.preset).metrics for name in rule.name}
    assert not read & set(dropped)

    def send(allowed: str) -> Answer:
        store, port = opened(kind, listener.model_copy(update={"ingest_without_token": (ip_network(allowed),)}))
        sender = sender_for(Target(f"grpc://127.0.0.1:{port}"))
        try:
            labels = EDGE | {"source.environment": "another"}
            answer = sender.send(gzip.compress(proto([Point(value=9, labels=labels, end_ns=time.time_ns())])))
        finally:
            sender.close()
        if answer.outcome is Outcome.SENT:
            assert clusters(store) == {listener.cluster}
        return answer

    assert send("127.0.0.0/8").outcome is Outcome.SENT
    assert send(str(listener.ingest_without_token[0])).outcome is Outcome.REFUSED


def clusters(store: Store) -> set[str]:
    return {one.cluster for one in store.identity.entities}


# -- Alertmanager


def test_alertmanager_sends_findings_alerts_and_the_dead_mans_each_their_way(tmp_path):
    text = (ROOT / "deploy" / "snippets" / "alertmanager.yaml").read_text()
    with peer() as hook:
        text = text.replace("9099", str(hook.port)).replace("group_wait: 10s", "group_wait: 10ms")
        (tmp_path / "am.yml").write_text(text)
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        command = [binary("prometheus-alertmanager"), f"--config.file={tmp_path / 'am.yml'}"]
        command += [f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address="]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        with running(command, tmp_path / "log", f"{url}/-/ready"):
            sink = load_sinks(f"sinks: {{am: {{type: alertmanager, url: '{url}'}}}}", "e", {}, str)["am"].open()
            sink.send(sample("am", time.time_ns()), time.time_ns())
            beat = heartbeat("am", 5 * MINUTE_NS, time.time_ns())
            sink.send(Delivery("b/1", Change.OPENED, beat, time.time_ns()), time.time_ns())
            ours = [{"labels": {"alertname": name}} for name in ("EbbtideWatchdog", "EbbtideGone")]
            request = urllib.request.Request(
                f"{url}/api/v2/alerts", json.dumps(ours).encode(), {"content-type": "application/json"}
            )
            urllib.request.urlopen(request, timeout=10).close()

            def told() -> dict[str, set[str]]:
                found: dict[str, set[str]] = {}
                for path, _, body in hook.requests:
                    names = {one["labels"]["alertname"] for one in json.loads(body)["alerts"]}
                    found.setdefault(path, set()).update(names)
                return found

            until(lambda: sum(map(len, told().values())) == 4)
            assert told() == {
                "/security": {"Ebbtide Sink Test"},
                "/dead-man": {"EbbtideWatchdog", "EbbtideHeartbeat"},
                "/operations": {"EbbtideGone"},
            }


def test_amtool_finds_no_mistake():
    command = [binary("amtool"), "check-config", str(ROOT / "deploy" / "snippets" / "alertmanager.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr


def test_prometheus_finds_no_mistake(tmp_path):
    config = {"global": {"scrape_interval": "30s"}} | snippet("prometheus")
    (tmp_path / "p.yml").write_text(yaml.safe_dump(config))
    command = [binary("promtool"), "check", "config", str(tmp_path / "p.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
