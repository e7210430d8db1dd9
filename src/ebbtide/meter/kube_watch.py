"""What the cluster looks like now: each kind of object listed once, then watched, in a thread of its own.

Out: an index that is built again when something has changed. A failure keeps what is known, waits longer each time and
shows in `failures` and `age_s`: names get stale, counting goes on. A watch that ends goes on from where it was; one
that cannot starts with a list.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ebbtide.errors import ServiceError
from ebbtide.meter.kube_api import Gone, KubeClient, KubeSettings, version_of
from ebbtide.meter.kubernetes import ClusterIndex, Json, job_owners_of, slim

#: Between two watches of a server that ends them at once, and between two builds of the index.
_BETWEEN_S = 1.0
_NEVER = float("-inf")


@dataclass(slots=True)
class Mirror:
    """The objects of one list of the server, by uid. One thread calls `step`; any may read.

    `changes` counts what happened to them; `heard_at` is when the server last told anything, -inf before it did.
    """

    client: KubeClient
    path: str
    query: dict[str, str] = field(default_factory=dict)
    first_wait_s: float = 5.0
    longest_wait_s: float = 600.0
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random
    changes: int = 0
    failures: int = 0
    last_error: str = ""
    heard_at: float = _NEVER
    _failed_in_row: int = 0
    _version: str = ""
    _objects: dict[str, Json] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def objects(self) -> list[Json]:
        """What is there now."""
        with self._lock:
            return list(self._objects.values())

    def step(self) -> float:
        """List, or follow one watch to its end; how many seconds to wait before the next step."""
        try:
            if self._version:
                self._follow()
            else:
                self._list()
        except Gone as error:
            self._version = ""
            return self._failed(error)
        except ServiceError as error:
            return self._failed(error)
        self._failed_in_row, self.last_error = 0, ""
        return _BETWEEN_S

    def _list(self) -> None:
        found: dict[str, Json] = {}
        version = ""
        for page in self.client.pages(self.path, **self.query):
            found.update({uid: slim_object(one) for one in page.items if (uid := uid_of(one))})
            version = page.version
        if not version:
            raise ServiceError(f"the list of {self.path} has no version to go on from")
        with self._lock:
            self._objects = found
        self.changes += 1
        self._version, self.heard_at = version, self.clock()

    def _follow(self) -> None:
        for kind, one in self.client.watch(self.path, self._version, **self.query):
            self._take(kind, one)
            self._version = version_of(one) or self._version
            self.heard_at = self.clock()
        self.heard_at = self.clock()  # also silence is an answer, when the server ends it in order

    def _take(self, kind: str, one: Json) -> None:
        uid = uid_of(one)
        if kind == "BOOKMARK" or not uid:
            return
        with self._lock:
            if kind == "DELETED":
                self._objects.pop(uid, None)
            else:
                self._objects[uid] = slim_object(one)
        self.changes += 1

    def _failed(self, error: ServiceError) -> float:
        self.failures += 1
        self._failed_in_row = min(self._failed_in_row + 1, 30)
        self.last_error = str(error)
        wait = min(self.longest_wait_s, self.first_wait_s * 2.0 ** (self._failed_in_row - 1))
        return wait * (0.5 + self.chance() / 2)


def uid_of(one: object) -> str:
    """The uid of an object, "" where it has none and cannot be followed."""
    meta = one.get("metadata") if isinstance(one, dict) else None
    uid = meta.get("uid") if isinstance(meta, dict) else None
    return uid if isinstance(uid, str) else ""


def slim_object(one: Json) -> Json:
    """`slim` of what is an object."""
    found = slim(one)
    return found if isinstance(found, dict) else {}


class ClusterWatch:
    """The cluster as one node knows it. `start` follows it in threads until `stop`; `index` is what names come from."""

    def __init__(
        self, settings: KubeSettings, *, client: KubeClient | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client or KubeClient(settings)
        self._clock = clock
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._built, self._built_at = -1, _NEVER
        self._index = ClusterIndex()

        def mirror(path: str, **query: str) -> Mirror:
            return Mirror(self._client, path, query, settings.first_wait_s, settings.longest_wait_s, clock)

        self.pods = mirror("/api/v1/pods", **settings.pod_scope)
        self.services = mirror("/api/v1/services")
        self.nodes = mirror("/api/v1/nodes")
        self.jobs = mirror("/apis/batch/v1/jobs")

    @property
    def mirrors(self) -> tuple[Mirror, ...]:
        """All lists; those that names need first, then jobs, which a role may leave out."""
        return self.pods, self.services, self.nodes, self.jobs

    @property
    def index(self) -> ClusterIndex:
        """What is known now, at most a second old. For one thread."""
        changes = sum(one.changes for one in self.mirrors)
        is_whole = self.jobs.heard_at > _NEVER or self.jobs.failures  # a Job's pod would change its name later
        if changes != self._built and is_whole and self._clock() - self._built_at >= _BETWEEN_S:
            index = ClusterIndex()
            index.add_pods(self.pods.objects(), job_owners_of(self.jobs.objects()))
            index.add_services(self.services.objects())
            index.add_nodes(self.nodes.objects())
            self._index, self._built, self._built_at = index, changes, self._clock()
        return self._index

    @property
    def age_s(self) -> float:
        """Seconds since the server last told of the list it has been silent about longest; infinite before it did."""
        return self._clock() - min(one.heard_at for one in self.mirrors[:3])

    @property
    def failures(self) -> int:
        """Requests that failed."""
        return sum(one.failures for one in self.mirrors)

    @property
    def last_error(self) -> str:
        """What is wrong now, "" where nothing is."""
        return next((one.last_error for one in self.mirrors if one.last_error), "")

    def start(self) -> None:
        """Follow each list from a thread."""
        for one in self.mirrors:
            name = f"meter-{one.path.rpartition('/')[2]}"
            thread = threading.Thread(target=self._run, args=(one,), name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End the requests there are and the threads."""
        self._stop.set()
        self._client.close()
        for thread in self._threads:
            thread.join(1.0)

    def _run(self, one: Mirror) -> None:
        while not self._stop.is_set():
            self._stop.wait(one.step())
