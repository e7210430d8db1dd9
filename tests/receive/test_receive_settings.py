"""Settings: what is written is what is meant, and what is not known is refused."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from ebbtide.receive.settings import Limits, Listener, Receivers

WRITTEN = """
otlp_grpc: {address: "[::1]:4317"}
otlp_http:
  - address: 127.0.0.1:4318
    limits: {body: 32MiB, answer_time: 2s, idle_time: 1.5m, connections: 10}
    tokens: [{name: a, sha256: "%s", cluster: prod}]
  - {address: "127.0.0.1:4319", ingest_without_token: [10.0.0.0/8], cluster: edge}
intake: {waiting: 1GiB, late: 24h, ahead: 10m}
""" % ("aB" * 32)


def test_settings_as_an_operator_writes_them():
    receivers = Receivers.model_validate(yaml.safe_load(WRITTEN))
    kinds = [kind for kind, _ in receivers.listeners()]
    first, second, third = (listener for _, listener in receivers.listeners())
    assert kinds == ["otlp_grpc", "otlp_http", "otlp_http"]
    assert (first.host, first.port) == ("::1", 4317)
    assert second.limits.body == 32 * 1024**2 and second.limits.answer_time == 2 and second.limits.idle_time == 90
    assert second.tokens[0].sha256 == "ab" * 32
    assert third.is_pinned and not second.is_pinned
    assert receivers.intake.waiting == 1024**3 and receivers.intake.ahead == 600


def test_nothing_is_open_unless_it_is_asked_for():
    assert Receivers().listeners() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"adress": "127.0.0.1:1"},
        {"address": "4318"},
        {"address": "127.0.0.1"},
        {"address": "127.0.0.1:99999"},
        {"address": "::1:4318"},
        {"address": "127.0.0.1:1", "limits": {"body": "64 potatoes"}},
        {"address": "127.0.0.1:1", "limits": {"body_time": "-1s"}},
        {"address": "127.0.0.1:1", "limits": {"body_time": float("inf")}},
        {"address": "127.0.0.1:1", "limits": {"body": 0}},
        {"address": "127.0.0.1:1", "ingest_without_token": ["10.0.0.0/8"]},
        {"address": "127.0.0.1:1", "ingest_without_token": ["10.0.0.1/8"], "cluster": "c"},
        {"address": "127.0.0.1:1", "is_cluster_pinned": True, "cluster": ""},
        {"address": "127.0.0.1:1", "tokens": [{"name": "a", "sha256": "a" * 64}, {"name": "a", "sha256": "b" * 64}]},
        {
            "address": "127.0.0.1:1",
            "ingest_without_token": ["10.0.0.0/8"],
            "cluster": "c",
            "tokens": [{"name": "a", "sha256": "a" * 64}],
        },
    ],
)
def test_mistakes_are_refused(wrong):
    with pytest.raises(ValidationError):
        Listener.model_validate(wrong)


def test_an_answer_comes_before_senders_give_up():
    assert Limits().answer_time < 5
    assert Limits().body == 64 * 1024**2
