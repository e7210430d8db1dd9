"""`demo --live`: what this machine sends, on the pages within a minute, and a self-test that is found."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from ebbtide.cli import console
from ebbtide.demo_live import DETECTION_ID, PATIENCE_S, QUIET_S, LiveDemo, live_demo
from ebbtide.demo_selftest import self_test
from ebbtide.demo_traffic import BURST_BYTES
from ebbtide.errors import ServiceError
from ebbtide.finding.text import rfc3339
from ebbtide.meter.settings import SourceKind
from ebbtide.signals import STOP, on_signals


def show_live(out: Path, port: int) -> None:
    """Run until Ctrl-C or SIGTERM. Raises ServiceError where nothing can be measured, or the port is taken."""
    stop = threading.Event()
    on_signals(STOP, stop.set)
    with live_demo(out / "live", port, sys.stderr) as demo:
        console.say(f"Open {demo.url} in a browser: your own processes are there within a minute.")
        console.say("No token is needed: the pages and the receiver listen on 127.0.0.1 alone.")
        if demo.meter.kind is SourceKind.EBPF:
            console.say("Measured by eBPF, every 2 s, without traffic that stays on loopback.")
            _run_self_test(demo, stop)
        else:
            console.say(f"Measured by sock_diag, not eBPF: {demo.meter.why}")
            console.say(f"Missing then: {', '.join(demo.meter.missing)}. No self-test: sock_diag sees one namespace.")
        if not stop.is_set():
            console.say("Goes on measuring. Stop with Ctrl-C.")
            stop.wait()


def _run_self_test(demo: LiveDemo, stop: threading.Event) -> None:
    """Announce it, send the burst, say whether it was found; a machine that does not permit it is told and goes on."""
    console.say()
    console.say(
        "SELF-TEST, harmless: two network namespaces are made, and removed afterwards. One process sends 2 kB/s to"
    )
    console.say(
        f"the other for {QUIET_S:.0f} s, then {BURST_BYTES // 1_000_000} MB at once. Nothing leaves this machine."
    )
    try:
        with self_test() as sender:
            if stop.wait(QUIET_S):
                return
            sender.burst()
            console.say(f"The burst of {sender.name} to {sender.destination} is sent.")
            finding = demo.wait_for(sender.name, PATIENCE_S, stop.is_set)
    except ServiceError as error:
        console.say(f"No self-test: {error} ({error.hint}).")
        return
    if stop.is_set():
        return
    if finding is None:
        console.say(f"NOT FOUND within {PATIENCE_S:.0f} s. `ebbtide meter --check` says what works on this machine.")
    else:
        console.say(f"FOUND at {rfc3339(finding.at_ns)}: {finding.headline}")
        console.say(f"{demo.url}/findings/{finding.uid}")
    console.say(
        f"Looked at by `{DETECTION_ID}`, which learns from seconds and is part of this demonstration alone. The"
    )
    console.say("default detections run too, and learn: `outbound` has no verdict on a process in its first day,")
    console.say("`novelty` none on its destinations.")
    console.say()
