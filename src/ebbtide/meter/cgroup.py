"""From a cgroup's number to what runs in it: a container of a pod, a systemd unit, or nothing special.

In: the ids the kernel counted under, and paths from /proc. Out: a `Unit`. The path alone is enough for the pod's uid
and the container's id; their names come from `kubernetes`.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ebbtide.errors import ServiceError

#: A node's own root: inode 1 of kernfs. Inside a cgroup namespace the root shown is another cgroup.
ROOT_INODE = 1
_POD = re.compile(r"pod([0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12}|[0-9a-f]{32})")
_CONTAINER = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_UNIT = re.compile(r"([^/]+\.(?:service|socket|scope))(?:/|$)")
_WALK_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Unit:
    """What a cgroup path says: each part is "" where it says nothing."""

    pod_uid: str = ""
    container_id: str = ""
    unit: str = ""


def unit_of(path: str) -> Unit:
    """Read a cgroup path of systemd or cgroupfs drivers, of containerd, CRI-O, Docker, Podman.

    >>> unit_of("/system.slice/nginx.service").unit
    'nginx'
    >>> pod = "kubepods-burstable-pod0485c36b_283e_496e_af47_1a69545cd887.slice"
    >>> unit_of(f"/kubepods.slice/kubepods-burstable.slice/{pod}/cri-containerd-{'ab' * 32}.scope").pod_uid
    '0485c36b-283e-496e-af47-1a69545cd887'
    """
    pod = _POD.search(path)
    containers = _CONTAINER.findall(path)
    units = _UNIT.findall(path)
    return Unit(
        pod_uid=_uid(pod.group(1)) if pod else "",
        container_id=containers[0] if containers else "",
        unit=_unit_name(units[-1]) if units and not containers and not pod else "",
    )


def _uid(text: str) -> str:
    """A pod's uid with dashes. Static pods have a 32-digit hash without any; it stays as the API shows it."""
    return text.replace("_", "-")


def _unit_name(unit: str) -> str:
    """A unit without suffix and instance, so that `sshd@17-10.0.0.1.service` and `run-r3f.scope` do not multiply."""
    stem = unit.rsplit(".", 1)[0]
    if unit.endswith(".scope") and (stem.startswith("session-") or stem.startswith("run-")):
        return ""
    return stem.split("@", 1)[0].replace("\\x2d", "-")


class CgroupTable:
    """Paths by cgroup id, from a walk of the mount. Removed cgroups stay known until `limit` others were seen."""

    def __init__(self, mount: Path, *, limit: int = 16384, clock: Callable[[], float] = time.monotonic) -> None:
        self._mount = mount
        self._limit = limit
        self._clock = clock
        self._walked_at = float("-inf")
        self._paths: OrderedDict[int, str] = OrderedDict()

    def learn(self, cgroup: int, path: str) -> None:
        """Remember a path another source gave: a process of that cgroup was looked at."""
        if path and path != "/":
            self._keep(cgroup, path)

    def path(self, cgroup: int) -> str | None:
        """The path of a cgroup, None where it was removed before anybody looked. Walks at most once a second."""
        if cgroup == ROOT_INODE:
            return "/"
        if cgroup not in self._paths and self._clock() - self._walked_at >= _WALK_EVERY_S:
            self._walk()
        return self._paths.get(cgroup)

    def _walk(self) -> None:
        self._walked_at = self._clock()
        for folder, inner, _ in os.walk(self._mount):
            for name in inner:
                path = Path(folder) / name
                try:
                    self._keep(path.stat().st_ino, "/" + str(path.relative_to(self._mount)))
                except FileNotFoundError:
                    continue

    def _keep(self, cgroup: int, path: str) -> None:
        self._paths[cgroup] = path
        self._paths.move_to_end(cgroup)
        while len(self._paths) > self._limit:
            self._paths.popitem(last=False)


def find_mount(mountinfo: str) -> Path | None:
    """Where cgroup v2 is mounted, from the text of /proc/self/mountinfo; the first whose root is the hierarchy's.

    >>> find_mount("30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw")
    PosixPath('/sys/fs/cgroup')
    """
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if "-" in fields and fields[fields.index("-") + 1] == "cgroup2" and fields[3] == "/":
            return Path(fields[4])
    return None


def open_root(given: Path | None, private: Path = Path("/run/ebbtide/cgroup2")) -> Path:
    """A path at which the node's cgroup v2 root can be opened: given, found, or mounted for ourselves.

    Raises ServiceError where there is none, or where it is only this container's part of the tree.
    """
    root = given or find_mount(Path("/proc/self/mountinfo").read_text()) or _mounted(private)
    if not (root / "cgroup.procs").exists():
        raise ServiceError(f"{root} is not a cgroup v2 mount", hint="name the mount with --cgroup")
    if root.stat().st_ino != ROOT_INODE:
        raise ServiceError(
            f"{root} is not the root of the node's cgroups but part of it",
            hint="mount the node's /sys/fs/cgroup into the container and name it with --cgroup",
        )
    return root


def _mounted(target: Path) -> Path:
    """Mount cgroup v2 where only we look; systemd and others keep their v1 mounts."""
    libc = ctypes.CDLL(None, use_errno=True)
    target.mkdir(parents=True, exist_ok=True)
    if libc.mount(b"cgroup2", os.fsencode(target), b"cgroup2", 0, None) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise ServiceError(
            f"no cgroup v2 mount, and mounting one at {target} failed: {reason}",
            hint=f"as root: mkdir -p {target} && mount -t cgroup2 cgroup2 {target}",
        )
    return target
