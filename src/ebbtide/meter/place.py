"""Names for both ends of a row: the local process with its workload, and what the remote address stands for.

In: a flow key, and the tables of processes, cgroups, the cluster and DNS names. Out: two `Place`s, in the vocabulary of
`series.EndpointClass` and of opentelemetry-network's `resolution_type`. What cannot be named is said so and counted.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePath

from ebbtide.meter.cgroup import CgroupTable, Unit, unit_of
from ebbtide.meter.dns import NameCache
from ebbtide.meter.flow import PORT_CLASSES, FlowKey, Opener
from ebbtide.meter.kubernetes import ClusterIndex
from ebbtide.meter.process import Process, ProcessTable, clean_name
from ebbtide.series import EndpointClass

UNKNOWN = "(unknown)"
OTHER = "(other)"
#: Instance metadata services: AWS, Azure, GCP, OpenStack (IPv4), AWS (IPv6), Alibaba, Oracle uses the first too.
METADATA_ADDRESSES = frozenset({"169.254.169.254", "fd00:ec2::254", "100.100.100.200"})
_DNS_CLASS = PORT_CLASSES.index("dns")


@dataclass(frozen=True, slots=True)
class Place:
    """One end of an edge. Empty parts are not known or do not apply; `resolution` says how the name was found."""

    kind: EndpointClass
    resolution: str
    namespace: str = ""
    workload: str = UNKNOWN
    process: str = ""
    container: str = ""
    image: str = ""
    path: str = ""
    sha256: str = ""
    dns_name: str = ""
    ip: str = ""


def other(kind: EndpointClass) -> Place:
    """The place that stands for all destinations of a kind that were not worth a row of their own."""
    return Place(kind, "OTHER", workload=OTHER)


@dataclass(slots=True)
class Names:
    """Every table a name may come from. `index` is asked for each time: it is replaced as a whole.

    `unnamed` counts rows by what was missing: no_process, no_cgroup, no_pod.
    """

    host: str
    processes: ProcessTable
    cgroups: CgroupTable
    names: NameCache
    index: Callable[[], ClusterIndex] = ClusterIndex
    is_kubernetes: bool = False
    own_addresses: frozenset[str] = frozenset()
    unnamed: Counter[str] = field(default_factory=Counter)

    def local(self, key: FlowKey) -> Place:
        """The process on this node a row belongs to."""
        process = self.processes.find(key.tgid, key.name)
        if process.cgroup_path:
            self.cgroups.learn(key.cgroup, process.cgroup_path)
        path = self.cgroups.path(key.cgroup)
        if path in (None, "/") and process.cgroup_path:
            path = process.cgroup_path
        if not key.tgid:
            self.unnamed["no_process"] += 1
        if path is None:
            self.unnamed["no_cgroup"] += 1
        unit = unit_of(path or "/")
        if unit.pod_uid or (unit.container_id and self.is_kubernetes):
            return self._pod(unit, process)
        return self._on_host(unit, process, is_known=path is not None)

    def remote(self, key: FlowKey, now_s: float) -> Place:
        """What a remote address stands for."""
        address = key.address
        if not address:
            return other(EndpointClass.UNKNOWN)
        found = self._in_cluster(address) or self._special(address)
        name = self.names.name(key.cgroup, key.remote, now_s)
        if found is not None:
            return found if not name else _with_dns(found, name)
        is_name_server = key.opener is Opener.LOCAL and key.port_class == _DNS_CLASS
        kind = EndpointClass.DNS if is_name_server else self._outside(address)
        if name:
            return Place(kind, "DNS", workload=name, dns_name=name)
        return Place(kind, "IP", ip=address)

    def _pod(self, unit: Unit, process: Process) -> Place:
        index = self.index()
        workload = index.pods.get(unit.pod_uid)
        container = index.containers.get(unit.container_id, unit.container_id[:12])
        if workload is None:
            self.unnamed["no_pod"] += 1
            return _place(EndpointClass.INTERNAL, "K8S_CONTAINER", UNKNOWN, UNKNOWN, process, container)
        return _place(
            EndpointClass.INTERNAL,
            "K8S_CONTAINER",
            workload.namespace,
            workload.name,
            process,
            container,
            workload.image,
        )

    def _on_host(self, unit: Unit, process: Process, *, is_known: bool) -> Place:
        """A unit, else the executable; a container of no pod has its id beside it. The host is the namespace."""
        program = clean_name(PurePath(process.path).name.encode()) if process.path else process.name
        workload = unit.unit or program or UNKNOWN
        kind = EndpointClass.HOST if is_known or process.path else EndpointClass.UNKNOWN
        resolution = "CONTAINER" if unit.container_id else "PROCESS"
        return _place(kind, resolution, self.host, workload, process, unit.container_id[:12])

    def _in_cluster(self, address: str) -> Place | None:
        index = self.index()
        pod = index.pod_addresses.get(address)
        if pod is not None:
            return Place(EndpointClass.INTERNAL, "K8S_CONTAINER", pod.namespace, pod.name, image=pod.image)
        service = index.services.get(address)
        if service is not None:
            return Place(EndpointClass.INTERNAL, "K8S_SERVICE", service.namespace, service.name)
        node = index.nodes.get(address)
        return Place(EndpointClass.HOST, "NODE", node, node) if node is not None else None

    def _special(self, address: str) -> Place | None:
        if address in METADATA_ADDRESSES:
            return Place(EndpointClass.METADATA, "INSTANCE_METADATA", workload="instance metadata")
        if address in self.own_addresses or ipaddress.ip_address(address).is_loopback:
            return Place(EndpointClass.HOST, "LOCALHOST", self.host, "localhost")
        return None

    def _outside(self, address: str) -> EndpointClass:
        """A private address may be a pod no list has yet; a public one is outside for certain."""
        if self.is_kubernetes and ipaddress.ip_address(address).is_private:
            return EndpointClass.UNKNOWN
        return EndpointClass.EXTERNAL


def _place(
    kind: EndpointClass,
    resolution: str,
    namespace: str,
    workload: str,
    process: Process,
    container: str,
    image: str = "",
) -> Place:
    return Place(kind, resolution, namespace, workload, process.name, container, image, process.path, process.sha256)


def _with_dns(place: Place, name: str) -> Place:
    return Place(
        place.kind, place.resolution, place.namespace, place.workload, container=place.container, image=place.image,
        dns_name=name,
    )  # fmt: skip
