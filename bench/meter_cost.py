"""What the meter costs: throughput of loopback transfers with and without it, CPU, and memory with many peers.

    python bench/meter_cost.py                    # as root; about a minute and a half
    python bench/meter_cost.py --pairs 20 --sockets 100 --addresses 10000

Loopback throughput drifts by a factor of two within seconds on a shared machine, so the programs are attached and
detached every quarter of a second under one running transfer: the figure is the median over pairs of neighbouring
slots, in alternating order. The CPU of the meter's process comes from a run beside a transfer, sending OTLP to a
receiver on loopback; that of the programs from the kernel's own clock (bpf_stats), in a run of its own, because that
clock costs too: what it tells of programs that do nothing, at the same hooks under the same load, is told beside it and
taken off in `cores_net`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ebbtide.meter.cgroup import open_root
from ebbtide.meter.libbpf import Object, read_object
from ebbtide.meter.probe import OBJECT_PATH
from ebbtide.meter.rows import Rows

SLOT_S, SETTLE_S = 0.25, 0.05
BPF_STATS = Path("/proc/sys/kernel/bpf_stats_enabled")
CHUNK = bytes(1 << 16)
NOTHING = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("cgroup_skb/egress") int on_egress(struct __sk_buff *skb) { return 1; }
SEC("cgroup_skb/ingress") int on_ingress(struct __sk_buff *skb) { return 1; }
char _license[] SEC("license") = "Apache-2.0";
"""


class Receiver(BaseHTTPRequestHandler):
    """Takes everything and keeps nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@contextlib.contextmanager
def meter(endpoint: str, *options: str) -> Iterator[int]:
    command = [sys.executable, "-m", "ebbtide.meter.command", "--endpoint", endpoint, "--loopback", "--source", "ebpf"]
    process = subprocess.Popen([*command, "--interval", "2", *options], stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if "meter_started" in line:
            break
    else:
        sys.exit("the meter did not start")
    time.sleep(0.5)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def sink(listener: socket.socket, count: int) -> None:
    """Read `count` connections until they end, without looking."""
    selector = selectors.EpollSelector()
    for _ in range(count):
        sock, _ = listener.accept()
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_READ)
    buffer = bytearray(1 << 18)
    while count:
        for key, _ in selector.select():
            with contextlib.suppress(BlockingIOError):
                if not key.fileobj.recv_into(buffer):
                    selector.unregister(key.fileobj)
                    count -= 1


@contextlib.contextmanager
def load(sockets: int) -> Iterator[Callable[[float], float]]:
    """`sockets` connections over loopback between two processes; run(seconds) sends all it can and gives Gbit/s."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    child = os.fork()
    if not child:
        sink(listener, sockets)
        os._exit(0)
    selector = selectors.EpollSelector()
    for _ in range(sockets):
        sock = socket.create_connection(listener.getsockname())
        sock.setblocking(False)
        selector.register(sock, selectors.EVENT_WRITE)

    def run(seconds: float) -> float:
        sent, start = 0, time.monotonic()
        while (elapsed := time.monotonic() - start) < seconds:
            for key, _ in selector.select():
                with contextlib.suppress(BlockingIOError):
                    sent += key.fileobj.send(CHUNK)
        return sent * 8 / elapsed / 1e9

    yield run
    for key in list(selector.get_map().values()):
        key.fileobj.close()
    selector.close()
    listener.close()
    os.waitpid(child, 0)


def programs(pid: int) -> tuple[float, int]:
    """(seconds, runs) of all BPF programs the process holds, from the kernel's clock."""
    nanoseconds = runs = 0
    for entry in list(Path(f"/proc/{pid}/fdinfo").iterdir()):
        if not entry.exists():  # the listing's own
            continue
        fields = dict(line.split(":", 1) for line in entry.read_text().splitlines() if ":" in line)
        if "prog_type" in fields and "run_time_ns" in fields and "link_type" not in fields:
            nanoseconds += int(fields["run_time_ns"])
            runs += int(fields["run_cnt"])
    return nanoseconds / 1e9, runs


def map_bytes(pid: int) -> int:
    total = 0
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(line.split(":", 1) for line in entry.read_text().splitlines() if ":" in line)
        total += int(fields.get("memlock", "0")) if "map_type" in fields else 0
    return total


def memory_kb(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field + ":")).split()[1])


