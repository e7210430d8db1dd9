"""The live demonstration: a meter and a service in one process, on loopback, over the traffic of this machine.

In: a directory and a port. Out: a running service that a running meter sends to. Everything goes the way it goes in an
installation: eBPF -> OTLP over HTTP -> receiver -> store -> detection -> finding. Only `DETECTION` is of the
demonstration: an installation of a minute has no days to compare with, so it learns from seconds, and says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from ebbtide.config import load_config
from ebbtide.errors import ServiceError
from ebbtide.finding.finding import Finding
from ebbtide.meter.assembly import open_meter
from ebbtide.meter.export import Target
from ebbtide.meter.meter import Meter
from ebbtide.meter.settings import MeterSettings
from ebbtide.receive.settings import Receivers
from ebbtide.registry import load_detectors
from ebbtide.service.front import Front, WebSettings
from ebbtide.service.process import Server, Service
from ebbtide.service.receiving import Receiving
from ebbtide.service.serving import servers_of
from ebbtide.telemetry import Log

DETECTION_ID = "demo_live_short_history"
CLUSTER = "this-machine"
#: The meter sends so often; a bucket of the detection is five of these.
INTERVAL_S = 2.0
#: So long the self-test is quiet: its burst then has two buckets of history, wherever on the grid it began.
QUIET_S = 22.0
#: The detection looks every 10 s, the data are 2 s late, the meter sends every 2 s; the rest is for a busy machine.
PATIENCE_S = 60.0

DETECTION = f"""\
id: {DETECTION_ID}
uuid: 8b1f3d0a-2f0c-4c0e-9a55-6d1b7f0e4a21
name: Demonstration, much more than in the seconds before
label: demo, short history
version: 1.0.0
date: 2026-11-24
author: Ebbtide
status: experimental
description: >-
  For `ebbtide demo --live` alone. Compares 10 seconds of a process with what it sent before, from two such buckets of
  history on. That is far too little to tell an attack from a download: the default detections learn from
  days. It shows the way from a packet to a finding.
metrics: [tcp.bytes, udp.bytes]
by: [cluster, namespace, workload, process]
every: 10s
window: 10s
bucket: 10s
baseline: {{length: 1h, gap: 10s, by: [cluster, namespace, workload, process], of: buckets}}
detector: sigma
options:
  k: 6
  statistic: sum
  udp_stdev: stdev
  one_point: silent
  more_than: 0
  min_points: 2
  floor_share: 1
  floor: {{tcp.bytes: 500000, udp.bytes: 500000}}
risk: {{impact: 20, confidence: 20}}
message: $process$ of $workload$ sent far more than in the seconds before ($metrics$)
"""

_SETTINGS = """\
store: {{path: "{store}"}}
lateness: 2s
silence: 1m
tick: 1s
detections: {{directories: ["{detections}"]}}
receivers: {{otlp_http: {{address: "127.0.0.1:0", preset: ebbtide-meter, cluster: {cluster}}}}}
web: {{address: "127.0.0.1:{port}"}}
log: {{level: warning}}
"""


@dataclass(frozen=True, slots=True)
class LiveDemo:
    """What runs: the service, the meter that sends to it, and where the pages are."""

    service: Service
    meter: Meter
    url: str

    def is_heard(self) -> bool:
        """Whether a sample of the meter is in the store."""
        with self.service.store.view() as view:
            return bool(view.identity.entities)

    def finding_of(self, process: str, detection_id: str = DETECTION_ID) -> Finding | None:
        """The newest finding about a process by one detection, if there is one."""
        with self.service.store.lock:
            episodes = self.service.store.findings.current(0, detection_id)
        found = [one.finding for one in episodes if one.finding.entity.process == process]
        return found[-1] if found else None

    def wait_for(
        self, process: str, patience_s: float, is_stopping: Callable[[], bool], detection_id: str = DETECTION_ID
    ) -> Finding | None:
        """The finding about a process, looked for twice a second; None where there is none in time."""
        until_s = time.monotonic() + patience_s
        while (
            (found := self.finding_of(process, detection_id)) is None
            and time.monotonic() < until_s
            and not is_stopping()
        ):
            time.sleep(0.5)
        return found


@contextmanager
def live_demo(directory: Path, port: int, log: TextIO) -> Iterator[LiveDemo]:
    """Service and meter until the block is left. `directory` holds the store and the detection.

    Raises ServiceError where neither eBPF nor sock_diag works, or a port is taken.
    """
    detections = directory / "detections"
    detections.mkdir(parents=True, exist_ok=True)
    (detections / f"{DETECTION_ID}.yaml").write_text(DETECTION, "utf-8")
    text = _SETTINGS.format(store=directory / "live.duckdb", detections=detections, cluster=CLUSTER, port=port)
    config = load_config(text, "demo --live", {}, str, {"receivers": Receivers, "web": WebSettings})
    opened: list[Server] = []

    def build(service: Service) -> Sequence[Server]:
        opened[:] = servers_of(service)
        return opened

    service = Service(config, detectors=load_detectors(), log=Log(log, "warning"), build=build)
    service.start()
    try:
        receiving, front = opened
        if not isinstance(receiving, Receiving) or not isinstance(front, Front):
            raise ServiceError("the service has other servers than receivers and pages")
        target = Target(f"http://127.0.0.1:{receiving.ports[0]}")
        with open_meter(MeterSettings(target, cluster=CLUSTER, interval_s=INTERVAL_S)) as meter:
            stop = threading.Event()
            thread = threading.Thread(target=meter.run, args=(stop,), name="ebbtide-meter", daemon=True)
            thread.start()
            try:
                yield LiveDemo(service, meter, f"http://127.0.0.1:{front.port}")
            finally:
                stop.set()
                thread.join()
    finally:
        service.stop()
