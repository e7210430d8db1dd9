"""Packets on this machine become a finding: meter, receiver, store, detection, within a minute."""

import io
import os
import subprocess
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
