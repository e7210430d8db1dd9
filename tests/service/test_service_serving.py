import io
import json
import urllib.request

import pytest

from ebbtide.cli.settings import slots
from ebbtide.config import load_config
from ebbtide.errors import ConfigError
from ebbtide.registry import load_detectors
from ebbtide.service.front import Front
from ebbtide.service.process import Server, Service
from ebbtide.service.serving import servers_of
from ebbtide.telemetry import Log


def service_of(tmp_path, web: str) -> Service:
    text = f"store: {{path: {tmp_path / 's.duckdb'}}}\nweb: {web}\n"
    config = load_config(text, "e.yaml", {"TOKEN": "t" * 40, "SHORT": "t"}, str, slots())
    return Service(config, detectors=load_detectors(), log=Log(io.StringIO()), build=servers_of)


def test_receivers_and_pages_are_opened_with_the_tokens_of_the_settings(tmp_path):
    tokens = "[{name: soc, token: '${env:TOKEN}', scope: write}]"
    service = service_of(tmp_path, f"{{address: '127.0.0.1:0', tokens: {tokens}}}")
    service.start()
    try:
        assert service.health().is_ready
        assert service.is_ready()
    finally:
        service.stop()


def test_health_tells_the_budget_that_an_override_accepts(tmp_path):
    text = (
        f"store: {{path: {tmp_path / 's.duckdb'}}}\nweb: {{address: '127.0.0.1:0'}}\nbudget: {{per_day: 4}}\n"
        "detections: {overrides: {joined: {options: {budget: 3}}}}\n"
    )
    opened: list[Server] = []

    def build(service: Service) -> list[Server]:
        opened.extend(servers_of(service))
        return opened

    service = Service(
        load_config(text, "e.yaml", {}, str, slots()), detectors=load_detectors(), log=Log(io.StringIO()), build=build
    )
    service.start()
    try:
        [front] = [one for one in opened if isinstance(one, Front)]
        with urllib.request.urlopen(f"http://127.0.0.1:{front.port}/api/v1/health", timeout=20) as answer:
            budget = {one["detection"]: one for one in json.load(answer)["budget"]}
    finally:
        service.stop()

    assert (budget["joined"]["budget"], budget["joined"]["budget_a_day"]) == (3, 4)


@pytest.mark.parametrize(
    ("web", "said"),
    [
        ("{address: '0.0.0.0:0'}", "lacks `web.tokens` and TLS"),
        ("{address: '127.0.0.1:0', tokens: [{name: soc, token: '${env:SHORT}'}]}", "is shorter than"),
    ],
)
def test_what_would_let_strangers_in_is_refused_before_anything_is_open(tmp_path, web, said):
    with pytest.raises(ConfigError, match=said):
        service_of(tmp_path, web).start()
