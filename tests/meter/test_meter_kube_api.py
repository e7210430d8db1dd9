"""The API client against a server on loopback: pages, refusals, back-off, tokens."""

from __future__ import annotations

import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from test_meter_kubernetes import pod

from ebbtide.errors import ServiceError
from ebbtide.meter.kube_api import ClusterCache, KubeClient, KubeSettings, in_cluster, read_index


class Api:
    """Serves lists two objects a page; `status` answers everything else than 200, `forbidden` one path 403."""

    def __init__(self):
        self.lists = {"/api/v1/pods": [], "/api/v1/services": [], "/api/v1/nodes": [], "/apis/batch/v1/jobs": []}
        self.status, self.forbidden, self.seen, self.body = 200, "", [], None
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                parts = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(parts.query))
                api.seen.append((parts.path, query, self.headers.get("Authorization")))
                start = int(query.get("continue", "0"))
                items = api.lists[parts.path][start : start + 2]
                more = {"continue": str(start + 2)} if start + 2 < len(api.lists[parts.path]) else {}
                data = api.body or json.dumps({"items": items, "metadata": more}).encode()
                self.send_response(403 if parts.path == api.forbidden else api.status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def api():
    served = Api()
    yield served
    served.close()


def test_every_page_is_read(api):
    api.lists["/api/v1/pods"] = [pod(uid=f"u{number}", ip=f"10.1.0.{number}") for number in range(5)]
    settings = KubeSettings(api.url)
    index = read_index(KubeClient(settings), settings)
    assert set(index.pods) == {f"u{number}" for number in range(5)}


def test_the_token_is_read_for_each_request(api, tmp_path):
    token = tmp_path / "token"
    token.write_text("one\n")
    client = KubeClient(KubeSettings(api.url, token_path=token))
    list(client.items("/api/v1/nodes"))
    token.write_text("two\n")
    list(client.items("/api/v1/nodes"))
    assert [one[2] for one in api.seen] == ["Bearer one", "Bearer two"]


def test_one_node_only_asks_for_its_pods(api):
    settings = KubeSettings(api.url, node="n1", is_cluster_wide=False)
    read_index(KubeClient(settings), settings)
    assert next(query for path, query, _ in api.seen if path == "/api/v1/pods")["fieldSelector"] == "spec.nodeName=n1"


def test_jobs_may_be_forbidden_pods_may_not(api):
    settings = KubeSettings(api.url)
    api.forbidden = "/apis/batch/v1/jobs"
    read_index(KubeClient(settings), settings)
    api.forbidden = "/api/v1/pods"
    with pytest.raises(ServiceError, match="403") as caught:
        read_index(KubeClient(settings), settings)
    assert "service account" in caught.value.hint


@pytest.mark.parametrize("body", [b"not json", b"[]", b"3"])
def test_an_answer_that_is_no_list_is_an_error(api, body):
    api.body = body
    with pytest.raises(ServiceError):
        list(KubeClient(KubeSettings(api.url)).items("/api/v1/nodes"))


def test_failures_keep_the_index_and_wait_longer(api):
    now = [0.0]
    api.lists["/api/v1/pods"] = [pod()]
    cache = ClusterCache(KubeSettings(api.url), clock=lambda: now[0])
    assert cache.refresh() == 60.0
    api.status = 500
    waits = []
    for _ in range(8):
        now[0] += 601.0
        waits.append(cache.refresh())
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0, 600.0]
    assert set(cache.index.pods) == {"u1"}
    assert (cache.failures, cache.age_s) == (8, 8 * 601.0)
    assert "500" in cache.last_error


def test_an_unknown_container_hurries_but_not_more_than_every_five_seconds(api):
    now = [0.0]
    cache = ClusterCache(KubeSettings(api.url), clock=lambda: now[0])
    cache.refresh()
    asked = len(api.seen)
    cache.hurry()
    assert cache.refresh() == 5.0
    assert len(api.seen) == asked
    now[0] = 5.0
    cache.refresh()
    assert len(api.seen) == 2 * asked


def test_outside_kubernetes_there_is_nothing_to_ask(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert in_cluster() is None
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert in_cluster("n1").url == "https://[fd00::1]:443"


def test_the_thread_ends(api):
    cache = ClusterCache(KubeSettings(api.url))
    cache.start()
    cache.stop()
