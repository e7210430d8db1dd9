"""What single sinks put on the wire, read back by what their peers would read it with."""

import hashlib
import hmac
import json
import re
import socket

import pytest
from delivery_samples import NASTY, delivery, nasty
from fake_peers import peer
from finding_samples import NOON_NS
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ebbtide.deliver import apprise
from ebbtide.deliver.http import _retry_after_s
from ebbtide.deliver.otlp_logs import request_of
from ebbtide.deliver.sample import sample
from ebbtide.deliver.sink import Permanent, Retryable
from ebbtide.deliver.sinks import load_sinks
from ebbtide.deliver.splunk_hec import risk_event
from ebbtide.deliver.syslog import message, whole_characters
from ebbtide.errors import ConfigError
from ebbtide.finding.form import to_object
from ebbtide.finding.lifecycle import Change

ENVIRON = {"TOKEN": "very-secret-token", "MAIL": "mailto://x"}


def sink_of(text: str):
    return load_sinks(f"sinks: {{s: {text}}}", "e.yaml", ENVIRON, str)["s"]


def test_a_webhooks_signature_is_over_timestamp_and_body():
    with peer() as server:
        hook = (
            f"{{type: webhook, url: 'http://127.0.0.1:{server.port}/h', allow_private: true, secret: '${{env:TOKEN}}'}}"
        )
        sink_of(hook).open().send(delivery(), NOON_NS)
        _, headers, body = server.requests[0]
    expected = hmac.new(b"very-secret-token", b"1704888000." + body, hashlib.sha256).hexdigest()
    assert headers["x-ebbtide-signature"] == f"sha256={expected}"
    assert headers["x-ebbtide-timestamp"] == "1704888000"
    assert headers["x-ebbtide-delivery"] == "u/1"
    told = json.loads(body)
    assert (told["change"], told["finding"]) == ("opened", json.loads(json.dumps(to_object(delivery().finding))))


def test_a_webhook_does_not_dial_private_addresses_unless_told():
    with peer() as server:
        with pytest.raises(Retryable, match="a private address: refused"):
            sink_of(f"{{type: webhook, url: 'http://localhost:{server.port}/'}}").open().send(delivery(), NOON_NS)
        assert server.requests == []


def test_a_webhook_does_not_follow_redirects():
    with peer() as server, peer() as other:
        server.mode, server.headers = 307, {"Location": f"http://127.0.0.1:{other.port}/"}
        text = f"{{type: webhook, url: 'http://127.0.0.1:{server.port}/', allow_private: true}}"
        with pytest.raises(Retryable, match="answered 307"):
            sink_of(text).open().send(delivery(), NOON_NS)
        assert other.requests == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("7", 7), ("999999", 3600), ("Wed, 10 Jan 2024 12:00:30 GMT", 30), ("Tue, 09 Jan 2024 12:00:00 GMT", 0)],
)
def test_retry_after_is_seconds_or_a_date(text, seconds):
    assert _retry_after_s(text, NOON_NS) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "\u0663"])
def test_retry_after_that_is_neither_is_none(text):
    assert _retry_after_s(text, NOON_NS) is None


def test_a_risk_event_has_the_fields_that_the_framework_reads():
    event = risk_event(delivery())
    finding = delivery().finding
    assert event["search_name"] == f"Ebbtide - {finding.detection_name} - Rule"
    assert (event["risk_object"], event["risk_object_type"]) == (finding.risk.object, finding.risk.object_type)
    assert event["risk_score"] == 25
    assert event["annotations.mitre_attack"] == [one.id for one in finding.annotations.mitre_attack]
    assert event["orig_sid"] == finding.uid
    assert event["threat_object"] == ["203.0.113.9"]


def test_risk_is_added_once_per_opening():
    scores = {change: risk_event(delivery(change))["risk_score"] for change in Change}
    assert scores == {"opened": 25, "reopened": 25, "updated": 0, "closed": 0}
    assert risk_event(sample("s", NOON_NS))["risk_score"] == 0


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [(503, 9, Retryable), (403, 4, Retryable), (400, 7, Retryable), (400, 6, Permanent), (200, None, Retryable)],
)
def test_the_collectors_codes_tell_event_from_settings(status, code, error):
    with peer() as server:
        server.mode, server.reply = status, json.dumps({"code": code}).encode()
        url = f"http://127.0.0.1:{server.port}"
        sink = sink_of(f"{{type: splunk_hec, url: '{url}', token: '${{env:TOKEN}}', allow_plaintext: true}}").open()
        with pytest.raises(error):
            sink.send(delivery(), NOON_NS)


