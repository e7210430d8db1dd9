"""The command from outside: real traffic in, OTLP out, and errors an operator can read."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_meter_export import Receiver
from test_meter_meter import points_of
from typer.testing import CliRunner

from ebbtide.errors import UsageError
from ebbtide.meter.command import app, parse_headers
from ebbtide.meter.probe import OBJECT_PATH


@pytest.fixture
def receiver():
    served = Receiver()
    yield served
    served.close()


def start(receiver, *arguments):
    command = [
        sys.executable,
        "-m",
        "ebbtide.meter.command",
        "--endpoint",
        receiver.url,
        "--interval",
        "1",
        "--loopback",
    ]
    process = subprocess.Popen(
        [*command, "--cluster", "prod", "--node", "node1", *arguments], stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "meter_started" in line:
            return process, line
    pytest.fail("the meter did not start")


def stop(process):
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 0, said
    return said


def wait_for(receiver, count):
    end = time.monotonic() + 10
    while len(receiver.bodies) < count and time.monotonic() < end:
        os.sched_yield()
    assert len(receiver.bodies) >= count


@pytest.mark.parametrize("source", ["ebpf", "sock_diag"])
def test_known_traffic_arrives_as_otlp(receiver, run, open_probe, source):
    if source == "ebpf":
        with open_probe():
            pass
        if not OBJECT_PATH.exists():
            pytest.skip("the package was built without clang")
    process, _ = start(receiver, "--source", source)
    try:
        wait_for(receiver, 1)
        server = run("serve")
        client = run("stay", port=server.says()["port"], size=123_000, name="tide-out")
        client.says()
        wait_for(receiver, len(receiver.bodies) + 2)
        stop(process)
    finally:
        process.kill()
    points = [point for body in receiver.bodies for point in points_of(body)]
    mine = [
        (name, value, attributes)
        for name, value, attributes, *_ in points
        if attributes.get("source.process.name") == "tide-out" and name == "tcp.bytes"
    ]
    ((_, value, attributes),) = mine
    assert value == 123_000
    assert attributes["connection.opener"] == "source"
    assert attributes["source.process.executable.path"] == str(Path(sys.executable).resolve())
    assert attributes["source.namespace.name"] == "node1"
    assert attributes["dest.class"] == "host"
    assert (
        attributes["source.process.executable.sha256"] == hashlib.sha256(Path(sys.executable).read_bytes()).hexdigest()
    )
    assert any(name == "ebpf_net.up" for name, *_ in points)


def test_an_endpoint_that_is_none_is_a_usage_error():
    done = CliRunner().invoke(app, ["--endpoint", "nonsense"])
    assert done.exit_code == 2
    assert "not an OTLP endpoint" in done.output
    assert "hint:" in done.output


def test_a_cgroup_that_is_none_is_an_error_with_a_hint(tmp_path):
    done = CliRunner().invoke(app, ["--source", "ebpf", "--cgroup", str(tmp_path)])
    assert done.exit_code == 4
    assert "--cgroup" in done.output


def test_check_prints_what_is_missing_and_ends(tmp_path):
    done = CliRunner().invoke(app, ["--check", "--cgroup", str(tmp_path), "--endpoint", "http://127.0.0.1:9"])
    assert done.exit_code == 4
    assert "MISSING  cgroup v2 root" in done.output
    assert "not on this node" in done.output


def test_headers_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TIDE_TOKEN", "secret")
    assert parse_headers(["Authorization: ${env:TIDE_TOKEN}"]) == (("authorization", "secret"),)
    assert parse_headers(["Authorization: Bearer ${env:TIDE_TOKEN}"]) == (("authorization", "Bearer secret"),)


@pytest.mark.parametrize(
    "line", ["no colon", ": empty", "a: b\r\nc: d", "x: ${env:TIDE_NOT_SET}", "x: a ${env:TIDE_NOT_SET}"]
)
def test_headers_that_are_none_are_refused_without_their_value(line):
    with pytest.raises(UsageError) as caught:
        parse_headers([line])
    assert "b\r" not in str(caught.value)
