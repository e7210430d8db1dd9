"""What the meter's tests on real traffic need: compiled programs, network namespaces, cgroups. Skips with a reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ebbtide.errors import ServiceError
from ebbtide.meter.cgroup import open_root
from ebbtide.meter.flow import DnsNews, Flow, FlowValue, ProcessNews, Reading
from ebbtide.meter.probe import OBJECT_PATH, Probe, ProbeSettings

TRAFFIC = Path(__file__).with_name("traffic.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The programs, compiled from the source beside them."""
    sys.path.insert(0, str(ROOT))
    hatch_build = pytest.importorskip("hatch_build", reason="hatchling is not installed: the programs cannot be built")
    sys.path.remove(str(ROOT))
    if OBJECT_PATH.exists() and hatch_build.is_newer(OBJECT_PATH, OBJECT_PATH.parent):
        return OBJECT_PATH.read_bytes()
    target = tmp_path_factory.mktemp("bpf") / OBJECT_PATH.name
    problem = hatch_build.compile_object(OBJECT_PATH.with_suffix(".c"), target)
    if problem:
        pytest.skip(f"the programs cannot be built: {problem}")
    return target.read_bytes()


@pytest.fixture(scope="session")
def cgroup_root() -> Path:
    """The node's cgroup v2 root."""
    if os.geteuid() != 0:
        pytest.skip("eBPF and network namespaces need root")
    try:
        return open_root(None)
    except ServiceError as error:
        pytest.skip(str(error))


@dataclass
class Metered:
    """An attached probe with what it told; `rows` are of one process, or of several with `of`."""

    probe: Probe
    news: list[ProcessNews | DnsNews] = field(default_factory=list)

    def read(self) -> Reading:
        return self.probe.read()

    def of(self, *pids: int) -> list[Flow]:
        return [flow for flow in self.read().flows if flow.key.tgid in pids]


@pytest.fixture(scope="session")
def open_probe(image: bytes, cgroup_root: Path) -> Callable[..., object]:
    """Opens probes that count loopback too; skips where the kernel refuses eBPF."""

    @contextmanager
    def opened(rows: int = 8192, is_loopback_counted: bool = True) -> Iterator[Metered]:
        news: list[ProcessNews | DnsNews] = []
        settings = ProbeSettings(cgroup_root, is_loopback_counted=is_loopback_counted)
        try:
            probe = Probe(settings, news.append, image=image, rows=rows)
        except ServiceError as error:
            pytest.skip(f"eBPF is refused here: {error.message.splitlines()[0]}")
        with probe:
            probe.start()
            yield Metered(probe, news)

    return opened


class Program:
    """A run of traffic.py."""

    def __init__(self, verb: str, *, netns: str = "", cgroup: Path | None = None, **arguments: object) -> None:
        command = ["ip", "netns", "exec", netns] if netns else []
        command += [sys.executable, "-I", "-S", str(TRAFFIC), verb]
        command += [f"{key}={value}" for key, value in arguments.items()]

        def enter() -> None:
            if cgroup is not None:
                (cgroup / "cgroup.procs").write_text(str(os.getpid()))

        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=enter if cgroup is not None else None,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def says(self) -> dict:
        line = self.process.stdout.readline()
        assert line, f"the program ended with {self.process.wait()}"
        return json.loads(line)

    def tell(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self) -> dict:
        """Its last words."""
        lines = self.process.communicate(timeout=30)[0].splitlines()
        assert self.process.returncode == 0
        return json.loads(lines[-1]) if lines else {}

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture
def run() -> Iterator[Callable[..., Program]]:
    """Starts programs and ends those still running after the test."""
    started: list[Program] = []

    def start(verb: str, **arguments: object) -> Program:
        started.append(Program(verb, **arguments))
        return started[-1]

    yield start
    for program in started:
        program.kill()


@dataclass(frozen=True)
class Wire:
    """Two network namespaces and a veth pair between them."""

    left: str
    right: str
    left_ip: str = "10.201.0.1"
    right_ip: str = "10.201.0.2"
    left_ip6: str = "fd00:eb::1"
    right_ip6: str = "fd00:eb::2"

    def hardware(self, side: str) -> str:
        done = subprocess.run(["ip", "-n", side, "-j", "link", "show", "eth0"], capture_output=True, check=True)
        return json.loads(done.stdout)[0]["address"]

    def counters(self, side: str) -> dict[str, dict[str, int]]:
        done = subprocess.run(["ip", "-n", side, "-s", "-j", "link", "show", "eth0"], capture_output=True, check=True)
        return json.loads(done.stdout)[0]["stats64"]


@pytest.fixture(scope="session")
def wire(cgroup_root: Path) -> Iterator[Wire]:
    """A wire without segmentation offload, so that interface counters are of what a wire would carry."""
    pair = Wire(f"ebbl{os.getpid()}", f"ebbr{os.getpid()}")
    lines = [f"netns add {pair.left}", f"netns add {pair.right}"]
    lines += [f"-n {pair.left} link add eth0 type veth peer name eth0 netns {pair.right}"]
    for side, ip, ip6 in ((pair.left, pair.left_ip, pair.left_ip6), (pair.right, pair.right_ip, pair.right_ip6)):
        lines += [f"-n {side} addr add {ip}/24 dev eth0", f"-n {side} addr add {ip6}/64 dev eth0 nodad"]
        lines += [f"netns exec {side} sysctl -q -w net.ipv4.tcp_sack=0"]  # its blocks lengthen acknowledgements of loss
        lines += [f"-n {side} link set lo up", f"-n {side} link set eth0 gso_max_segs 1", f"-n {side} link set eth0 up"]
    try:
        for line in lines:
            done = subprocess.run(["ip", *line.split()], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"network namespaces are not permitted here: {done.stderr.strip()}")
        yield pair
    finally:
        for side in (pair.left, pair.right):
            subprocess.run(["ip", "netns", "del", side], capture_output=True, check=False)


@pytest.fixture
def container(cgroup_root: Path) -> Iterator[Path]:
    """A cgroup as a container runtime would make it; the caller may remove it earlier."""
    top = cgroup_root / f"kubepods-test{os.getpid()}.slice"
    pod = top / "kubepods-burstable-pod0485c36b_283e_496e_af47_1a69545cd887.slice"
    leaf = pod / f"cri-containerd-{'ab' * 32}.scope"
    leaf.mkdir(parents=True)
    yield leaf
    for folder in (leaf, pod, top):
        for _ in range(100):
            try:
                folder.rmdir()
            except FileNotFoundError:
                break
            except OSError:  # a process of it is not reaped yet
                time.sleep(0.01)
            else:
                break


def total(flows: list[Flow]) -> FlowValue:
    """The sum of rows."""
    value = FlowValue()
    for flow in flows:
        value.add(flow.value)
    return value
