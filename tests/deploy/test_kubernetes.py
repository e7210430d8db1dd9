"""deploy/kubernetes: valid, as locked down as it says, and in step with what the service really opens."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient
from typer.testing import CliRunner

from ebbtide.cli.app import app
from ebbtide.cli.settings import read_settings
from ebbtide.errors import ConfigError
from ebbtide.receive.settings import Receivers
from ebbtide.receive.tokens import Gate, check_bind
from ebbtide.service.front import WebSettings
from ebbtide.service.probes import Probes
from manifests import KUBERNETES, MANIFEST, Secrets, container, make_secrets, objects, pod, settings, settings_beside

VALIDATE = Path(sys.executable).with_name("kubernetes-validate")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Secrets:
    return make_secrets(tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def written(secrets, tmp_path) -> Path:
    """The settings as a file, with secrets in place."""
    file = tmp_path / "ebbtide.yaml"
    file.write_text(settings_beside(secrets, tmp_path))
    return file


@pytest.mark.parametrize("version", ["1.27", "1.37"])
def test_the_manifest_is_valid(version):
    command = [VALIDATE, "--strict", "-k", version, MANIFEST]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" passed for resource") == len(objects()), done.stdout


def test_the_validator_would_say_so(tmp_path):
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(MANIFEST.read_text().replace("readOnlyRootFilesystem", "readOnlyRoot"))

    done = subprocess.run([VALIDATE, "--strict", wrong], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode != 0


def test_settings_are_good_and_what_is_reachable_is_refused_without_its_secrets(written, secrets):
    checked = CliRunner().invoke(app, ["config", "check", "--config", str(written)])
    assert checked.exit_code == 0, checked.output
    assert "3 detections" in checked.output

    receivers = read_settings(written).slots["receivers"]
    assert isinstance(receivers, Receivers)
    for _, listener in receivers.listeners():
        check_bind(listener)  # TLS and tokens: no `insecure` needed
        assert not listener.insecure
        assert Gate(listener).admit(f"Bearer {secrets.collector}", "192.0.2.1").name == "collector"
        with pytest.raises(ConfigError):
            check_bind(listener.model_copy(update={"tls": None}))
        with pytest.raises(ConfigError):
            check_bind(listener.model_copy(update={"tokens": ()}))


def test_no_secret_stands_in_a_file(secrets):
    assert {kind for kind, _ in objects()} & {"Secret"} == set()
    mounted = {one["secret"]["secretName"] for one in pod()["volumes"] if "secret" in one}
    assert mounted == {"ebbtide-tls", "ebbtide-tokens"}
    for text in (settings(), (KUBERNETES / "secrets.sh").read_text()):
        assert secrets.collector not in text
        assert "BEGIN" not in text
    modes = {one["secret"]["defaultMode"] for one in pod()["volumes"] if "secret" in one}
    assert modes == {0o440}  # readable for the group, which is the pod's fsGroup
    assert pod()["securityContext"]["fsGroup"] == pod()["securityContext"]["runAsGroup"]


def test_ports_probes_services_and_policy_name_what_is_open(written):
    found = read_settings(written).slots
    receivers, web = found["receivers"], found["web"]
    assert isinstance(receivers, Receivers)
    assert isinstance(web, WebSettings)
    listening = {listener.port for _, listener in receivers.listeners()}
    assert len(listening) == 3

    named = {one["name"]: one["containerPort"] for one in container()["ports"]}
    assert set(named.values()) == listening | {web.port}
    services = {name: one["spec"] for (kind, name), one in objects().items() if kind == "Service"}
    offered = {name: {named[one["targetPort"]] for one in spec["ports"]} for name, spec in services.items()}
    assert offered == {"ebbtide": listening, "ebbtide-web": {web.port}}
    assert {one["port"] for one in services["ebbtide"]["ports"]} == listening
    policy = objects()["NetworkPolicy", "ebbtide"]["spec"]
    assert [{one["port"] for one in rule["ports"]} for rule in policy["ingress"]] == [listening, {web.port}]
    template = objects()["StatefulSet", "ebbtide"]["spec"]["template"]["metadata"]
    assert template["annotations"]["prometheus.io/port"] == str(web.port)
    for selector in (policy["podSelector"]["matchLabels"], *(spec["selector"] for spec in services.values())):
        assert selector.items() <= template["labels"].items()
    assert services["ebbtide"]["publishNotReadyAddresses"]
    assert not services["ebbtide-web"].get("publishNotReadyAddresses", False)


@pytest.mark.parametrize(
    ("probe", "path", "is_ready", "status"),
    [
        ("startupProbe", "/healthz", False, 200),
        ("livenessProbe", "/healthz", False, 200),
        ("readinessProbe", "/readyz", True, 200),
        ("readinessProbe", "/readyz", False, 503),
    ],
)
def test_probes_ask_what_the_service_answers(probe, path, is_ready, status):
    asks = container()[probe]["httpGet"]
    assert (asks["path"], asks["port"]) == (path, "web")
    # A probe comes to the pod's address, under no name of ours.
    app = Probes(lambda: is_ready, lambda: b"")
    assert TestClient(app, "http://10.1.2.3:8765").get(asks["path"]).status_code == status


def test_the_pod_has_no_right_it_does_not_need():
    assert pod()["automountServiceAccountToken"] is False
    assert objects()["ServiceAccount", "ebbtide"]["automountServiceAccountToken"] is False
    assert not {kind for kind, _ in objects()} & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["runAsUser"] > 0
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod().keys()
    assert objects()["Namespace", "ebbtide"]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_one_writer_one_volume_and_room_in_it(written):
    spec = objects()["StatefulSet", "ebbtide"]["spec"]
    assert spec["replicas"] == 1
    [claim] = spec["volumeClaimTemplates"]
    store = read_settings(written).settings.store
    gib = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    assert store.disk_budget is not None
    assert store.disk_budget <= 0.8 * (gib << 30)
    writable = [one["mountPath"] for one in container()["volumeMounts"] if not one.get("readOnly")]
    assert writable == ["/var/lib/ebbtide"]
    assert yaml.safe_load(settings())["store"]["path"].startswith("/var/lib/ebbtide/")
    memory = int(container()["resources"]["limits"]["memory"].removesuffix("Gi")) << 30
    assert memory >= 1.5 * store.memory + (5 << 29)  # docs/receivers.md: receivers under attack took up to 1.5 GiB
