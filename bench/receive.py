"""Points a second that a receiver acknowledges durably, from encoded bodies of series it knows.

One process serves (keeper, listener, store on disk), this one sends over loopback; both share the machine's cores, so
what is printed includes the cost of sending. A request counts when its "success" is here, which is after its commit.
The same remote write requests then go to VictoriaMetrics, which answers before they are on disk.
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
from dataclasses import dataclass, replace
from pathlib import Path

import cramjam
import grpc
import numpy as np

from bodies import START_NS, STEP_NS, bodies, encode_points, encode_series, sample, writes
from ebbtide.receive.intake import Intake
from ebbtide.receive.otlp_grpc import METHOD
from ebbtide.receive.serving import open_listener
from ebbtide.receive.settings import Listener
from ebbtide.series import HOUR_NS
from ebbtide.store.store import Store
from report import Row
from victoria import Victoria, version

CASES = ("http:1000", "http:10000", "grpc:1000", "grpc:10000", "write:1000", "write:10000")
TARGET = 150_000
#: The listener of each kind of case, and the preset its points are read with.
LISTENERS = {"http": ("otlp_http", "opentelemetry-network"), "grpc": ("otlp_grpc", "opentelemetry-network")}
LISTENERS["write"] = ("remote_write", "coroot")
Send = Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What was acknowledged: points a second, seconds of the answers (median, p99), MiB of the server (now, most)."""

    rate: float
    answer_s: tuple[float, float]
    memory_mib: tuple[float, float]
    words: str


def serve(path: Path, kind: str) -> None:
    """Serve until a line comes in; says the port, then what was counted."""
    with Store.open(path) as store:
        intake = Intake(store)
        intake.start()
        name, preset = LISTENERS[kind]
        server = open_listener(intake, Listener(address="127.0.0.1:0", preset=preset), name)  # type: ignore[arg-type]
        print(server.port, flush=True)
        sys.stdin.readline()
        server.stop()
        counts = intake.counts()
        intake.stop()
        print(counts.stored, counts.commits, f"{counts.commit_seconds:.2f}", flush=True)


class Supply:
    """Requests in order, every tick the same series 30 s later; shared by the senders."""

    def __init__(self, made: list[bytes], retime: Callable[[bytes, int], bytes]) -> None:
        """`retime` gives a body another start, in nanoseconds."""
        self._bodies, self._retime = made, retime
        self._first_ns = (time.time_ns() - 12 * HOUR_NS) // STEP_NS * STEP_NS
        self._next = self._requests()
        self._lock = threading.Lock()

    def take(self) -> bytes:
        with self._lock:
            body, tick = next(self._next)
        return self._retime(body, self._first_ns + tick * STEP_NS)

    def _requests(self) -> Iterator[tuple[bytes, int]]:
        tick = 0
        while True:
            for body in self._bodies:
                yield body, tick
            tick += 1


def retime_points(body: bytes, start_ns: int, span_ns: int = STEP_NS) -> bytes:
    """An OTLP request at another time: fields 2 and 3 of a data point, both of type fixed64."""
    old = b"\x11" + struct.pack("<Q", START_NS) + b"\x19" + struct.pack("<Q", START_NS + STEP_NS)
    return body.replace(old, b"\x11" + struct.pack("<Q", start_ns) + b"\x19" + struct.pack("<Q", start_ns + span_ns))


def retime_samples(body: bytes, start_ns: int) -> bytes:
    """A remote write request at another time, compressed; its counters grow with it."""
    grown = (start_ns - START_NS) / STEP_NS
    return bytes(cramjam.snappy.compress_raw(body.replace(sample(0.0, START_NS), sample(grown, start_ns))))


OTLP = {"Content-Type": "application/x-protobuf"}
WRITE = OTLP | {"Content-Encoding": "snappy", "X-Prometheus-Remote-Write-Version": "0.1.0"}


def over_http(port: int, path: str, headers: dict[str, str]) -> Send:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def send(body: bytes) -> None:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status not in (200, 204):
            raise RuntimeError(f"answer {answer.status}")

    return send


def sender(kind: str, port: int) -> Send:
    """A connection of its own."""
    if kind == "grpc":
        return over_grpc(port)
    return over_http(port, "/v1/metrics", OTLP) if kind == "http" else over_http(port, "/api/v1/write", WRITE)


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


