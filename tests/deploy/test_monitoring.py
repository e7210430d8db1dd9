"""deploy/prometheus and deploy/grafana: rules and panels ask for what the service says, and Prometheus understands."""

import io
import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
import yaml

from ebbtide.cli.settings import slots
from ebbtide.config import load_config
from ebbtide.receive.refusal import Reason
from ebbtide.registry import load_detectors
from ebbtide.service.front import Front
from ebbtide.service.process import Service
from ebbtide.service.serving import servers_of
from ebbtide.store.retention import NEEDED_NS
from ebbtide.telemetry import Log
from manifests import ROOT, objects
from metrics_servers import binary, free_port, running, until

RULES = ROOT / "deploy" / "prometheus" / "ebbtide.rules.yaml"
UNIT_TESTS = RULES.with_name("ebbtide.test.yaml")
SCRAPE = yaml.safe_load(RULES.with_name("scrape.yaml").read_text())
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "ebbtide.json").read_text())
#: Prometheus' own, and the kubelet's of the volume; all else must be ours.
FOREIGN = {"up", "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes"}


def alerts() -> dict[str, dict]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def panels() -> list[dict]:
    return [one for one in DASHBOARD["panels"] if one["type"] != "row"]


def expressions_of(panel: dict) -> list[str]:
    """Of a panel, with Grafana's variables filled."""
    written = [target["expr"] for target in panel["targets"]]
    for name, value in {"$__rate_interval": "2m", "$job": "ebbtide", "$instance": ".+"}.items():
        written = [one.replace(name, value) for one in written]
    return written


