"""Names from Kubernetes objects: container -> pod -> workload, and address -> pod, Service or node.

In: objects as the API server gives them, already parsed from JSON. Out: an index that is replaced as a whole.
Objects are hostile: a field of the wrong type skips the object, and the index says how many it skipped.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ebbtide.meter.process import clean_name

Json = Mapping[str, object]
_CRON_SUFFIX = re.compile(r"-\d{8,10}$")  # the CronJob controller appends the scheduled minute
_IMAGE_LIMIT = 64
#: Every key that is looked at below, at whatever depth.
_READ = frozenset({
    "metadata", "uid", "namespace", "name", "ownerReferences", "controller", "kind", "labels", "pod-template-hash",
    "annotations", "kubernetes.io/config.hash", "spec", "containers", "image", "hostNetwork", "clusterIPs", "clusterIP",
    "status", "phase", "podIPs", "podIP", "ip", "containerStatuses", "initContainerStatuses",
    "ephemeralContainerStatuses", "containerID", "loadBalancer", "ingress", "addresses", "type", "address",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Workload:
    """What a pod belongs to, after ReplicaSet -> Deployment and Job -> CronJob."""

    namespace: str
    name: str
    kind: str
    pod: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service's virtual address."""

    namespace: str
    name: str


@dataclass(slots=True)
class ClusterIndex:
    """Everything names are looked up in. `skipped` are objects that could not be read."""

    pods: dict[str, Workload] = field(default_factory=dict)
    containers: dict[str, str] = field(default_factory=dict)
    pod_addresses: dict[str, Workload] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    skipped: int = 0

    def add_pods(self, items: Iterable[Json], job_owners: Mapping[tuple[str, str], str]) -> None:
        """Index pods by uid (or the hash static pods have instead), containers by id, addresses of the pod network.

        `job_owners` gives the CronJob of a (namespace, Job). Pods on the node's own network have no own address.
        """
        for item in items:
            try:
                self._add_pod(item, job_owners)
            except (KeyError, TypeError, AttributeError, ValueError):
                self.skipped += 1

    def add_services(self, items: Iterable[Json]) -> None:
        """Index Services by their cluster and load balancer addresses."""
        for item in items:
            try:
                meta, spec = _object(item, "metadata"), _object(item, "spec")
                service = Service(_text(meta, "namespace"), _text(meta, "name"))
                ingress = _list(_object(_object(item, "status"), "loadBalancer"), "ingress")
                addresses = [*_list(spec, "clusterIPs"), spec.get("clusterIP"), *(one.get("ip") for one in ingress)]
                self.services.update({str(ip): service for ip in addresses if ip and ip != "None"})
            except (KeyError, TypeError, AttributeError, ValueError):
                self.skipped += 1

    def add_nodes(self, items: Iterable[Json]) -> None:
        """Index nodes by every address they report."""
        for item in items:
            try:
                name = _text(_object(item, "metadata"), "name")
                for entry in _list(_object(item, "status"), "addresses"):
                    if entry["type"] in ("InternalIP", "ExternalIP"):
                        self.nodes[str(entry["address"])] = name
            except (KeyError, TypeError, AttributeError, ValueError):
                self.skipped += 1

    def _add_pod(self, item: Json, job_owners: Mapping[tuple[str, str], str]) -> None:
        meta, spec, status = _object(item, "metadata"), _object(item, "spec"), _object(item, "status")
        workload = workload_of(meta, spec, job_owners)
        self.pods[_text(meta, "uid")] = workload
        static_hash = _object(meta, "annotations").get("kubernetes.io/config.hash")
        if static_hash:
            self.pods[str(static_hash)] = workload
        for kind in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
            for container in _list(status, kind):
                _, _, container_id = str(container.get("containerID") or "").partition("://")
                if container_id:
                    self.containers[container_id] = clean_name(str(container["name"]).encode())
        if not spec.get("hostNetwork") and status.get("phase") not in ("Succeeded", "Failed"):
            addresses = [one.get("ip") for one in _list(status, "podIPs")] or [status.get("podIP")]
            self.pod_addresses.update({str(ip): workload for ip in addresses if ip})


def slim(value: object) -> object:
    """An object without what is never looked at: a pod of 10 KB becomes one of 1 KB, and is indexed alike."""
    if isinstance(value, dict):
        return {key: slim(part) for key, part in value.items() if key in _READ}
    return [slim(part) for part in value] if isinstance(value, list) else value


def workload_of(meta: Json, spec: Json, job_owners: Mapping[tuple[str, str], str]) -> Workload:
    """The workload of a pod.

    A ReplicaSet's name is its Deployment's and the pod's `pod-template-hash`. A Job's CronJob is taken from
    `job_owners`; where Jobs may not be read, from the Job's name. A pod without an owner is its own workload.
    """
    namespace, pod = _text(meta, "namespace"), _text(meta, "name")
    owners = _list(meta, "ownerReferences")
    owner = next((one for one in owners if one.get("controller")), owners[0] if owners else None)
    kind, name = ("Pod", pod) if owner is None else (_text(owner, "kind"), _text(owner, "name"))
    template = str(_object(meta, "labels").get("pod-template-hash") or "")
    if kind == "ReplicaSet" and template and name.endswith(f"-{template}"):
        kind, name = "Deployment", name.removesuffix(f"-{template}")
    elif kind == "Job" and (namespace, name) in job_owners:
        kind, name = "CronJob", job_owners[namespace, name]
    elif kind == "Job" and not job_owners and _CRON_SUFFIX.search(name):
        kind, name = "CronJob", _CRON_SUFFIX.sub("", name)
    elif kind == "Node":  # a static pod: its name ends in the node's
        kind, name = "Pod", pod.removesuffix(f"-{owner['name']}" if owner else "")
    return Workload(namespace, clean_name(name.encode(), 253), kind, pod, _images(spec))


def job_owners_of(items: Iterable[Json]) -> dict[tuple[str, str], str]:
    """(namespace, Job) -> CronJob, of a list of Jobs; one that cannot be read has none."""
    owners = {}
    for item in items:
        with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):
            meta = _object(item, "metadata")
            for owner in _list(meta, "ownerReferences"):
                if owner.get("kind") == "CronJob":
                    owners[_text(meta, "namespace"), _text(meta, "name")] = _text(owner, "name")
    return owners


def _images(spec: Json) -> str:
    """Images as the original writes them: last path part, sorted, quoted, joined, cut at 64 characters."""
    images = {str(one.get("image") or "").rsplit("/", 1)[-1].split("@")[0] for one in _list(spec, "containers")}
    return ",".join(f"'{image}'" for image in sorted(images - {""}))[:_IMAGE_LIMIT]


def _object(item: Json, name: str) -> Json:
    value = item.get(name)
    return value if isinstance(value, dict) else {}


def _list(item: Json, name: str) -> list[Json]:
    value = item.get(name)
    return value if isinstance(value, list) else []


def _text(item: Json, name: str) -> str:
    value = item[name]
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is not text")
    return value
