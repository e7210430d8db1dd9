"""Heartbeats: when one is due, what each sink makes of it, and that it goes the way findings go."""

import json
import random

import pytest
from delivery_samples import delivery, episode
from fake_peers import peer
from finding_samples import NOON_NS, sample

from ebbtide.deliver.alertmanager import alert_of
from ebbtide.deliver.heartbeat import heartbeat, queue_heartbeats
from ebbtide.deliver.memory import FaultySink, MemorySink
from ebbtide.deliver.message import queue, to_object
from ebbtide.deliver.otlp_logs import request_of
from ebbtide.deliver.pump import Lane, pump
from ebbtide.deliver.sink import Delivery, Retryable
from ebbtide.deliver.sinks import load_sinks
from ebbtide.errors import ConfigError
from ebbtide.finding.lifecycle import Change
from ebbtide.finding.text import parse_rfc3339
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS
from ebbtide.store.outbox import Beat
from ebbtide.store.store import Store


def sinks_of(text: str):
    return load_sinks(f"sinks: {text}", "e.yaml", {"TOKEN": "t"}, str)


SINKS = sinks_of("{a: {type: lines, path: x, heartbeat: 1h, changes: [closed]}, b: {type: lines, path: y}}")


def beat(every_ns: int = DAY_NS) -> Delivery:
    return Delivery("b/1", Change.OPENED, heartbeat("s", every_ns, NOON_NS), NOON_NS)


def test_one_is_due_each_interval_for_the_sinks_that_ask_for_it():
    with Store.open() as store:
        due = [queue_heartbeats(store.outbox, SINKS, at * MINUTE_NS) for at in (100, 101, 159, 160, 161, 30)]

        assert due == [["a"], [], [], ["a"], [], ["a"]]  # a clock that was set back too
        assert store.outbox.head("b", 9) == []


def test_only_the_newest_waits_and_not_before_what_waited():
    with Store.open() as store:
        queue_heartbeats(store.outbox, SINKS, HOUR_NS)
        queue(store.outbox, [(Change.CLOSED, episode())], SINKS, HOUR_NS)
        queue_heartbeats(store.outbox, SINKS, 2 * HOUR_NS)

        assert [(row.change, row.queued_ns) for row in store.outbox.head("a", 9)] == [
            ("closed", HOUR_NS), ("heartbeat", 2 * HOUR_NS),
        ]  # fmt: skip
        assert store.outbox.counts("a")["superseded"] == 1


def test_it_is_tried_again_until_it_is_accepted_and_that_is_kept(tmp_path):
    rng = random.Random(1).random
    with Store.open(tmp_path / "s.duckdb") as store:
        queue_heartbeats(store.outbox, SINKS, HOUR_NS)
        failing, good = FaultySink([Retryable("down")]), MemorySink()
        report = pump(store.outbox, {"a": Lane(failing)}, HOUR_NS, rng)["a"]
        assert (report.failed, store.outbox.heartbeat("a")) == (1, Beat(HOUR_NS, 0))

        pump(store.outbox, {"a": Lane(good)}, HOUR_NS + 20 * MINUTE_NS, rng)

    assert [one.word for one in good.deliveries] == ["heartbeat"]
    with Store.open(tmp_path / "s.duckdb") as store:
        assert store.outbox.heartbeat("a") == Beat(HOUR_NS, HOUR_NS + 20 * MINUTE_NS)
        assert (store.findings.all(), store.notices.all(), store.outbox.head("a", 9)) == ([], [], [])


def test_a_finding_that_arrives_is_no_heartbeat():
    with Store.open() as store:
        queue(store.outbox, [(Change.CLOSED, episode())], SINKS, HOUR_NS)
        pump(store.outbox, {"a": Lane(MemorySink())}, HOUR_NS, random.Random(1).random)

        assert store.outbox.heartbeat("a") == Beat()
    own = delivery(finding=sample(detection_id="heartbeat"))  # a user's own detection may be called so
    assert (own.is_heartbeat, own.word) == (False, "opened")


