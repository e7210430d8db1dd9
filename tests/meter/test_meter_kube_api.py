"""The API client against a server on loopback: pages, refusals, watches, tokens."""

from __future__ import annotations

import threading

import pytest
from kube_server import Api
from test_meter_kubernetes import pod

from ebbtide.errors import ServiceError
from ebbtide.meter.kube_api import Gone, KubeClient, KubeSettings, in_cluster, read_index


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


def test_outside_kubernetes_there_is_nothing_to_ask(monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    assert in_cluster() is None
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    assert in_cluster("n1").url == "https://[fd00::1]:443"


PODS = "/api/v1/pods"


def test_a_watch_tells_what_happens_until_the_server_ends_it(api):
    api.tell(PODS, "ADDED", pod(uid="u1"))
    api.tell(PODS, "BOOKMARK", {"kind": "Pod"})
    api.hang_up(PODS)
    told = list(KubeClient(KubeSettings(api.url)).watch(PODS, "7", fieldSelector="spec.nodeName=n1"))
    assert [kind for kind, _ in told] == ["ADDED", "BOOKMARK"]
    _, query, _ = api.seen[-1]
    assert (query["resourceVersion"], query["allowWatchBookmarks"]) == ("7", "true")
    assert query["fieldSelector"] == "spec.nodeName=n1"


def test_a_version_the_server_forgot_is_told_apart(api):
    api.tell(PODS, "ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})
    client = KubeClient(KubeSettings(api.url))
    with pytest.raises(Gone, match="too old"):
        list(client.watch(PODS, "7"))
    api.status = 410
    with pytest.raises(Gone):
        list(client.watch(PODS, "7"))


@pytest.mark.parametrize(
    "line", [b"not json\n", b"[]\n", b'{"type": 3, "object": {}}\n', b'{"type": "ADDED"}\n', b'{"ty']
)
def test_an_event_that_is_none_is_an_error(api, line):
    api.tell(PODS, "", line)
    api.hang_up(PODS)
    with pytest.raises(ServiceError) as caught:
        list(KubeClient(KubeSettings(api.url)).watch(PODS, "7"))
    assert not isinstance(caught.value, Gone)


def test_closing_ends_a_watch_that_says_nothing(api):
    client = KubeClient(KubeSettings(api.url))
    ended = []

    def follow():
        ended.append(list(client.watch(PODS, "7")))

    thread = threading.Thread(target=follow)
    thread.start()
    while not api.seen:
        thread.join(0.01)
    thread.join(0.1)
    client.close()
    thread.join(10)
    assert ended == [[]]
    with pytest.raises(ServiceError):
        list(client.items(PODS))