def measure(case: str, made: list[bytes], seconds: float, connections: int) -> Sent:
    """What this service acknowledges durably."""
    kind, size = case.split(":")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--serve", f"{folder}/e.duckdb", kind]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdin is not None and server.stdout is not None
            port = int(server.stdout.readline())
            sends = [sender(kind, port) for _ in range(connections)]
            sent = send_for(kind, int(size), made, sends, seconds, server.pid)
            server.stdin.write("\n")
            server.stdin.flush()
            stored, commits, commit_s = server.stdout.readline().split()
    return replace(sent, words=f"{sent.words}; {int(stored):,} stored in {commits} commits, {commit_s} s")


def measure_victoria(size: int, made: list[bytes], seconds: float, connections: int) -> Sent:
    """What VictoriaMetrics answers, over the same remote write requests."""
    with tempfile.TemporaryDirectory() as folder, Victoria(Path(folder)) as peer:
        sends = [sender("write", peer.port) for _ in range(connections)]
        return send_for("write", size, made, sends, seconds, peer.pid)


def send_for(kind: str, size: int, made: list[bytes], sends: list[Send], seconds: float, pid: int) -> Sent:
    """Send everything twice, so that every series is known, then measure for some seconds."""
    supply = Supply(made, retime_samples if kind == "write" else retime_points)
    drive(supply, sends, lambda number: number >= 2 * len(made))
    before, mine = cpu_s(pid), time.process_time()
    end = time.perf_counter() + seconds
    requests, took_s, took = drive(supply, sends, lambda _: time.perf_counter() >= end)
    rate = requests * size / took_s
    busy = (cpu_s(pid) - before) / took_s, (time.process_time() - mine) / took_s
    p50, p99 = np.percentile(took, [50, 99])
    words = f"processor {busy[0] / rate * 1e6:.2f} us a point serving, {busy[1] / rate * 1e6:.2f} sending"
    return Sent(rate, (float(p50), float(p99)), memory_mib(pid), words)


def requests_of(case: str, series: int, *, is_single: bool = False) -> list[bytes]:
    """The bodies of a case, of so many series."""
    kind, size = case.split(":")
    if kind == "write":
        return list(writes(encode_series(series), int(size)))
    return list(bodies(encode_points(series), int(size), is_single=is_single))


def run(_: Path, is_quick: bool) -> list[Row]:
    """50,000 series over 8 connections, 60 s a case; quick: 10,000 series, 3 s."""
    series, seconds = (10_000, 3.0) if is_quick else (50_000, 60.0)
    peer, rows = version(), []
    for case in CASES:
        made = requests_of(case, series)
        ours = measure(case, made, seconds, 8)
        theirs = ours.rate and peer and case.startswith("write:")
        other = measure_victoria(int(case.split(":")[1]), made, seconds, 8) if theirs else None
        name = f"{case.replace(':', ', ')} points a request"
        rows.append(
            Row(
                f"{name}, acknowledged" + (f", and {peer}'s" if other else ""),
                f"{ours.rate:,.0f}/s",
                f"{other.rate:,.0f}/s" if other else "",
                ratio=ours.rate / other.rate if other else None,
                target=f"{TARGET:,}/s",
                is_met=ours.rate >= TARGET,
            )
        )
        answers = f"{ours.answer_s[0] * 1000:.0f} ms, {ours.answer_s[1] * 1000:.0f} ms"
        rows.append(Row(f"{name}: answer, median and p99", answers))
        rows.append(
            Row(f"{name}: resident memory, at the end and at most", "{:.0f}, {:.0f} MiB".format(*ours.memory_mib))
        )
    return rows


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
    for case in options.case or CASES:
        made = requests_of(case, options.series, is_single=options.single)
        sent = measure(case, made, options.seconds, options.connections)
        p50, p99 = sent.answer_s
        print(
            f"{case:>11}: {sent.rate:>9,.0f} points/s, answer {p50 * 1000:.0f} ms (p99 {p99 * 1000:.0f} ms); "
            "RSS {:.0f} MiB (at most {:.0f}); ".format(*sent.memory_mib)
            + sent.words,
            flush=True,
        )


if __name__ == "__main__":
    main()