def test_an_alert_fires_until_the_next_is_due_and_keeps_its_labels():
    first, second = beat(5 * MINUTE_NS), Delivery(
        "b/2", Change.OPENED, heartbeat("s", 5 * MINUTE_NS, NOON_NS + 5 * MINUTE_NS), NOON_NS + 5 * MINUTE_NS
    )  # fmt: skip
    alerts = [alert_of(one, one.at_ns, {"team": "net"}, HOUR_NS) for one in (first, second)]

    named = {"alertname": "EbbtideHeartbeat", "detection": "heartbeat", "sink": "s", "team": "net"}
    assert [one["labels"] for one in alerts] == [named, named]
    assert parse_rfc3339(str(alerts[0]["endsAt"])) == NOON_NS + 5 * MINUTE_NS + HOUR_NS


def test_a_log_record_and_a_document_say_what_it_is():
    [scope] = request_of([beat()], NOON_NS)["resourceLogs"][0]["scopeLogs"]
    [record] = scope["logRecords"]
    assert (record["eventName"], record["severityNumber"]) == ("ebbtide.heartbeat", 9)
    found = to_object(beat())
    assert (found["change"], found["finding"]["detection"]["id"], found["finding"]["risk"]["score"]) == (
        "heartbeat", "heartbeat", 0,
    )  # fmt: skip


def test_splunk_gets_an_event_that_is_no_risk():
    with peer() as server:
        server.reply = b'{"code": 0}'
        url = f"http://127.0.0.1:{server.port}"
        made = sinks_of(f"{{s: {{type: splunk_hec, url: '{url}', token: '${{env:TOKEN}}', allow_plaintext: true}}}}")
        made["s"].open().send(beat(), NOON_NS)
        [(_, _, body)] = server.requests

    said = json.loads(body)
    assert (said["sourcetype"], said["index"]) == ("ebbtide:heartbeat", "risk")
    assert said["event"]["change"] == "heartbeat"
    assert not [name for name in said["event"] if "risk" in name or "annotation" in name]


def test_syslog_and_lines_say_it_where_their_readers_look(tmp_path):
    with peer(speaks="syslog") as server:
        text = f"{{s: {{type: syslog, host: 127.0.0.1, port: {server.port}, protocol: tcp}}}}"
        sinks_of(text)["s"].open().send(beat(), NOON_NS)
        [(_, _, message)] = server.requests
    assert b" ebbtide - heartbeat [" in message
    assert message.split(b">")[0].endswith(b"<110")  # audit, informational

    lines = sinks_of(f"{{s: {{type: lines, path: {tmp_path}/l, template: '$change$ $detection_id$'}}}}")["s"].open()
    lines.send(beat(), NOON_NS)
    assert (tmp_path / "l").read_text() == "heartbeat heartbeat\n"


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_a_chat_is_told_in_one_sentence():
    pytest.importorskip("apprise", reason="the optional package apprise is not installed")
    with peer() as server:
        url = f"json://127.0.0.1:{server.port}/"
        made = load_sinks("sinks: {s: {type: apprise, url: '${env:U}'}}", "e", {"U": url}, str)
        made["s"].open().send(beat(), NOON_NS)
        [(_, _, body)] = server.requests

    assert json.loads(body)["title"] == "Ebbtide heartbeat"
    assert json.loads(body)["message"].startswith("Ebbtide runs, and what it sends to s arrives")


@pytest.mark.parametrize("value", ["30s", "0s", "often", "-1h"])
def test_an_interval_that_cannot_be_is_refused_with_its_place(value):
    with pytest.raises(ConfigError) as told:
        sinks_of(f"{{a: {{type: lines, path: x, heartbeat: {value}}}}}")
    assert "heartbeat" in str(told.value)
