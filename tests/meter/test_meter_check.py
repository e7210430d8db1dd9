"""What `--check` says, and with how little it works."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from ebbtide.meter.check import CAPABILITIES, effective_capabilities, run_checks
from ebbtide.meter.export import Target
from ebbtide.meter.kube_api import KubeSettings
from ebbtide.meter.probe import OBJECT_PATH
from ebbtide.meter.settings import MeterSettings

NEEDED = "-all,+bpf,+perfmon,+net_admin"


def checks(**changes):
    return {check.name: check for check in run_checks(MeterSettings(Target("http://127.0.0.1:9"), **changes))}


def test_every_part_is_tried_and_none_raises(tmp_path):
    found = checks(cgroup=tmp_path, kubernetes=KubeSettings("http://127.0.0.1:9"))
    assert {"kernel", "cgroup v2 root", "libbpf", "programs", "eBPF", "sock_diag", "receiver", "Kubernetes"} <= set(
        found
    )
    assert not found["cgroup v2 root"].is_ok
    assert not found["eBPF"].is_ok
    assert not found["receiver"].is_ok
    assert "is not a cgroup v2 mount" in found["eBPF"].detail
    assert found["Kubernetes"].hint


def test_capabilities_are_named():
    assert effective_capabilities("CapEff:\t000001ffffffffff") == frozenset(CAPABILITIES)
    assert effective_capabilities("nothing") == frozenset()


def check_with(bounding):
    if not OBJECT_PATH.exists():
        pytest.skip("the package was built without clang")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    command = ["setpriv", f"--bounding-set={bounding}", sys.executable, "-m", "ebbtide.meter.command", "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_three_capabilities_are_enough(open_probe):
    with open_probe():
        pass
    done = check_with(NEEDED)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "eBPF: everything is there" in done.stdout


@pytest.mark.parametrize("missing", ["bpf", "perfmon", "net_admin"])
def test_each_of_the_three_is_needed(open_probe, missing):
    with open_probe():
        pass
    done = check_with(NEEDED.replace(f",+{missing}", ""))
    assert done.returncode == 4
    assert f"MISSING  CAP_{missing.upper()}" in done.stdout
    assert "sock_diag counts TCP only" in done.stdout
