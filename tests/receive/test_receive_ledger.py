"""kill -9 under load: whatever a sender was told is stored is there, and what it sent again is there once.

Senders keep a ledger as a real one keeps its queue: the next request only after "success", everything else is sent
again. At the end the store's sums per series must equal the ledgers' to the last byte.
"""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import grpc
import httpx
import numpy as np
from requests_of_decode import EDGE, Point, proto

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.receive.otlp_grpc import METHOD
from ebbtide.series import SECOND_NS
from ebbtide.store.check import check
from ebbtide.store.store import Store

RECEIVER = Path(__file__).with_name("receiver.py")
#: How many kills; `make faults` asks for more.
KILLS = int(os.environ.get("EBBTIDE_KILLS", "4"))
SERIES = 20


class Sender(threading.Thread):
    """Sends one numbered body after the other until it is told to end, each until it is acknowledged."""

    def __init__(self, name: str, kind: str, http_port: int, grpc_port: int, start_ns: int) -> None:
        super().__init__(name=name)
        self.kind, self.start_ns = kind, start_ns
        self.http_port, self.grpc_port = http_port, grpc_port
        self.is_over = threading.Event()
        self.acknowledged: list[bytes] = []
        self.attempts = 0
        self._rng = random.Random(name)
        self._readings = [self._rng.randrange(10**6) for _ in range(SERIES)]

    def body(self, number: int) -> bytes:
        values = [self._rng.randrange(1000) for _ in range(SERIES)]
        if self.kind == "cumulative":
            values = self._readings = [have + more for have, more in zip(self._readings, values, strict=True)]
        return proto(
            [
                Point(
                    value=value,
                    labels=EDGE | {"source.workload.name": f"{self.name}w{at}x"},
                    end_ns=self.start_ns + number * SECOND_NS,
                    kind=self.kind,
                )
                for at, value in enumerate(values)
            ]
        )

    def run(self) -> None:
        number = 0
        with httpx.Client(timeout=5) as client, grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            while not self.is_over.is_set():
                body = self.body(number)
                number += 1
                end = time.monotonic() + 30  # one in flight is sent until it is acknowledged, also at the end
                while not self._send(client, channel, body):
                    if time.monotonic() > end:
                        return
                    time.sleep(0.01)
                self.acknowledged.append(body)

    def _send(self, client: httpx.Client, channel: grpc.Channel, body: bytes) -> bool:
        self.attempts += 1
        with contextlib.suppress(httpx.TransportError, grpc.RpcError):
            if self._rng.random() < 0.3:
                channel.unary_unary(METHOD)(body, timeout=5)
                return True
            url = f"http://127.0.0.1:{self.http_port}/v1/metrics"
            answer = client.post(url, content=body, headers={"content-type": "application/x-protobuf"})
            assert answer.status_code in (200, 503), answer.content
            return answer.status_code == 200
        return False


def start_receiver(path: Path, ports: list[int]) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(RECEIVER), str(path), *map(str, ports)]
    receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
    assert receiver.stdout is not None and receiver.stdout.readline() == "ready\n"
    return receiver


def kill(receiver: subprocess.Popen[str]) -> None:
    receiver.kill()
    receiver.wait()
    assert receiver.stdout is not None
    receiver.stdout.close()


def free_ports(many: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(many)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def expected(senders: list[Sender]) -> dict[int, float]:
    """Series key -> what the ledgers say was sent, read in this process from the bodies themselves."""
    session = Session(load_preset("opentelemetry-network"))
    sums: Counter[int] = Counter()
    for sender in senders:
        for body in sender.acknowledged:
            batch = session.decode("otlp_proto", body)
            for ref, value in zip(batch.ref.tolist(), batch.value.tolist(), strict=True):
                sums[batch.series[ref].key] += 0 if np.isnan(value) else value
    return dict(sums)


def test_kill_9_under_load_loses_nothing_acknowledged_and_repeats_nothing(tmp_path):
    path, ports = tmp_path / "e.duckdb", free_ports(2)
    start_ns = (time.time_ns() // SECOND_NS - 3600) * SECOND_NS
    kinds = {"a": "delta", "b": "delta", "c": "cumulative"}
    senders = [Sender(name, kind, *ports, start_ns) for name, kind in kinds.items()]
    rng = random.Random(1)
    receiver = start_receiver(path, ports)
    try:
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            have = [len(sender.acknowledged) for sender in senders]
            end = time.monotonic() + 30
            while any(len(one.acknowledged) < had + 3 for one, had in zip(senders, have, strict=True)):
                assert time.monotonic() < end
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.05))  # where in a commit it strikes is what is being tried
            kill(receiver)
            receiver = start_receiver(path, ports)
    finally:
        # The last receiver lives until all senders are done.
        for sender in senders:
            sender.is_over.set()
        for sender in senders:
            sender.join(30)
        kill(receiver)

    with Store.open(path, is_new_allowed=False) as store:
        totals = store.totals()
        ledger = expected(senders)
        assert {key: value for key, value in totals.items() if key in ledger} == ledger
        assert len(totals) == len(ledger) == 3 * SERIES
        store.roll_up()
        assert check(store) == []
    assert sum(sender.attempts for sender in senders) > sum(len(sender.acknowledged) for sender in senders)
