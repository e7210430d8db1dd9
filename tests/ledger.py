"""Senders that keep a ledger as a real one keeps its queue, and `ebbtide serve` as the process they send to.

The next request only after "success", everything else is sent again: in the end the store's sums per series must equal
the ledgers' to the last byte.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
from requests_of_decode import EDGE, Point, proto

from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.receive.otlp_grpc import METHOD
from ebbtide.series import SECOND_NS

#: Of one sender.
SERIES = 20


class Sender(threading.Thread):
    """Sends one numbered body after the other until it is told to end, each until it is acknowledged.

    `refusals` counts answers that asked to come again; any other than those and success fails the test's ledger.
    """

    def __init__(self, name: str, kind: str, http_port: int, grpc_port: int, start_ns: int) -> None:
        super().__init__(name=name)
        self.kind, self.start_ns = kind, start_ns
        self.http_port, self.grpc_port = http_port, grpc_port
        self.is_over = threading.Event()
        self._has_given_up = False
        self.acknowledged: list[bytes] = []
        self.in_flight: list[bytes] = []
        self.attempts = 0
        self.refusals = 0
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
                self.in_flight = [body]
                number += 1
                end = time.monotonic() + 30  # one in flight is sent until it is acknowledged, also at the end
                while not self._send(client, channel, body):
                    if time.monotonic() > end or self._has_given_up:
                        return
                    time.sleep(0.01)
                self.acknowledged.append(body)
                self.in_flight = []

    def give_up(self) -> None:
        """Leave what is in flight unacknowledged: nobody answers any more."""
        self._has_given_up = True

    def _send(self, client: httpx.Client, channel: grpc.Channel, body: bytes) -> bool:
        self.attempts += 1
        with contextlib.suppress(httpx.TransportError, grpc.RpcError):
            if self._rng.random() < 0.3:
                channel.unary_unary(METHOD)(body, timeout=5)
                return True
            url = f"http://127.0.0.1:{self.http_port}/v1/metrics"
            answer = client.post(url, content=body, headers={"content-type": "application/x-protobuf"})
            assert answer.status_code in (200, 503), answer.content
            self.refusals += answer.status_code == 503
            return answer.status_code == 200
        return False


def free_ports(many: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(many)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def owed(senders: Iterable[Sender], *, is_flight_counted: bool = False) -> dict[int, float]:
    """Series key -> what the ledgers say was sent, read in this process from the bodies themselves.

    With `is_flight_counted` also what was sent last and never answered.
    """
    session = Session(load_preset("opentelemetry-network"))
    sums: Counter[int] = Counter()
    for sender in senders:
        for body in [*sender.acknowledged, *(sender.in_flight if is_flight_counted else ())]:
            batch = session.decode("otlp_proto", body)
            for ref, value in zip(batch.ref.tolist(), batch.value.tolist(), strict=True):
                sums[batch.series[ref].key] += 0 if np.isnan(value) else value
    return dict(sums)


def acknowledged(senders: Iterable[Sender]) -> int:
    """How many points all senders were told are stored."""
    return SERIES * sum(len(sender.acknowledged) for sender in senders)


def until(is_so: Callable[[], bool], longest_s: float = 60) -> None:
    """Wait for something that happens in its own time."""
    ends = time.monotonic() + longest_s
    while not is_so():
        assert time.monotonic() < ends
        threading.Event().wait(0.01)


class Served:
    """`ebbtide serve` over a file: OTLP over HTTP and gRPC, pages and API, all on loopback."""

    def __init__(self, directory: Path, more: str = "") -> None:
        self.store = directory / "s.duckdb"
        self.http_port, self.grpc_port, self.web_port = free_ports(3)
        self._settings = directory / "ebbtide.yaml"
        self._settings.write_text(
            f"store: {{path: {self.store}}}\ntick: 1s\nweb: {{address: '127.0.0.1:{self.web_port}'}}\n"
            f"receivers: {{otlp_http: {{address: '127.0.0.1:{self.http_port}'}}, "
            f"otlp_grpc: {{address: '127.0.0.1:{self.grpc_port}'}}}}\n{more}"
        )
        self._log = directory / "log"

    def start(self) -> None:
        """Start it and wait until it is ready."""
        command = [sys.executable, "-c", "from ebbtide.cli.app import main; main()", "serve", "--config"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, str(self._settings)],
                stderr=log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        until(lambda: self.asked("/readyz")[0] == 200)

    def asked(self, path: str) -> tuple[int, str]:
        """Status and body of a page; 0 where nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.web_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def problems(self) -> list[str]:
        """What the health page tells."""
        return [one["text"] for one in json.loads(self.asked("/api/v1/health")[1])["problems"]]

    def senders(self, kinds: dict[str, str]) -> list[Sender]:
        """Senders to it, by name and kind, started."""
        start_ns = (time.time_ns() // SECOND_NS - 3600) * SECOND_NS
        made = [Sender(name, kind, self.http_port, self.grpc_port, start_ns) for name, kind in kinds.items()]
        for one in made:
            one.start()
        return made

    def terminate(self, longest_s: float = 60) -> int:
        """Its exit code after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(longest_s)

    def kill(self) -> None:
        """kill -9."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def ended(senders: Iterable[Sender]) -> Iterator[None]:
    """Ends the senders after the block, whatever happens in it."""
    senders = list(senders)
    try:
        yield
    finally:
        for sender in senders:
            sender.is_over.set()
        for sender in senders:
            sender.join(40)
