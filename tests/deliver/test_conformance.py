"""Every sink, present and future, keeps the promises of `deliver.sink`."""

import dataclasses
import json
import ssl
import time
from collections.abc import Callable

import pytest
import trustme
from delivery_samples import delivery, nasty
from fake_peers import Peer, peer
from finding_samples import NOON_NS

from ebbtide.deliver.memory import MemorySink
from ebbtide.deliver.sink import Permanent, Retryable, Sink
from ebbtide.deliver.sinks import SINKS, load_sinks
from ebbtide.finding.lifecycle import Change

# Apprise imports a module that Python 3.11 has marked as going away.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

TIMEOUT_S = 0.4
SECRETS = {"TOKEN": "very-secret-token", "APPRISE": ""}


@dataclasses.dataclass(frozen=True)
class Case:
    """How to point a sink at a peer, and what the peer must say for the sink to be content."""

    kind: str
    settings: str
    scheme: str = "http"
    good: bytes = b"{}"


CASES = [
    Case("webhook", "{type: webhook, url: '%s/hook', secret: '${env:TOKEN}', allow_private: true, timeout_s: 0.4}"),
    Case("alertmanager", "{type: alertmanager, url: '%s', timeout_s: 0.4}"),
    Case("splunk_hec", "{type: splunk_hec, url: '%s', token: '${env:TOKEN}', allow_plaintext: true, timeout_s: 0.4}",
         good=b'{"text":"Success","code":0}'),
    Case("otlp_logs", "{type: otlp_logs, url: '%s', timeout_s: 0.4}"),
    Case("syslog", "{type: syslog, host: 127.0.0.1, port: %s, protocol: tcp, timeout_s: 0.4}", scheme="syslog"),
    Case("apprise", "{type: apprise, url: '${env:APPRISE}'}", scheme="apprise"),
]  # fmt: skip
HTTP = [case for case in CASES if case.scheme == "http"]


@pytest.fixture(params=CASES, ids=lambda case: case.kind)
def case(request):
    if request.param.kind == "apprise":
        pytest.importorskip("apprise", reason="the optional package apprise is not installed")
    return request.param


def opened(case: Case, port: int, scheme: str = "http", tls: str = "") -> Sink:
    environ = dict(SECRETS)
    where = f"{scheme}://127.0.0.1:{port}"
    if case.scheme == "syslog":
        where = str(port)
    elif case.scheme == "apprise":
        environ["APPRISE"] = f"json://127.0.0.1:{port}/?cto={TIMEOUT_S}&rto={TIMEOUT_S}&token=very-secret-token"
    text = case.settings.replace("%s", where)
    if tls:
        text = text[:-1] + tls + "}"
    return load_sinks(f"sinks: {{s: {text}}}", "e.yaml", environ, str)["s"].open()


def run(case: Case, act: Callable[[Sink, Peer], None]) -> None:
    with peer(speaks="syslog" if case.scheme == "syslog" else "http") as server:
        server.reply = case.good
        sink = opened(case, server.port)
        act(sink, server)
        sink.close()


def test_each_kind_of_sink_is_held_to_the_contract():
    assert {case.kind for case in CASES} | {"lines"} == set(SINKS)


@pytest.mark.parametrize("change", Change)
def test_a_delivery_arrives_once_per_call(case, change):
    def act(sink, server):
        sink.send(delivery(change), NOON_NS)
        assert len(server.requests) == 1

    run(case, act)


def test_hostile_names_arrive_whole_and_harmless(case):
    def act(sink, server):
        sink.send(nasty(), NOON_NS)
        (_, headers, body) = server.requests[0]
        text = body.decode()  # UTF-8, and no raw control reaches the wire
        assert not [char for char in text if ord(char) < 32 and char not in "\n"] or case.scheme == "apprise"
        assert "\x1b" not in text
        assert "bcc" not in headers

    run(case, act)


@pytest.mark.parametrize("mode", [500, 503, 429, 401, 403, 404, 302, "hang", "cut", "drip", "garbage"])
def test_an_unwell_peer_is_retryable_and_never_holds_the_sink_beyond_its_time(case, mode):
    if case.scheme == "syslog" and mode not in ("hang", "cut", "drip"):
        pytest.skip("syslog has no answers")
    if case.scheme == "apprise" and mode in (302, "drip", "cut"):
        pytest.skip("Apprise's own client follows redirects and bounds each read, not the whole")

    def act(sink, server):
        server.mode, server.reply = mode, b""
        started = time.monotonic()
        with pytest.raises(Retryable) as caught:
            sink.send(delivery(), NOON_NS)
        assert time.monotonic() - started < TIMEOUT_S + 2
        assert "very-secret-token" not in str(caught.value) + caught.value.hint

    run(case, act)


def test_a_closed_port_is_retryable(case):
    with peer() as server:
        port = server.port
    sink = opened(case, port)
    with pytest.raises(Retryable):
        sink.send(delivery(), NOON_NS)


@pytest.mark.parametrize("case", HTTP, ids=lambda case: case.kind)
def test_a_body_that_the_peer_refuses_is_permanent(case):
    def act(sink, server):
        server.mode, server.reply = 400, b'{"code": 6}'
        with pytest.raises(Permanent):
            sink.send(delivery(), NOON_NS)

    run(case, act)


@pytest.mark.parametrize("case", HTTP, ids=lambda case: case.kind)
def test_what_the_peer_asks_for_is_handed_on(case):
    def act(sink, server):
        server.mode, server.headers = 503, {"Retry-After": "7"}
        with pytest.raises(Retryable) as caught:
            sink.send(delivery(), NOON_NS)
        assert caught.value.retry_after_s == 7

    run(case, act)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    authority = trustme.CA()
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return authority, path


def server_context(authority: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("case", CASES[:5], ids=lambda case: case.kind)
@pytest.mark.parametrize("fault", ["", "stranger", "other name"])
def test_tls_is_checked_against_the_authority_and_the_name(case, fault, authority):
    ours, path = authority
    theirs = trustme.CA() if fault == "stranger" else ours
    context = server_context(theirs, "other.example" if fault == "other name" else "127.0.0.1")
    is_syslog = case.scheme == "syslog"
    tls_case = dataclasses.replace(case, settings=case.settings.replace("protocol: tcp", "protocol: tls"))
    with peer(speaks="syslog" if is_syslog else "http", context=context) as server:
        server.reply = case.good
        sink = opened(tls_case, server.port, "https", f", tls: {{ca_file: '{path}'}}")
        if fault:
            with pytest.raises(Retryable, match="TLS"):
                sink.send(delivery(), NOON_NS)
            assert server.requests == []
        else:
            sink.send(delivery(), NOON_NS)
            assert len(server.requests) == 1


def test_the_sink_in_memory_remembers_in_order():
    sink = MemorySink()
    sink.send(delivery(), 1)
    sink.send(delivery(Change.CLOSED), 2)
    sink.close()
    assert [(one.change, at) for one, at in sink.received] == [("opened", 1), ("closed", 2)]
    assert sink.is_closed


@pytest.mark.parametrize("kind", ["webhook", "alertmanager", "splunk_hec", "otlp_logs"])
def test_bodies_are_json_that_reads_back(kind):
    case = next(one for one in CASES if one.kind == kind)

    def act(sink, server):
        sink.send(delivery(), NOON_NS)
        assert json.loads(server.requests[0][2])

    run(case, act)
