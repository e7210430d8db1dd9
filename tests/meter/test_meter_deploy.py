"""The files of deploy/meter: as little right as the meter needs, and no less."""

from __future__ import annotations

import ctypes
import errno
import json
import subprocess
import sys

import pytest
import yaml
from conftest import ROOT

from ebbtide.meter.check import CAPABILITIES
from ebbtide.meter.probe import OBJECT_PATH

DEPLOY = ROOT / "deploy" / "meter"
GRANTED = {name for name in CAPABILITIES if name != "CAP_SYS_ADMIN"}
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


@pytest.fixture(scope="module")
def objects():
    found = list(yaml.safe_load_all((DEPLOY / "daemonset.yaml").read_text()))
    return {one["kind"]: one for one in found}


def test_the_daemonset_has_the_capabilities_and_no_more(objects):
    context = objects["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]["securityContext"]
    assert {f"CAP_{name}" for name in context["capabilities"]["add"]} == GRANTED
    assert context["capabilities"]["drop"] == ["ALL"]
    assert context["readOnlyRootFilesystem"]
    assert not context["allowPrivilegeEscalation"]
    assert "privileged" not in context
    assert objects["DaemonSet"]["spec"]["template"]["spec"]["hostPID"]


def test_it_sends_encrypted_with_a_token_from_a_namespace_of_its_own(objects):
    spec = objects["DaemonSet"]["spec"]["template"]["spec"]
    snippet = yaml.safe_load((ROOT / "deploy" / "snippets" / "meter.yaml").read_text())
    assert spec["containers"][0]["args"] == snippet["args"]
    env = {one["name"]: one for one in spec["containers"][0]["env"]}
    assert (
        env["EBBTIDE_AUTHORIZATION"]["valueFrom"]["secretKeyRef"]["name"] == spec["volumes"][0]["secret"]["secretName"]
    )
    places = {one["metadata"].get("namespace") for one in objects.values()} - {None}
    assert places == {objects["Namespace"]["metadata"]["name"]} != {"ebbtide"}


def test_the_role_only_reads(objects):
    rules = objects["ClusterRole"]["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert {name for rule in rules for name in rule["resources"]} == {"pods", "services", "nodes", "jobs"}
    assert objects["ClusterRoleBinding"]["subjects"][0]["name"] == objects["ServiceAccount"]["metadata"]["name"]


def test_the_unit_has_the_same_capabilities():
    lines = (DEPLOY / "ebbtide-meter.service").read_text().splitlines()
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        (line,) = [line for line in lines if line.startswith(f"{key}=")]
        assert set(line.split("=", 1)[1].split()) == GRANTED
    assert "NoNewPrivileges=yes" in lines


def confine(names):
    """Load the profile with libseccomp, as a container runtime does."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    filter_ = ctypes.c_void_p(library.seccomp_init(REFUSE))
    for name in names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            library.seccomp_rule_add_array(filter_, ALLOW, number, 0, None)
    if library.seccomp_load(filter_):
        raise OSError("the profile does not load")


@pytest.mark.parametrize(("taken_away", "code"), [(None, 0), ("bpf", 4)])
def test_the_profile_lets_the_meter_work(open_probe, taken_away, code):
    with open_probe():
        pass
    if not OBJECT_PATH.exists():
        pytest.skip("the package was built without clang")
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp is not installed")
    names = json.loads((DEPLOY / "seccomp.json").read_text())["syscalls"][0]["names"]
    assert {"bpf", "membarrier"} <= set(names)
    assert not {"mount", "ptrace", "init_module", "reboot", "unshare"} & set(names)
    done = subprocess.run(
        [sys.executable, "-m", "ebbtide.meter.command", "--check"],
        preexec_fn=lambda: confine(name for name in names if name != taken_away),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