@pytest.mark.parametrize("one", [delivery(), nasty()], ids=["plain", "nasty"])
def test_log_records_are_what_the_published_messages_say(one):
    request = json_format.Parse(json.dumps(request_of([one], NOON_NS + 1)), ExportLogsServiceRequest())
    [record] = request.resource_logs[0].scope_logs[0].log_records
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (NOON_NS, NOON_NS + 1)
    attributes = {one.key: one.value for one in record.attributes}
    assert attributes["ebbtide.risk_score"].double_value == 25.0
    assert len(attributes) == len(record.attributes)


def test_a_rejected_log_record_is_permanent():
    with peer() as server:
        server.reply = b'{"partialSuccess": {"rejectedLogRecords": "1"}}'
        with pytest.raises(Permanent):
            sink_of(f"{{type: otlp_logs, url: 'http://127.0.0.1:{server.port}'}}").open().send(delivery(), NOON_NS)


SYSLOG = re.compile(
    r"<(?P<pri>\d{1,3})>1 \S+ (?P<host>[!-~]{1,255}) ebbtide - (?P<msgid>[!-~]{1,32}) "
    r'\[ebbtide@32473(?: [a-z_]+="(?:[^"\\\]]|\\["\\\]])*")+\] (?P<text>[^\n\r\x00]*)'
)


@pytest.mark.parametrize("one", [delivery(), nasty()], ids=["plain", "nasty"])
def test_a_syslog_message_has_the_grammar_of_the_rfc(one):
    settings = sink_of("{type: syslog, host: x}")
    match = SYSLOG.fullmatch(message(one, settings, "host name\n").decode())
    assert match
    assert (match["pri"], match["host"], match["msgid"]) == (str(13 * 8 + 5), "host_name_", "opened")


def test_a_stream_counts_octets_not_characters():
    with peer(speaks="syslog") as server:
        text = f"{{type: syslog, host: 127.0.0.1, port: {server.port}, protocol: tcp}}"
        sink_of(text).open().send(nasty(), NOON_NS)
        frame = server.requests[0][2]
    count, _, body = frame.partition(b" ")
    assert int(count) == len(body) > len(body.decode())


def test_a_datagram_is_one_message_cut_between_characters():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(5)
        port = server.getsockname()[1]
        sink_of(f"{{type: syslog, host: 127.0.0.1, port: {port}, protocol: udp}}").open().send(nasty(), NOON_NS)
        body = server.recv(65536)
    assert len(body) <= 2048
    body.decode()
    assert whole_characters("aé".encode(), 2) == b"a"


def test_lines_are_whole_and_one_each(tmp_path):
    sink = sink_of(f"{{type: lines, path: '{tmp_path}/out.jsonl'}}").open()
    sink.send(delivery(), NOON_NS)
    (tmp_path / "out.jsonl").rename(tmp_path / "rotated.jsonl")
    sink.send(nasty(), NOON_NS)
    assert json.loads((tmp_path / "rotated.jsonl").read_text())["change"] == "opened"
    [line] = (tmp_path / "out.jsonl").read_text().splitlines()
    assert json.loads(line)["finding"]["entity"]["workload"] == NASTY
    assert (tmp_path / "out.jsonl").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("form", ["ebbtide", "ocsf"])
def test_lines_to_standard_output(form, capfdbinary):
    sink_of(f"{{type: lines, path: '-', form: {form}}}").open().send(delivery(), NOON_NS)
    assert json.loads(capfdbinary.readouterr().out)


def test_lines_of_a_template_are_cells(tmp_path):
    text = f"{{type: lines, path: '{tmp_path}/o.csv', template: '$opened$,$workload$', format: csv}}"
    sink_of(text).open().send(nasty(), NOON_NS)
    assert (tmp_path / "o.csv").read_text().splitlines()[0].split(",")[1].startswith("\"'=1+1")


def test_a_full_disk_is_retryable_and_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "out.jsonl"
    sink = sink_of(f"{{type: lines, path: '{path}'}}").open()
    sink.send(delivery(), NOON_NS)
    before = path.read_bytes()
    write = __import__("os").write
    monkeypatch.setattr("os.write", lambda handle, line: write(handle, line[:10]))
    with pytest.raises(Retryable, match="no space"):
        sink.send(delivery(), NOON_NS)
    assert path.read_bytes() == before


def test_without_apprise_the_line_that_installs_it_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
    with pytest.raises(ConfigError) as caught:
        sink_of("{type: apprise, url: '${env:MAIL}'}").open()
    assert caught.value.hint == apprise.INSTALL == "pip install 'ebbtide[apprise]'"


def test_a_title_is_one_line_so_that_no_header_can_be_added():
    class Service:
        def add(self, url):
            return True

        def notify(self, **words):
            self.words = words
            return True

    service = Service()
    package = type("package", (), {"Apprise": lambda: service})
    apprise.Apprise(sink_of("{type: apprise, url: '${env:MAIL}'}"), package).send(nasty(), NOON_NS)
    assert "Bcc" in service.words["title"]
    assert not set("\r\n") & set(service.words["title"])
