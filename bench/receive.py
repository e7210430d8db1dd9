"""Points a second that a receiver acknowledges durably, from encoded bodies of series it knows.

One process serves (keeper, listener, store on disk), this one sends over loopback; both share the machine's cores, so
what is printed includes the cost of sending. A request counts when its "success" is here, which is after its commit.
Usage: python bench/receive.py [--seconds 20] [--case http:1000] [--series 50000] [--connections 8] [--single]
"""

from __future__ import annotations

import argparse
import http.client
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np

from bodies import START_NS, STEP_NS, bodies, encode_points
from ebbtide.receive.intake import Intake
from ebbtide.receive.otlp_grpc import METHOD
from ebbtide.receive.serving import open_listener
from ebbtide.receive.settings import Listener
from ebbtide.series import HOUR_NS
from ebbtide.store.store import Store

CASES = ("http:1000", "http:10000", "grpc:1000", "grpc:10000")
Send = Callable[[bytes], None]


def serve(path: Path, kind: str) -> None:
    """Serve until a line comes in; says the port, then what was counted."""
    with Store.open(path) as store:
        intake = Intake(store)
        intake.start()
        server = open_listener(intake, Listener(address="127.0.0.1:0"), f"otlp_{kind}")  # type: ignore[arg-type]
        print(server.port, flush=True)
        sys.stdin.readline()
        server.stop()
        counts = intake.counts()
        intake.stop()
        print(counts.stored, counts.commits, f"{counts.commit_seconds:.2f}", flush=True)


class Supply:
    """Requests in order, every tick the same series 30 s later; shared by the senders."""

    def __init__(self, made: list[bytes]) -> None:
        self._bodies = made
        self._first_ns = (time.time_ns() - 12 * HOUR_NS) // STEP_NS * STEP_NS
        self._next = self._requests()
        self._lock = threading.Lock()

    def take(self) -> bytes:
        with self._lock:
            body, tick = next(self._next)
        start = self._first_ns + tick * STEP_NS
        # Fields 2 and 3 of a data point, both of type fixed64.
        old = b"\x11" + struct.pack("<Q", START_NS) + b"\x19" + struct.pack("<Q", START_NS + STEP_NS)
        return body.replace(old, b"\x11" + struct.pack("<Q", start) + b"\x19" + struct.pack("<Q", start + STEP_NS))

    def _requests(self) -> Iterator[tuple[bytes, int]]:
        tick = 0
        while True:
            for body in self._bodies:
                yield body, tick
            tick += 1


def over_http(port: int) -> Send:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(body: bytes) -> None:
        connection.request("POST", "/v1/metrics", body, {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"answer {answer.status}")

    return send


def over_grpc(port: int) -> Send:
    # Channels share a connection unless they differ in their options.
    channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)])
    export = channel.unary_unary(METHOD)

    def send(body: bytes) -> None:
        export(body, timeout=30)

    return send


def drive(supply: Supply, sends: list[Send], is_over: Callable[[int], bool]) -> tuple[int, float, list[float]]:
    """Send from as many threads as there are connections; requests answered, seconds, seconds of each."""
    took: list[float] = []
    failed: list[BaseException] = []
    sent = iter(range(10**9))

    def run(send: Send) -> None:
        try:
            while not is_over(next(sent)):
                body = supply.take()
                began = time.perf_counter()
                send(body)
                took.append(time.perf_counter() - began)
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=run, args=(send,)) for send in sends]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return len(took), time.perf_counter() - began, took


def memory_mib(pid: int) -> tuple[float, float]:
    """Resident now and at most, MiB."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    kib = {line.split(":")[0]: int(line.split()[1]) for line in status.splitlines() if "kB" in line}
    return kib["VmRSS"] / 1024, kib["VmHWM"] / 1024


def cpu_s(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(case: str, points: list[bytes], options: argparse.Namespace) -> None:
    kind, size = case.split(":")
    made = list(bodies(points, int(size), is_single=options.single))
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", f"{folder}/e.duckdb", kind]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None and server.stdout is not None
            port = int(server.stdout.readline())
            sends = [(over_http if kind == "http" else over_grpc)(port) for _ in range(options.connections)]
            supply = Supply(made)
            drive(supply, sends, lambda number: number >= 2 * len(made))  # afterwards every series is known
            before, mine = cpu_s(server.pid), time.process_time()
            end = time.perf_counter() + options.seconds
            requests, seconds, took = drive(supply, sends, lambda _: time.perf_counter() >= end)
            rate = requests * int(size) / seconds
            resident, most = memory_mib(server.pid)
            busy = (cpu_s(server.pid) - before) / seconds, (time.process_time() - mine) / seconds
            server.stdin.write("\n")
            server.stdin.flush()
            stored, commits, commit_s = server.stdout.readline().split()
        p50, p99 = np.percentile(took, [50, 99]) * 1000
        print(
            f"{case:>11}: {rate:>9,.0f} points/s, {len(made[0]) * requests / seconds / 2**20:.0f} MiB/s, "
            f"{requests / seconds:.0f} requests/s, answer {p50:.0f} ms (p99 {p99:.0f} ms); "
            f"processor: {busy[0] / rate * 1e6:.2f} us/point serving, {busy[1] / rate * 1e6:.2f} sending, "
            f"{busy[0]:.2f} and {busy[1]:.2f} cores; RSS {resident:.0f} MiB (at most {most:.0f}); "
            f"{int(stored):,} stored in {commits} commits, {commit_s} s",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--series", type=int, default=50_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument(
        "--single", action="store_true", help="one data point per metric, as opentelemetry-network has it"
    )
    parser.add_argument("--serve", nargs=2, metavar=("FILE", "KIND"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(Path(options.serve[0]), options.serve[1])
        return
    print(f"load {os.getloadavg()[0]:.2f} before; {os.cpu_count()} cores, {options.series} series")
    points = encode_points(options.series)
    for case in options.case or CASES:
        measure(case, points, options)


if __name__ == "__main__":
    main()
