"""`ebbtide meter`: what this node's processes send, measured and sent as OTLP, until it is stopped."""

from __future__ import annotations

import logging
import os
import re
import socket
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ebbtide.errors import EbbtideError, UsageError
from ebbtide.meter.assembly import open_meter
from ebbtide.meter.check import run_checks
from ebbtide.meter.edge import EdgeLimits
from ebbtide.meter.export import Target
from ebbtide.meter.kube_api import in_cluster
from ebbtide.meter.settings import MeterSettings, SourceKind
from ebbtide.signals import STOP, on_signals

app = typer.Typer(add_completion=False, help=__doc__)
_log = logging.getLogger(__name__)
_MIB = 1 << 20


@app.command()
def meter(
    endpoint: Annotated[
        str, typer.Option(envvar="OTEL_EXPORTER_OTLP_ENDPOINT", help="http(s)://host:4318 or grpc(s)://host:4317")
    ] = "http://localhost:4318",
    cluster: Annotated[str, typer.Option(envvar="EBBTIDE_CLUSTER", help="sent as k8s.cluster.name")] = "",
    node: Annotated[str, typer.Option(envvar="EBBTIDE_NODE", help="this node's name; default: the host name")] = "",
    interval: Annotated[float, typer.Option(help="seconds between exports")] = 10.0,
    source: Annotated[SourceKind, typer.Option(help="where counts come from")] = SourceKind.AUTO,
    cgroup: Annotated[Path | None, typer.Option(help="the node's cgroup v2 mount")] = None,
    loopback: Annotated[bool, typer.Option(help="count traffic that stays on this node's loopback")] = False,
    hashes: Annotated[bool, typer.Option(help="hash executables on first sight")] = True,
    node_pods_only: Annotated[bool, typer.Option(help="list this node's pods only: less load, fewer names")] = False,
    top: Annotated[int, typer.Option(help="destinations of a process with rows of their own")] = 50,
    map_mib: Annotated[int, typer.Option(help="kernel memory for counters, MiB")] = 64,
    buffer_mib: Annotated[int, typer.Option(help="memory for bodies an absent receiver has not taken, MiB")] = 32,
    header: Annotated[list[str] | None, typer.Option(help="'Name: value'; ${env:NAME} reads the environment")] = None,
    ca: Annotated[Path | None, typer.Option(help="certificate authority of the receiver")] = None,
    check: Annotated[bool, typer.Option("--check", help="say what works on this node, and end")] = False,
) -> None:
    """Measure what every process of this node sends and receives, and send it as OTLP delta sums."""
    try:
        host = node or socket.gethostname()
        kubernetes = in_cluster(host)
        settings = MeterSettings(
            target=Target(endpoint, parse_headers(header or []), str(ca) if ca else None),
            cluster=cluster,
            host=host,
            interval_s=interval,
            source=source,
            cgroup=cgroup,
            is_loopback_counted=loopback,
            is_hashing=hashes,
            map_bytes=map_mib * _MIB,
            buffer_bytes=buffer_mib * _MIB,
            limits=EdgeLimits(per_process=max(1, top)),
            kubernetes=replace(kubernetes, is_cluster_wide=not node_pods_only) if kubernetes else None,
        )
        if check:
            raise typer.Exit(print_checks(settings))
        run(settings)
    except EbbtideError as error:
        typer.echo(f"error: {error}" + (f"\nhint: {error.hint}" if error.hint else ""), err=True)
        raise typer.Exit(error.exit_code) from error


_VARIABLE = re.compile(r"\$\{env:([^}]+)\}")


def parse_headers(lines: list[str]) -> tuple[tuple[str, str], ...]:
    """Headers from 'Name: value'. Raises UsageError for anything else, never with the value in it.

    >>> parse_headers(["X-Scope-OrgID: tide"])
    (('x-scope-orgid', 'tide'),)
    """
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        value = value.strip()
        if not colon or not name.strip() or "\n" in value or "\r" in value:
            raise UsageError("a header that is not 'Name: value'", hint="--header 'Authorization: ${env:TOKEN}'")
        missing = [variable for variable in _VARIABLE.findall(value) if variable not in os.environ]
        if missing:
            raise UsageError(f"the environment has no {missing[0]}", hint=f"header {name.strip()} asks for it")
        headers.append((name.strip().lower(), _VARIABLE.sub(lambda found: os.environ[found[1]], value)))
    return tuple(headers)


def print_checks(settings: MeterSettings) -> int:
    """Print what works; exit code 0 when eBPF does, 4 when something it needs is missing."""
    is_complete = True
    for check in run_checks(settings):
        mark = "ok" if check.is_ok else "MISSING" if check.is_needed else "limited"
        typer.echo(f"{mark:8} {check.name:20} {check.detail}")
        if check.hint and not check.is_ok:
            typer.echo(f"{'':8} {'':20} -> {check.hint}")
        is_complete = is_complete and (check.is_ok or not check.is_needed)
    typer.echo("eBPF: everything is there" if is_complete else "eBPF: not on this node; sock_diag counts TCP only")
    return 0 if is_complete else 4


def run(settings: MeterSettings) -> None:
    """Measure until SIGTERM or SIGINT; what was counted by then is sent."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    on_signals(STOP, stop.set)
    with open_meter(settings) as meter:
        if meter.why:
            _log.warning("meter_limited source=%s missing=%s why=%s", meter.kind, ",".join(meter.missing), meter.why)
        _log.info("meter_started source=%s endpoint=%s", meter.kind, settings.target.endpoint)
        meter.run(stop)
        counts = meter.exporter.counts
        _log.info("meter_stopped sent=%d dropped=%d", counts.sent, counts.dropped_full + counts.dropped_refused)


def main() -> None:
    """Run the command by itself: `python -m ebbtide.meter.command`."""
    app()


if __name__ == "__main__":
    main()
