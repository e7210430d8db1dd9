"""Reads the lists `kubernetes` indexes from the API server, in a thread of its own, with a cache and back-off.

Read only: get and list of pods, services, nodes and jobs. Lists are paged. A failure keeps the index there is, waits
longer each time and shows in `failures` and `age_s`: names get stale, counting goes on.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ebbtide.errors import ServiceError
from ebbtide.meter.kubernetes import ClusterIndex, Json, job_owners_of

_SECRETS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PAGE = 500
_PAGES = 400
_TIMEOUT_S = 10.0
_BODY_LIMIT = 256 << 20


@dataclass(frozen=True, slots=True)
class KubeSettings:
    """Where the API server is. `node` limits pods to one node's where `is_cluster_wide` is False.

    `refresh_s`: how often lists are read again (60 s: a new pod's address is unknown that long at most, unless an
    unknown container is seen, which asks again after `hurry_s`).
    """

    url: str
    node: str = ""
    token_path: Path | None = None
    ca_path: Path | None = None
    is_cluster_wide: bool = True
    refresh_s: float = 60.0
    hurry_s: float = 5.0
    longest_wait_s: float = 600.0


def in_cluster(node: str = "") -> KubeSettings | None:
    """Settings of the pod this runs in, None outside Kubernetes."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    host = f"[{host}]" if ":" in host else host
    return KubeSettings(f"https://{host}:{port}", node, _SECRETS / "token", _SECRETS / "ca.crt")


class KubeClient:
    """Lists objects. The token is read for each request: kubelets rotate it."""

    def __init__(self, settings: KubeSettings) -> None:
        self._settings = settings
        ca = settings.ca_path
        self._tls = ssl.create_default_context(cafile=str(ca)) if ca and ca.exists() else ssl.create_default_context()

    def items(self, path: str, **parameters: str) -> Iterator[Json]:
        """Every object of a list, page by page. Raises ServiceError where the server does not give it."""
        query = {"limit": str(_PAGE), **parameters}
        for _ in range(_PAGES):
            page = self._get(f"{path}?{urllib.parse.urlencode(query)}")
            found = page.get("items")
            yield from (found if isinstance(found, list) else [])
            meta = page.get("metadata")
            token = meta.get("continue") if isinstance(meta, dict) else None
            if not token:
                return
            query["continue"] = str(token)

    def _get(self, path: str) -> Json:
        try:
            headers = {"Accept": "application/json"}
            if self._settings.token_path is not None:
                headers["Authorization"] = f"Bearer {self._settings.token_path.read_text().strip()}"
            request = urllib.request.Request(self._settings.url + path, headers=headers)  # noqa: S310 - ours to choose
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S, context=self._context()) as response:  # noqa: S310
                page = json.loads(response.read(_BODY_LIMIT))
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            raise ServiceError(f"GET {path} failed: {error}", hint=_hint(error), where=self._settings.url) from error
        if not isinstance(page, dict):
            raise ServiceError(f"GET {path} gave no list", where=self._settings.url)
        return page

    def _context(self) -> ssl.SSLContext | None:
        return self._tls if self._settings.url.startswith("https:") else None


def _hint(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError) and error.code in (401, 403):
        return "the service account needs get and list of pods, services, nodes and jobs (deploy/meter/daemonset.yaml)"
    return "is the API server reachable from the node's network?"


def read_index(client: KubeClient, settings: KubeSettings) -> ClusterIndex:
    """Read everything once. Jobs that may not be read are told from their names; anything else missing raises."""
    index = ClusterIndex()
    try:
        owners = job_owners_of(client.items("/apis/batch/v1/jobs"))
    except ServiceError:
        owners = {}
    scope = {} if settings.is_cluster_wide else {"fieldSelector": f"spec.nodeName={settings.node}"}
    index.add_pods(client.items("/api/v1/pods", **scope), owners)
    index.add_services(client.items("/api/v1/services"))
    index.add_nodes(client.items("/api/v1/nodes"))
    return index


class ClusterCache:
    """The latest index. `refresh` does one step of the schedule; `start` runs it in a thread until `stop`."""

    def __init__(
        self, settings: KubeSettings, *, client: KubeClient | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._client = client or KubeClient(settings)
        self._clock = clock
        self._wake = threading.Event()
        self._is_stopped = False
        self._read_at = float("-inf")
        self._next_at = float("-inf")
        self.index = ClusterIndex()
        self.failures = 0
        self.failures_in_row = 0
        self.last_error = ""

    @property
    def age_s(self) -> float:
        """Seconds since the lists were read, infinite before the first time."""
        return self._clock() - self._read_at

    def refresh(self) -> float:
        """Read the lists if it is time; how many seconds until it is time again."""
        now = self._clock()
        if now >= self._next_at:
            try:
                self.index = read_index(self._client, self._settings)
                self._read_at, self.failures_in_row, self.last_error = now, 0, ""
                wait = self._settings.refresh_s
            except ServiceError as error:
                self.failures += 1
                self.failures_in_row += 1
                self.last_error = str(error)
                wait = min(self._settings.longest_wait_s, self._settings.hurry_s * 2**self.failures_in_row)
            self._next_at = now + wait
        return max(0.0, self._next_at - self._clock())

    def hurry(self) -> None:
        """Something is not in the index: read again soon, but never sooner than `hurry_s`, and not while it fails."""
        if not self.failures_in_row:
            self._next_at = min(self._next_at, self._read_at + self._settings.hurry_s)
            self._wake.set()

    def start(self) -> None:
        """Refresh from a thread."""
        threading.Thread(target=self._run, name="meter-kubernetes", daemon=True).start()

    def stop(self) -> None:
        """End the thread after the request it is in."""
        self._is_stopped = True
        self._wake.set()

    def _run(self) -> None:
        while not self._is_stopped:
            self._wake.wait(max(0.1, self.refresh()))
            self._wake.clear()