def asked_for() -> list[str]:
    """Every expression of rules and panels."""
    return [
        *(rule["expr"] for rule in alerts().values()),
        *(one for panel in panels() for one in expressions_of(panel)),
    ]


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\b(?:ebbtide|kubelet)_[a-z_]+\b|\bup\b", re.sub(r'"[^"]*"', '""', expression)))


def promtool(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [binary("promtool"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[int]:
    """The port of a real service."""
    store = tmp_path_factory.mktemp("served") / "s.duckdb"
    text = f"store: {{path: {store}, disk_budget: 1GiB}}\nclusters: [prod]\n"
    text += f"sinks: {{log: {{type: lines, path: {store}.txt, heartbeat: 1m}}}}\n"
    text += "receivers: {otlp_http: {address: '127.0.0.1:0'}}\nweb: {address: '127.0.0.1:0'}\n"
    fronts: list[Front] = []

    def build(service):
        servers = servers_of(service)
        fronts.extend(one for one in servers if isinstance(one, Front))
        return servers

    config = load_config(text, "e.yaml", {}, str, slots())
    service = Service(config, detectors=load_detectors(), log=Log(io.StringIO()), build=build)
    service.start()
    yield fronts[0].port
    service.stop()


@pytest.fixture(scope="module")
def said(served) -> str:
    """What it says under /metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{served}/metrics", timeout=20) as answer:
        return answer.read().decode()


def test_every_metric_that_is_asked_for_exists(said):
    families = set(re.findall(r"^# TYPE (\S+)", said, re.MULTILINE))
    named = set().union(*map(metrics_in, asked_for()))
    assert len(named & families) > 15
    assert named - families == FOREIGN
    # And the page of operations lists them all.
    page = (ROOT / "docs" / "operations.md").read_text()
    shortened = {
        name for name in families if name.startswith(("ebbtide_source_", "ebbtide_detection_", "ebbtide_sink_"))
    }
    assert {name for name in families - shortened if name not in page} == set()


def test_capacities_and_reasons_that_are_asked_for_exist(said):
    """Figures that only appear once they happen are looked for where they are counted."""
    names = set(re.findall(r'ebbtide_capacity\{name="([^"]+)"', said))
    names |= {f"requests_refused_{one.word}" for one in Reason}
    names |= {"guard_folded_series", "guard_dropped_clusters", "retention_dropped_hours_over_budget"}
    names |= {f"history_{what}_{table}_s" for what in ("kept", "short") for table in NEEDED_NS}
    guard = (ROOT / "src/ebbtide/guard.py").read_text()
    assert '"folded_series"' in guard
    assert '"dropped_clusters"' in guard
    assert '_over_budget"' in (ROOT / "src/ebbtide/store/retention.py").read_text()
    for expression in asked_for():
        for operator, wanted in re.findall(r'ebbtide_capacity\{[^}]*name(=~?)"([^"]+)"', expression):
            found = [one for one in names if (re.fullmatch(wanted, one) if operator == "=~" else one == wanted)]
            assert found, wanted


def test_rules_are_valid_and_their_own_tests_pass(tmp_path):
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    ran = promtool("test", "rules", UNIT_TESTS)
    assert ran.returncode == 0, ran.stdout + ran.stderr

    written = yaml.safe_load(UNIT_TESTS.read_text())
    written["tests"] = written["tests"][-1:]
    (tmp_path / UNIT_TESTS.name).write_text(yaml.safe_dump(written))
    (tmp_path / RULES.name).write_text(RULES.read_text().replace("ebbtide_sink_dead > 0", "ebbtide_sink_dead > 5"))
    assert promtool("test", "rules", tmp_path / UNIT_TESTS.name).returncode != 0


def test_every_alert_is_shown_to_fire_and_says_what_to_do():
    shown = UNIT_TESTS.read_text()
    for name, rule in alerts().items():
        assert f'{{alertname="{name}"' in shown, name
        assert rule["labels"]["severity"] in ("none", "warning", "critical")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_the_page_lists_every_alert():
    page = (ROOT / "docs" / "deploy.md").read_text()
    assert set(re.findall(r"`(Ebbtide[A-Z]\w+)`", page)) == set(alerts())


def test_the_dashboards_panels_lie_beside_each_other_and_say_what_they_show():
    ids = [one["id"] for one in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({one["title"] for one in panels()}) == len(panels())
    for panel in panels():
        assert panel["type"] in ("stat", "timeseries")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert [target["refId"] for target in panel["targets"]] == ["A", "B"][: len(panel["targets"])]
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"${datasource}"}
    variables = {one["name"] for one in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    assert used == variables | {"__rate_interval"}


def test_a_real_prometheus_scrapes_the_service_and_understands_every_expression(served, tmp_path):
    """The shipped job with another address; every alert's and panel's expression is asked."""
    [job] = SCRAPE["scrape_configs"]
    address = job["static_configs"][0]["targets"][0]
    service = objects()["Service", "ebbtide-web"]
    assert address == f"ebbtide-web.ebbtide.svc:{service['spec']['ports'][0]['port']}"
    job["static_configs"][0]["targets"] = [f"127.0.0.1:{served}"]
    job["scrape_interval"] = "1s"
    config = {"global": {"evaluation_interval": "1s"}, "rule_files": [str(RULES)], "scrape_configs": [job]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [binary("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}",
               f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]  # fmt: skip

    def ask(expression: str) -> list[dict]:
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/query?{query}", timeout=20) as answer:
            return json.load(answer)["data"]["result"]

    with running(command, tmp_path / "log", f"http://127.0.0.1:{port}/-/ready"):
        until(lambda: ask('ebbtide_ready{job="ebbtide"} == 1') != [])
        until(lambda: ask('ALERTS{alertname="EbbtideWatchdog", alertstate="firing"}') != [])
        assert ask(alerts()["EbbtideGone"]["expr"]) == []
        for expression in asked_for():
            ask(expression)  # raises where Prometheus does not understand it
        shown = {panel["title"]: ask(expressions_of(panel)[0]) for panel in panels()}
        assert shown["Ready"][0]["value"][1] == "1"
        assert float(shown["The store's file"][0]["value"][1]) > 0
        for title in ("Deliveries that wait", "Since the last heartbeat"):
            assert [one["metric"]["sink"] for one in shown[title]] == ["log"]
