"""Asks the API server: lists by page, and watches that tell what changes. Read only.

In: the path of a list. Out: objects as parsed JSON. What the server does not give raises ServiceError; a place in its
history that it no longer knows raises Gone, and means: list again.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ebbtide.errors import ServiceError
from ebbtide.meter.kubernetes import ClusterIndex, Json, job_owners_of

_SECRETS = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PAGE = 500
_PAGES = 400
_TIMEOUT_S = 10.0
_BODY_LIMIT = 256 << 20
#: An object is at most 1.5 MB in etcd; JSON of it may be somewhat more.
_EVENT_LIMIT = 8 << 20
#: The server ends a watch after this; it then sends a bookmark first, so nothing is listed again.
WATCH_S = 300


class Gone(ServiceError):
    """The server no longer knows the version a list or a watch was to go on from (HTTP 410)."""


@dataclass(frozen=True, slots=True)
class KubeSettings:
    """Where the API server is. `node` limits pods to one node's where `is_cluster_wide` is False.

    After a failure the next try waits `first_wait_s`, then twice as long each time, up to `longest_wait_s`.
    """

    url: str
    node: str = ""
    token_path: Path | None = None
    ca_path: Path | None = None
    is_cluster_wide: bool = True
    first_wait_s: float = 5.0
    longest_wait_s: float = 600.0

    @property
    def pod_scope(self) -> dict[str, str]:
        """The query that limits pods."""
        return {} if self.is_cluster_wide else {"fieldSelector": f"spec.nodeName={self.node}"}


def in_cluster(node: str = "") -> KubeSettings | None:
    """Settings of the pod this runs in, None outside Kubernetes."""
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        return None
    host = f"[{host}]" if ":" in host else host
    return KubeSettings(f"https://{host}:{port}", node, _SECRETS / "token", _SECRETS / "ca.crt")


@dataclass(frozen=True, slots=True)
class Listed:
    """The objects of one page, the server's version of the whole list, and what the next page is asked with."""

    items: list[Json]
    version: str
    following: str


class KubeClient:
    """Lists and watches. The token is read for each request: kubelets rotate it. Any thread may call."""

    def __init__(self, settings: KubeSettings) -> None:
        self._settings = settings
        self._parts = urllib.parse.urlsplit(settings.url)
        ca = settings.ca_path
        self._tls = ssl.create_default_context(cafile=str(ca)) if ca and ca.exists() else ssl.create_default_context()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_closed = False

    def items(self, path: str, **parameters: str) -> Iterator[Json]:
        """Every object of a list, page by page. Raises ServiceError where the server does not give it."""
        for page in self.pages(path, **parameters):
            yield from page.items

    def pages(self, path: str, **parameters: str) -> Iterator[Listed]:
        """A list by its pages. Raises as `items`, and Gone where a list took longer than the server remembers."""
        query = {"limit": str(_PAGE), **parameters}
        for _ in range(_PAGES):
            target = f"{path}?{urllib.parse.urlencode(query)}"
            with self._asked(target, _TIMEOUT_S) as response:
                page = self._parsed(response.read(_BODY_LIMIT), target)
            found, meta = page.get("items"), page.get("metadata")
            following = str(meta.get("continue") or "") if isinstance(meta, dict) else ""
            yield Listed(found if isinstance(found, list) else [], version_of(page), following)
            if not following:
                return
            query["continue"] = following
        raise ServiceError(f"GET {path} has more than {_PAGES * _PAGE:,} objects", where=self._settings.url)

    def watch(self, path: str, version: str, **parameters: str) -> Iterator[tuple[str, Json]]:
        """What happens after a version, as (type, object), until the server ends it or `close` is called.

        Raises Gone where the version is too old, ServiceError where the server breaks off or tells nonsense.
        """
        query = {
            "watch": "true",
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S),
            **parameters,
        }
        target = f"{path}?{urllib.parse.urlencode(query)}"
        with self._asked(target, WATCH_S + _TIMEOUT_S) as response:
            while line := response.readline(_EVENT_LIMIT):
                event = self._parsed(line, target)  # a line that was cut is no JSON
                kind, found = event.get("type"), event.get("object")
                if not isinstance(kind, str) or not isinstance(found, dict):
                    raise ServiceError(f"GET {target} told no event", where=self._settings.url)
                if kind == "ERROR":
                    error = Gone if found.get("code") == 410 else ServiceError
                    raise error(f"GET {target} ended: {str(found.get('message'))[:200]}", where=self._settings.url)
                yield kind, found

    def close(self) -> None:
        """End every request there is. None is made afterwards."""
        with self._lock:
            self._is_closed = True
            for sock in self._open:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    @contextmanager
    def _asked(self, target: str, timeout_s: float) -> Iterator[http.client.HTTPResponse]:
        """A good answer; what fails while it is read raises as what fails before."""
        connection, sock = self._connection(), None
        try:
            connection.connect()
            sock = connection.sock  # the connection forgets it once the headers are read
            with self._lock:
                if self._is_closed:
                    raise ConnectionAbortedError("closed")
                self._open.add(sock)
            connection.request("GET", self._parts.path + target, headers=self._headers())
            sock.settimeout(timeout_s)
            with connection.getresponse() as response:
                if response.status != 200:
                    raise self._refused(target, response.status)
                yield response
        except (OSError, http.client.HTTPException) as error:
            text = f"GET {target} failed: {type(error).__name__}: {error}"
            hint = "is the API server reachable from the node's network?"
            raise ServiceError(text, hint=hint, where=self._settings.url) from error
        finally:
            with self._lock:
                self._open -= {sock}
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "localhost", self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json", "Connection": "close"}
        if self._settings.token_path is not None:
            headers["Authorization"] = f"Bearer {self._settings.token_path.read_text().strip()}"
        return headers

    def _refused(self, target: str, status: int) -> ServiceError:
        text = f"GET {target} answered {status}"
        if status == 410:
            return Gone(text, where=self._settings.url)
        hint = (
            "the service account needs get, list and watch of pods, services, nodes and jobs"
            if (status in (401, 403))
            else "is it an API server, and is it well?"
        )
        return ServiceError(text, hint=hint + " (deploy/meter/daemonset.yaml)", where=self._settings.url)

    def _parsed(self, data: bytes, target: str) -> Json:
        try:
            value = json.loads(data)
        except ValueError as error:
            raise ServiceError(f"GET {target} gave no JSON: {error}", where=self._settings.url) from error
        if not isinstance(value, dict):
            raise ServiceError(f"GET {target} gave no object", where=self._settings.url)
        return value


def version_of(found: Json) -> str:
    """The server's version of an object or a list, "" where it has none."""
    meta = found.get("metadata")
    return str(meta.get("resourceVersion") or "") if isinstance(meta, dict) else ""


def read_index(client: KubeClient, settings: KubeSettings) -> ClusterIndex:
    """Read everything once. Jobs that may not be read are told from their names; anything else missing raises."""
    index = ClusterIndex()
    try:
        owners = job_owners_of(client.items("/apis/batch/v1/jobs"))
    except ServiceError:
        owners = {}
    index.add_pods(client.items("/api/v1/pods", **settings.pod_scope), owners)
    index.add_services(client.items("/api/v1/services"))
    index.add_nodes(client.items("/api/v1/nodes"))
    return index
