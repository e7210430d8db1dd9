"""Packets on this machine become a finding: meter, receiver, store, detection, within a minute."""

import io
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from ebbtide.demo_live import DETECTION_ID, PATIENCE_S, QUIET_S, live_demo
from ebbtide.demo_selftest import self_test
from ebbtide.demo_traffic import BURST_BYTES
from ebbtide.errors import ServiceError
from ebbtide.meter.settings import SourceKind


def test_a_burst_on_this_machine_is_found_and_nothing_before_it(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("eBPF and network namespaces need root")
    log = io.StringIO()
    try:
        with live_demo(tmp_path, 0, log) as demo, self_test() as sender:
            if demo.meter.kind is not SourceKind.EBPF:
                pytest.skip(f"eBPF is refused here: {demo.meter.why}")
            time.sleep(QUIET_S)
            assert demo.is_heard()
            assert demo.finding_of(sender.name) is None
            sender.burst()
            finding = demo.wait_for(sender.name, PATIENCE_S, lambda: False)
    except ServiceError as error:
        if "not permitted" not in str(error):
            raise
        pytest.skip(str(error))

    assert finding is not None, log.getvalue()
    assert finding.detection_id == DETECTION_ID
    assert finding.entity.process == f"ebbtest-{os.getpid()}"
    assert finding.evidence.metrics[0].value >= BURST_BYTES / 4
    left = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert f"ebbtide-s{os.getpid()}" not in left


def test_without_capabilities_it_says_what_is_missing_and_measures_what_it_can(tmp_path):
    setpriv = shutil.which("setpriv")
    if os.geteuid() != 0 or setpriv is None:
        pytest.skip("giving capabilities up needs root and setpriv")
    command = [setpriv, "--bounding-set=-all", "--inh-caps=-all", "--"]
    command += [sys.executable, "-c", "from ebbtide.cli.app import main; main()", "demo", "--live"]
    command += ["--port", "0", "--out", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("Goes on measuring"):
                break
        process.send_signal(signal.SIGTERM)
        said += process.stdout.read()
        assert process.wait(30) == 0, said
    said = " ".join(said.split())  # however wide the terminal is
    assert "Measured by sock_diag, not eBPF" in said
    assert "Missing then: udp" in said
    assert "No self-test" in said
