"""Runs commands as a shell would, in this process."""

import gzip
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from ebbtide.cli.app import main
from ebbtide.cli.console import progress_bar
from ebbtide.cli.importing import import_files
from ebbtide.decode.preset import load_preset
from ebbtide.store.store import Store


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def ebbtide(monkeypatch, capsys, tmp_path):
    """Runs one command line in an empty directory, on a wide terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("USER", "tester")

    def run(*words) -> Ran:
        monkeypatch.setattr(sys, "argv", ["ebbtide", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as leaving:
            code = leaving.code or 0
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def recorded(tmp_path_factory) -> Path:
    """A file of the collector's file exporter: two days of a quiet process, and 200 MB in the last 20 minutes."""
    path = tmp_path_factory.mktemp("recorded") / "otel.jsonl.gz"
    with gzip.open(path, "wt") as file:
        for hour in range(48):
            points = [_point(hour * 3600 + tick * 30, 250_000 + tick % 7 * 9_000) for tick in range(1, 121)]
            if hour == 47:
                points += [_point(47 * 3600 + 2400 + tick * 30, 10_000_000, "203.0.113.9") for tick in range(1, 21)]
            file.write(json.dumps(_request(points)) + "\n")
    return path


@pytest.fixture(scope="session")
def imported(recorded) -> Path:
    """A store of that file."""
    path = recorded.with_name("imported.duckdb")
    with Store.open(path) as store, progress_bar() as progress:
        import_files(store, [recorded], load_preset("opentelemetry-network"), cluster="default", progress=progress)
    return path


@pytest.fixture
def db(imported, tmp_path) -> str:
    """A copy of that store, for a test to change."""
    shutil.copy(imported, tmp_path / "e.duckdb")
    return "e.duckdb"


START_S = 1_764_000_000 // 3600 * 3600


def _point(at_s: int, value: int, to: str = "api.example.com") -> dict:
    labels = {
        "aggregation": "az_az", "source.environment": "prod", "source.namespace.name": "shop",
        "source.workload.name": "checkout", "source.process.name": "nginx", "source.resolution_type": "K8S_CONTAINER",
        "dest.workload.name": to, "dest.resolution_type": "DNS",
    }  # fmt: skip
    return {
        "startTimeUnixNano": str((START_S + at_s - 30) * 10**9),
        "timeUnixNano": str((START_S + at_s) * 10**9),
        "asInt": str(value),
        "attributes": [{"key": key, "value": {"stringValue": text}} for key, text in labels.items()],
    }


def _request(points: list[dict]) -> dict:
    tcp = {"name": "tcp.bytes", "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": points}}
    other = {"name": "http.active_sockets", "gauge": {"dataPoints": points[:1]}}
    return {"resourceMetrics": [{"scopeMetrics": [{"metrics": [tcp, other]}]}]}
