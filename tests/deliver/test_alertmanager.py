import json
import os
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest
from delivery_samples import delivery
from fake_peers import peer
from finding_samples import NOON_NS

from ebbtide.deliver.alertmanager import alert_of
from ebbtide.deliver.sample import sample
from ebbtide.deliver.sinks import load_sinks
from ebbtide.finding.lifecycle import CLOSE_AFTER_NS, Change
from ebbtide.finding.text import parse_rfc3339
from ebbtide.series import HOUR_NS

BINARY = shutil.which("prometheus-alertmanager")


def test_labels_are_the_same_throughout_an_episode():
    alerts = [alert_of(delivery(change), NOON_NS + HOUR_NS, {"team": "net"}, HOUR_NS) for change in Change]
    assert all(alert["labels"] == alerts[0]["labels"] for alert in alerts)
    assert alerts[0]["labels"]["team"] == "net"
    assert not set(alerts[0]["labels"]) & {"severity", "risk_score", "count"}


def test_a_firing_alert_ends_by_itself_after_its_episode_would():
    one = delivery()
    alert = alert_of(one, NOON_NS, {}, HOUR_NS)
    assert parse_rfc3339(alert["endsAt"]) == one.finding.end_ns + CLOSE_AFTER_NS + HOUR_NS
    late = alert_of(one, NOON_NS + 100 * HOUR_NS, {}, HOUR_NS)
    assert parse_rfc3339(late["endsAt"]) == NOON_NS + 101 * HOUR_NS


def test_a_resolved_alert_never_ends_in_the_future():
    one = delivery(Change.CLOSED)
    assert parse_rfc3339(alert_of(one, NOON_NS, {}, HOUR_NS)["endsAt"]) == NOON_NS
    after = alert_of(one, NOON_NS + 100 * HOUR_NS, {}, HOUR_NS)
    assert parse_rfc3339(after["endsAt"]) == one.closed_ns


@pytest.fixture
def alertmanager(tmp_path):
    """A real Alertmanager that notifies a peer of ours: (its URL, what the peer got)."""
    if BINARY is None:
        if os.environ.get("CI"):
            pytest.fail("prometheus-alertmanager is missing on CI")
        pytest.skip("prometheus-alertmanager is not installed")
    with peer() as hook:
        config = {
            "route": {"receiver": "us", "group_by": ["finding"], "group_wait": "1ms", "group_interval": "10ms"},
            "receivers": [{"name": "us", "webhook_configs": [{"url": f"http://127.0.0.1:{hook.port}/am"}]}],
        }
        (tmp_path / "am.yml").write_text(json.dumps(config))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        words = [f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}/data", "--cluster.listen-address="]
        words += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        running = subprocess.Popen([BINARY, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            until(lambda: is_up(f"http://127.0.0.1:{port}/-/ready"))
            yield f"http://127.0.0.1:{port}", hook
        finally:
            running.terminate()
            running.wait(10)


def is_up(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def until(holds) -> None:
    pause, deadline = threading.Event(), time.monotonic() + 15
    while not holds():
        assert time.monotonic() < deadline, "it did not happen within 15 s"
        pause.wait(0.05)


def told(hook) -> list[tuple[str, str]]:
    bodies = [json.loads(body) for _, _, body in hook.requests]
    return [(alert["status"], alert["labels"]["finding"]) for body in bodies for alert in body["alerts"]]


def test_a_real_alertmanager_fires_and_resolves(alertmanager):
    url, hook = alertmanager
    sink = load_sinks(f"sinks: {{am: {{type: alertmanager, url: '{url}'}}}}", "e", {}, str)["am"].open()
    opened = sample("am", time.time_ns())
    sink.send(opened, opened.at_ns)
    until(lambda: ("firing", opened.finding.uid) in told(hook))
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=5) as reply:
        [alert] = json.load(reply)
    assert alert["labels"]["workload"] == "sink-test"
    assert alert["annotations"]["summary"].startswith("TEST This is a test")

    closed = sample("am", opened.at_ns, Change.CLOSED)
    sink.send(closed, time.time_ns())
    until(lambda: ("resolved", opened.finding.uid) in told(hook))

    again = sample("am", opened.at_ns, Change.REOPENED)
    sink.send(again, time.time_ns())
    until(lambda: told(hook)[-1] == ("firing", opened.finding.uid))
