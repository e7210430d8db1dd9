"""deploy/Containerfile: what it installs, and that the installed command lives as its image lets it.

No engine is needed: the file is read, its wheel is built from the files it copies, and the command runs as a runtime
would run it."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from requests_of_decode import Point, proto

from contained import PLACES, USER, contained
from ebbtide.store.store import Store
from manifests import ROOT, container, make_secrets, pod, settings

FILE = ROOT / "deploy" / "Containerfile"


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its words; continued lines are joined."""
    lines = [line for line in FILE.read_text("utf-8").splitlines() if line.strip() and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()
    return [(name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in joined)]


def last_of(name: str) -> str:
    return [rest for one, rest in instructions() if one == name][-1]


def copied() -> list[str]:
    """What the build stage takes from the repository."""
    found = [rest.split()[:-1] for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    return [one for names in found for one in names]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The package built from what the file copies, and from nothing else."""
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    source = folder / "src"
    source.mkdir()
    for name in copied():
        here = ROOT / name
        skipped = shutil.ignore_patterns("__pycache__", "*.o")
        shutil.copytree(here, source / name, ignore=skipped) if here.is_dir() else shutil.copy(here, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    environment = os.environ | {"EBBTIDE_BPF": "skip"}
    wheel = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source]
    subprocess.run(wheel, check=True, capture_output=True, timeout=120, env=environment)
    [made] = folder.glob("ebbtide-*.whl")
    into = [*pip, "install", "--no-deps", "--no-index", "--target", folder / "opt", made]
    subprocess.run(into, check=True, capture_output=True, timeout=120)
    return folder / "opt"


def test_it_installs_what_the_service_needs_with_its_pins():
    [command] = [rest for name, rest in instructions() if name == "RUN" and "pip" in rest]
    assert "--constraint constraints.txt" in command
    [extras] = re.findall(r"'\.\[([\w,]+)\]'", command)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert "serve" in extras.split(",")
    assert set(extras.split(",")) <= set(known)


def needed(name: str, extras: set[str], found: set[str]) -> None:
    """Add everything that an installed package needs with these extras, by its own metadata."""
    for text in metadata.requires(name) or ():
        one = Requirement(text)
        if any(one.marker is None or one.marker.evaluate({"extra": extra}) for extra in extras or {""}):
            key = canonicalize_name(one.name)
            if key not in found:
                found.add(key)
                needed(key, one.extras, found)


def test_every_package_of_the_image_is_pinned_so_that_two_builds_are_the_same():
    [command] = [rest for name, rest in instructions() if name == "RUN" and "pip" in rest]
    found: set[str] = set()
    needed("ebbtide", set(re.findall(r"'\.\[([\w,]+)\]'", command)[0].split(",")), found)
    pins = {
        canonicalize_name(line.partition("==")[0])
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    assert {"duckdb", "fastapi", "uvicorn", "apprise", "pydantic-core"} <= found
    assert found - pins == set()


def test_its_base_is_a_plain_name_that_can_be_changed():
    assert instructions()[0] == ("ARG", "BASE=python:3.13-slim")
    assert {rest.split()[0] for name, rest in instructions() if name == "FROM"} == {"${BASE}"}
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert requires == ">=3.11"


def test_its_user_is_the_pods_and_it_has_one_volume():
    assert last_of("USER") == f"{USER}:{USER}"
    assert (pod()["securityContext"]["runAsUser"], pod()["securityContext"]["runAsGroup"]) == (USER, USER)
    volume = last_of("VOLUME")
    assert [rest for name, rest in instructions() if name == "VOLUME"] == [volume]
    assert volume == last_of("WORKDIR")  # where a store without a path of its own comes to lie
    assert volume in [one["mountPath"] for one in container()["volumeMounts"] if not one.get("readOnly")]


def test_the_command_is_process_1_itself():
    assert json.loads(last_of("ENTRYPOINT")) == ["ebbtide"]
    assert json.loads(last_of("CMD")) == ["serve"]
    assert container()["args"][0] == "serve"
    assert "command" not in container()
    assert last_of("ENV").startswith("PATH=/opt/ebbtide/bin:")


@pytest.fixture(scope="module")
def given(tmp_path_factory) -> Path:
    """What the pod sees under /etc/ebbtide: settings, certificate, tokens."""
    folder = tmp_path_factory.mktemp("given")
    secrets = make_secrets(folder)
    (folder / "config").mkdir()
    text = settings()
    for there, here in PLACES.items():
        text = text.replace(there, here)
    (folder / "config" / "ebbtide.yaml").write_text(text)
    (folder / "collector").write_text(secrets.collector)
    (folder / "admin").write_text(secrets.admin)
    return folder


def test_the_pod_takes_data_and_answers_its_probes(installed, given, tmp_path):
    """The manifest's settings and arguments, at its own ports, which are open to all: the network is the test's own."""
    arguments = [one.replace("/etc/ebbtide", PLACES["/etc/ebbtide"]) for one in container()["args"]]
    volume, log = tmp_path / "volume", tmp_path / "log"
    volume.mkdir()
    ports = {one["name"]: one["containerPort"] for one in container()["ports"]}
    web = f"http://127.0.0.1:{ports['web']}"
    with contained([*command_of(installed), *arguments], given, volume, log, environment_of(installed)) as ran:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asks = container()[probe]["httpGet"]
            ran.until_up(f"http://127.0.0.1:{ports[asks['port']]}{asks['path']}")

        status = ran.status()
        assert status["Uid"].split() == [str(USER)] * 4
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
        assert status["NoNewPrivs"] == "1"

        token = (given / "collector").read_text()
        resolve = f"ebbtide.ebbtide.svc:{ports['otlp-http']}:127.0.0.1"
        post = ["--cacert", given / "tls" / "tls.crt", "--resolve", resolve, "--json", '{"resourceMetrics": []}']
        metrics = f"https://ebbtide.ebbtide.svc:{ports['otlp-http']}/v1/metrics"
        assert ran.get(metrics, *post)[0] == 401
        assert ran.get(metrics, *post, "-H", f"Authorization: Bearer {token}")[0] == 200
        assert ran.get(f"{web}/api/v1/findings")[0] == 401
        admin = f"Authorization: Bearer {(given / 'admin').read_text()}"
        assert ran.get(f"{web}/api/v1/findings", "-H", admin)[0] == 200
        assert "ebbtide_ready 1.0" in ran.get(f"{web}/metrics")[1]
    assert {one.name for one in volume.iterdir()} <= {"ebbtide.duckdb", "ebbtide.duckdb.wal"}


def test_process_1_ends_gently_on_sigterm_with_what_it_accepted_on_disk(installed, tmp_path):
    """The command and no argument, as the image starts it: settings by the environment, a store beside its volume."""
    given, volume, log = tmp_path / "given", tmp_path / "volume", tmp_path / "log"
    given.mkdir()
    volume.mkdir()
    (given / "ebbtide.yaml").write_text("receivers: {otlp_http: {address: '127.0.0.1:4318', cluster: prod}}\n")
    environment = environment_of(installed) | {"EBBTIDE_CONFIG": f"{PLACES['/etc/ebbtide']}/ebbtide.yaml"}
    assert "EBBTIDE_CONFIG=/etc/ebbtide/ebbtide.yaml" in last_of("ENV")
    (tmp_path / "body").write_bytes(proto([Point(value=48211, end_ns=time.time_ns())]))
    post = ["--data-binary", f"@{tmp_path / 'body'}", "-H", "content-type: application/x-protobuf"]
    with contained([*command_of(installed), *json.loads(last_of("CMD"))], given, volume, log, environment) as ran:
        ran.until_up("http://127.0.0.1:8765/readyz")
        assert ran.status()["NSpid"].split()[-1] == "1"
        assert ran.get("http://127.0.0.1:4318/v1/metrics", *post)[0] == 200

        os.kill(ran.pid, signal.SIGTERM)

        assert ran.runner.wait(60) == 0, ran.said()
        assert ran.events() == ["started", "stopping", "stopped"]
    assert [one.name for one in volume.iterdir()] == ["ebbtide.duckdb"]
    with Store.open(volume / "ebbtide.duckdb") as store:
        assert list(store.totals().values()) == [48211]


def command_of(installed: Path) -> list[str | Path]:
    return [sys.executable, installed / "bin" / "ebbtide"]


def environment_of(installed: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
