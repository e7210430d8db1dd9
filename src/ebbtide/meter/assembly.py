"""Puts a meter together from its settings, and decides where its counts come from.

eBPF if the kernel lets us, else sock_diag with the reason kept: a meter that quietly measured less would be worse than
none.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ebbtide.errors import ServiceError
from ebbtide.meter.cgroup import CgroupTable, open_root
from ebbtide.meter.dns import NameCache
from ebbtide.meter.export import Exporter, Sender, sender_for
from ebbtide.meter.fallback import MISSING, Fallback
from ebbtide.meter.inbox import Inbox
from ebbtide.meter.kube_watch import ClusterWatch
from ebbtide.meter.meter import Meter, Source
from ebbtide.meter.place import Names
from ebbtide.meter.probe import Probe, ProbeSettings
from ebbtide.meter.process import ProcessTable
from ebbtide.meter.settings import MeterSettings, SourceKind


@dataclass(frozen=True, slots=True)
class Choice:
    """The source taken, and why it is not eBPF ("" where it is)."""

    source: Source
    kind: SourceKind
    why: str = ""


def choose_source(settings: MeterSettings, inbox: Inbox) -> Choice:
    """Load the eBPF programs, or stand in for them where `auto` allows it. Raises ServiceError where nothing works."""
    why = ""
    if settings.source is not SourceKind.SOCK_DIAG:
        try:
            root = open_root(settings.cgroup)
            probe = Probe(ProbeSettings(root, settings.map_bytes, settings.is_loopback_counted), inbox.hear)
            return Choice(probe, SourceKind.EBPF)
        except ServiceError as error:
            if settings.source is SourceKind.EBPF:
                raise
            why = f"{error} ({error.hint})"
    fallback = Fallback(settings.proc, is_loopback_counted=settings.is_loopback_counted)
    return Choice(fallback, SourceKind.SOCK_DIAG, why or "asked for")


def own_addresses() -> frozenset[str]:
    """Addresses this node answers to, as far as its own name tells; loopback is known without."""
    with suppress(OSError):
        return frozenset(str(info[4][0]) for info in socket.getaddrinfo(socket.gethostname(), None))
    return frozenset()


@contextmanager
def open_meter(settings: MeterSettings, sender: Sender | None = None) -> Iterator[Meter]:
    """A meter with everything it needs, not yet counting. Leaving detaches the programs and lets go of the rest.

    `sender` stands in for the one the settings' target asks for. Raises ServiceError where neither eBPF nor sock_diag
    works, or where the one asked for does not.
    """
    sender = sender or sender_for(settings.target)
    cluster = ClusterWatch(settings.kubernetes) if settings.kubernetes else None
    processes, dns = ProcessTable(settings.proc, is_hashing=settings.is_hashing), NameCache()
    inbox = Inbox(processes, dns)
    names = Names(settings.host, processes, CgroupTable(_mount(settings)), dns, own_addresses=own_addresses())
    if cluster is not None:
        names.index, names.is_kubernetes = (lambda: cluster.index), True
    choice = choose_source(settings, inbox)
    exporter = Exporter(sender, limit_bytes=settings.buffer_bytes)
    missing = MISSING if choice.kind is SourceKind.SOCK_DIAG else ()
    try:
        if cluster is not None:
            cluster.start()
        yield Meter(settings, choice.source, names, exporter, inbox, choice.kind, missing, choice.why, cluster)
    finally:
        choice.source.close()
        sender.close()
        processes.close()
        if cluster is not None:
            cluster.stop()


def _mount(settings: MeterSettings) -> Path:
    """Where cgroup names are read: also without eBPF, and then a part of the tree is better than nothing."""
    with suppress(ServiceError):
        return open_root(settings.cgroup)
    return settings.cgroup or Path("/sys/fs/cgroup")
