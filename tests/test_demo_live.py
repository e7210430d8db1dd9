"""Packets on this machine become findings: meter, receiver, store, detections, within a minute."""

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path
from uuid import uuid4

import pytest

from build import Point, batch_of
from ebbtide.demo_live import CLUSTER, DETECTION_ID, PATIENCE_S, QUIET_S, live_demo
from ebbtide.demo_selftest import self_test
from ebbtide.demo_traffic import BURST_BYTES
from ebbtide.errors import ServiceError
from ebbtide.meter.settings import SourceKind
from ebbtide.series import SECOND_NS, Entity
from ebbtide.store.progress import Reach
from ebbtide.store.store import Store

SOON = "novelty_soon"
UUID = "5a0f7f0c-7f0e-4d7b-9a51-3c1f6b8f2d47"


NOVELTY = files("ebbtide") / "detect" / "detections" / "novelty.yaml"


def teach(directory, process):
    """Ten days in which a process of this machine sent elsewhere, up to three hours ago; and novelty every 10 s."""
    sender = Entity(CLUSTER, socket.gethostname(), Path(sys.executable).resolve().name, process)
    now_s = time.time_ns() // SECOND_NS // 3600 * 3600 - 3 * 3600
    points = [Point(now_s - hour * 3600, 4e6, sender=sender, to="db.example") for hour in range(240)]
    with Store.open(directory / "live.duckdb") as store:
        store.append(batch_of(points), store.begin("import", "earlier"))
        store.roll_up()
        for detection in (SOON, DETECTION_ID):  # else the day before is judged first, every 10 s of it
            store.progress.save(detection, [CLUSTER], Reach(time.time_ns(), time.time_ns()))
    detections = directory / "detections"
    detections.mkdir()
    text = NOVELTY.read_text("utf-8")
    for old, new in (
        ("id: novelty", f"id: {SOON}"),
        (UUID, str(uuid4())),
        ("every: 1m", "every: 10s"),
        ("part_of: joined", "# alone:"),
    ):
        assert old in text
        text = text.replace(old, new, 1)
    (detections / f"{SOON}.yaml").write_text(text, "utf-8")


def test_a_burst_and_a_new_destination_on_this_machine_are_found(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("eBPF and network namespaces need root")
    log = io.StringIO()
    teach(tmp_path, f"ebbtest-{os.getpid()}")
    try:
        with live_demo(tmp_path, 0, log) as demo, self_test() as sender:
            if demo.meter.kind is not SourceKind.EBPF:
                pytest.skip(f"eBPF is refused here: {demo.meter.why}")
            time.sleep(QUIET_S)
            assert demo.is_heard()
            assert demo.finding_of(sender.name) is None
            sender.burst()
            burst = demo.wait_for(sender.name, PATIENCE_S, lambda: False)
            novel = demo.wait_for(sender.name, PATIENCE_S, lambda: False, SOON)
    except ServiceError as error:
        if "not permitted" not in str(error):
            raise
        pytest.skip(str(error))

    assert burst is not None, log.getvalue()
    assert burst.entity.process == f"ebbtest-{os.getpid()}"
    assert burst.evidence.metrics[0].value >= BURST_BYTES / 4
    assert novel is not None, log.getvalue()
    assert "to a destination it never sent to before" in novel.headline
    assert novel.evidence.destinations[0].name == sender.destination
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
