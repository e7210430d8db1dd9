"""What the first page tells a sender, for each protocol: right address, scheme and credentials."""

import pytest
import yaml

from ebbtide.receive.settings import Receivers
from ebbtide.receive.snippet import sender_settings

TOKEN = {"name": "a", "sha256": "0" * 64}
TLS = {"certificate": "c.pem", "key": "k.pem"}


def told(**receivers):
    return sender_settings(Receivers.model_validate(receivers), "ebbtide.example")


@pytest.mark.parametrize(
    ("listener", "endpoint"),
    [
        ({"address": "127.0.0.1:4318"}, "http://127.0.0.1:4318"),
        ({"address": "0.0.0.0:4318", "tls": TLS, "tokens": [TOKEN]}, "https://ebbtide.example:4318"),
        ({"address": "[::]:4318"}, "http://ebbtide.example:4318"),
        ({"address": "[::1]:4318"}, "http://[::1]:4318"),
    ],
)
def test_otlp_over_http(listener, endpoint):
    exporter = yaml.safe_load(told(otlp_http=listener, otlp_grpc={"address": "127.0.0.1:4317"}))
    found = exporter["exporters"]["otlphttp/ebbtide"]
    assert found["endpoint"] == endpoint
    assert ("headers" in found) is ("tokens" in listener)
    assert exporter["service"]["pipelines"]["metrics/ebbtide"]["exporters"] == ["otlphttp/ebbtide"]


def test_otlp_over_grpc():
    found = yaml.safe_load(told(otlp_grpc={"address": "127.0.0.1:4317"}))["exporters"]["otlp/ebbtide"]
    assert found == {"endpoint": "127.0.0.1:4317", "tls": {"insecure": True}}
    found = yaml.safe_load(told(otlp_grpc={"address": "0.0.0.0:4317", "tls": TLS, "tokens": [TOKEN]}))
    assert found["exporters"]["otlp/ebbtide"] == {
        "endpoint": "ebbtide.example:4317",
        "headers": {"authorization": "Bearer ${env:EBBTIDE_TOKEN}"},
    }


def test_remote_write_and_hec_and_nothing():
    found = yaml.safe_load(told(remote_write={"address": "127.0.0.1:9201", "tokens": [TOKEN]}))
    assert found["remote_write"] == [
        {"url": "http://127.0.0.1:9201/api/v1/write", "bearer_token_file": "/etc/prometheus/ebbtide-token"}
    ]
    assert "http://127.0.0.1:8088/services/collector" in told(hec={"address": "127.0.0.1:8088"})
    assert told() == ""


def test_the_first_of_several_listeners_is_told():
    both = [{"address": "127.0.0.1:4318"}, {"address": "127.0.0.1:4319"}]
    assert "127.0.0.1:4318" in told(otlp_http=both)
