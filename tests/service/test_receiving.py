import urllib.request

import pytest
from requests_of_decode import EDGE, Point, proto

from ebbtide.errors import ServiceError
from ebbtide.guard import Caps, Guard
from ebbtide.health import Severity
from ebbtide.receive.settings import Receivers
from ebbtide.service.receiving import Receiving
from ebbtide.store.store import Store

LOCAL = Receivers.model_validate({"otlp_http": {"address": "127.0.0.1:0"}})


def test_ports_open_and_close_and_what_is_counted_is_told():
    with Store.open() as store:
        receiving = Receiving(store, LOCAL, Guard(Caps()))
        receiving.start()
        assert receiving.ports[0] > 0
        figures = receiving.figures()
        receiving.stop()

    assert figures.received == {}
    assert figures.capacity["queue_bytes"] == 0
    assert receiving.ports == []


def test_who_may_send_where_is_told():
    token = {"name": "a", "sha256": "0" * 64}
    settings = {
        "otlp_http": [{"address": "127.0.0.1:0"}, {"address": "127.0.0.1:0", "tokens": [token], "cluster": "prod"}],
        "otlp_grpc": {"address": "127.0.0.1:0", "cluster": "old", "ingest_without_token": ["10.0.0.0/8", "fd00::/8"]},
    }
    with Store.open() as store:
        receiving = Receiving(store, Receivers.model_validate(settings), Guard(Caps()))
        before = receiving.figures().ports
        receiving.start()
        sensor, anybody, known = receiving.figures().ports
        ports = receiving.ports
        receiving.stop()

    assert [one.is_open for one in before] == [False] * 3
    assert (sensor.kind, sensor.address, sensor.is_open) == ("otlp_grpc", f"127.0.0.1:{ports[0]}", True)
    assert (sensor.senders, sensor.cluster) == ("anybody in 10.0.0.0/8, fd00::/8, without a token", "old")
    assert (anybody.senders, anybody.is_encrypted) == ("anybody who reaches it", False)
    assert (known.senders, known.cluster) == ("one with a token", "what the data say, else prod")


def test_a_port_that_is_taken_leaves_nothing_open():
    with Store.open() as store:
        first = Receiving(store, LOCAL, Guard(Caps()))
        first.start()
        taken = Receivers.model_validate({"otlp_http": {"address": f"127.0.0.1:{first.ports[0]}"}})
        with pytest.raises(ServiceError, match="cannot listen"):
            Receiving(store, taken, Guard(Caps())).start()
        first.stop()


def test_a_preset_that_takes_nothing_of_what_it_gets_is_a_problem():
    wrong = Receivers.model_validate({"otlp_http": {"address": "127.0.0.1:0", "preset": "coroot", "cluster": "shop"}})
    body = proto([Point(labels=EDGE | {"source.workload.name": f"w{at}"}) for at in range(60)])
    with Store.open() as store:
        receiving = Receiving(store, wrong, Guard(Caps()))
        receiving.start()
        problems = []
        for _ in range(2):
            url = f"http://127.0.0.1:{receiving.ports[0]}/v1/metrics"
            request = urllib.request.Request(url, body, {"Content-Type": "application/x-protobuf"})
            with urllib.request.urlopen(request, timeout=20) as answer:
                assert answer.status == 200
            problems.append(receiving.figures().problems)
        receiving.stop()

    assert problems[0] == ()
    [problem] = problems[1]
    assert problem.severity is Severity.WARNING
    assert problem.text == (
        "The preset coroot takes nothing of what comes for cluster shop: 120 points (120 other_metric)"
    )
    assert "preset" in problem.hint