def measure_throughput(sockets: int, pairs: int) -> dict[str, object]:
    """Slots of a quarter second with and without the programs, in turn, under one running transfer."""
    root = open_root(None)
    fd = os.open(root, os.O_RDONLY)
    slots: dict[bool, list[float]] = {True: [], False: []}
    with Object(read_object(OBJECT_PATH)) as programs_:
        Rows(programs_).load(is_loopback_counted=True)
        programs_.attach(fd)
        with load(sockets) as run:
            run(1.0)
            for number in range(pairs):
                for is_on in (False, True) if number % 2 else (True, False):
                    programs_.detach()
                    if is_on:
                        programs_.attach(fd)
                    run(SETTLE_S)
                    slots[is_on].append(run(SLOT_S - SETTLE_S))
    os.close(fd)
    losses = [1 - on / off for on, off in zip(slots[True], slots[False], strict=True)]
    low, _, high = statistics.quantiles(losses, n=4)
    return {
        "sockets": sockets,
        "pairs": pairs,
        "gbit_without": round(statistics.median(slots[False]), 2),
        "gbit_with": round(statistics.median(slots[True]), 2),
        "loss_median_of_pairs": round(statistics.median(losses), 4),
        "loss_quartiles": [round(low, 4), round(high, 4)],
    }


def measure_process(endpoint: str, sockets: int, seconds: float) -> dict[str, object]:
    """CPU of the meter's process beside a transfer."""
    with meter(endpoint) as pid, load(sockets) as run:
        before = cpu_seconds(pid)
        gbit = run(seconds)
        return {"cores": round((cpu_seconds(pid) - before) / seconds, 4), "gbit": round(gbit, 2)}


@contextlib.contextmanager
def kernel_clock() -> Iterator[None]:
    before = BPF_STATS.read_text()
    BPF_STATS.write_text("1")
    try:
        yield
    finally:
        BPF_STATS.write_text(before)


def measure_clock(sockets: int, seconds: float) -> float:
    """Nanoseconds the kernel's clock tells of a run of a program that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "nothing.bpf.o")
        command = ["clang", "-target", "bpf", "-O2", "-g", "-xc", "-", "-c", "-o", str(path)]
        include = f"-I/usr/include/{os.uname().machine}-linux-gnu"
        subprocess.run([*command, include], input=NOTHING, text=True, check=True)
        content = path.read_bytes()
    fd = os.open(open_root(None), os.O_RDONLY)
    with Object(content) as nothing:
        nothing.load()
        nothing.attach(fd)
        with load(sockets) as run:
            start_s, start_runs = programs(os.getpid())
            run(seconds)
            end_s, end_runs = programs(os.getpid())
    os.close(fd)
    return (end_s - start_s) / max(1, end_runs - start_runs) * 1e9


def measure_programs(endpoint: str, sockets: int, seconds: float) -> dict[str, object]:
    with kernel_clock():
        clock_ns = measure_clock(sockets, seconds)
        with meter(endpoint) as pid, load(sockets) as run:
            start_s, start_runs = programs(pid)
            gbit = run(seconds)
            end_s, end_runs = programs(pid)
    spent, runs = end_s - start_s, end_runs - start_runs
    net = spent - runs * clock_ns / 1e9
    return {
        "runs": runs,
        "ns_per_run": round(spent / max(1, runs) * 1e9),
        "ns_per_run_of_the_clock": round(clock_ns),
        "cores": round(spent / seconds, 4),
        "cores_net": round(net / seconds, 4),
        "gbit": round(gbit, 2),
        "cores_net_per_10_gbit": round(net / seconds / gbit * 10, 4),
    }


def measure_memory(endpoint: str, addresses: int) -> dict[str, object]:
    with meter(endpoint) as pid:
        at_rest = memory_kb(pid, "VmRSS")
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        before, start = cpu_seconds(pid), time.monotonic()
        for number in range(addresses):
            with contextlib.suppress(ConnectionRefusedError):
                sock.sendto(b"x", (f"127.{number >> 16 & 127}.{number >> 8 & 255}.{number & 255 or 1}", 9))
        sent_s = time.monotonic() - start
        time.sleep(6.0)
        return {
            "addresses": addresses,
            "seconds_of_sending": round(sent_s, 1),
            "rss_at_rest_mib": at_rest // 1024,
            "rss_peak_mib": memory_kb(pid, "VmHWM") // 1024,
            "kernel_maps_mib": map_bytes(pid) >> 20,
            "meter_cpu_s": round(cpu_seconds(pid) - before, 1),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=80)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--addresses", type=int, default=100_000)
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (4 * options.sockets + 256,) * 2)
    with receiver() as endpoint:
        results = {
            "cpus": os.cpu_count(),
            "throughput": measure_throughput(options.sockets, options.pairs),
            "process": measure_process(endpoint, options.sockets, options.seconds),
            "programs": measure_programs(endpoint, options.sockets, options.seconds),
            "memory": measure_memory(endpoint, options.addresses),
        }
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
