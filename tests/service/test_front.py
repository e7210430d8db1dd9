import socket
import urllib.request

import pytest
from pydantic import ValidationError

from ebbtide.deliver.secret import Filled
from ebbtide.errors import ConfigError, ServiceError
from ebbtide.receive.settings import Tls
from ebbtide.service.front import Front, WebSettings, check_open
from ebbtide.service.probes import Probes

APP = Probes(lambda: True, lambda: b"")


def test_it_answers_on_a_port_of_the_systems_choice_and_stops():
    front = Front(APP, WebSettings(address="127.0.0.1:0"), has_pages=False)
    front.start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{front.port}/healthz", timeout=10) as answer:
            assert answer.read() == b"alive\n"
    finally:
        front.stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{front.port}/healthz", timeout=10)


def test_a_port_that_is_taken_is_told():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = WebSettings(address=f"127.0.0.1:{other.getsockname()[1]}")
        with pytest.raises(ServiceError, match="cannot listen"):
            Front(APP, taken, has_pages=False).start()


def test_pages_that_others_can_reach_need_tokens_and_tls():
    with pytest.raises(ConfigError, match=r"lacks `web\.tokens` and TLS"):
        Front(APP, WebSettings(address="0.0.0.0:0"), has_pages=True).start()
    tokens = ({"name": "a", "token": Filled("abc")},)
    with pytest.raises(ConfigError, match=r"lacks TLS"):
        check_open(WebSettings(address="0.0.0.0:0", tokens=tokens))
    check_open(WebSettings(address="0.0.0.0:0", tokens=tokens, insecure=True))
    check_open(WebSettings(address="0.0.0.0:0", tokens=tokens, tls=Tls(certificate="c.pem", key="k.pem")))
    with pytest.raises(ConfigError, match=r"lacks `web\.tokens`"):
        check_open(WebSettings(address="0.0.0.0:0", insecure=True))


def test_what_a_setting_of_tokens_takes():
    with pytest.raises(ValidationError, match="does not stand in this file"):
        WebSettings(tokens=({"name": "a", "token": "abc"},))
    assert WebSettings(tokens=({"name": "a", "token": Filled("abc")},)).tokens[0].scope == "read"


@pytest.mark.parametrize(
    ("address", "is_loopback"), [("127.0.0.1:1", True), ("[::1]:1", True), ("localhost:1", True), ("10.0.0.1:1", False)]
)
def test_which_addresses_only_this_machine_reaches(address, is_loopback):
    assert WebSettings(address=address).is_loopback is is_loopback


@pytest.mark.parametrize(
    ("given", "link"),
    [
        ({"address": "0.0.0.0:8765", "insecure": True}, ""),  # nobody can open that
        ({"address": "[::]:8765", "insecure": True}, ""),
        (
            {"address": "0.0.0.0:8765", "insecure": True, "public_url": "https://e.example"},
            "https://e.example/findings/{uid}",
        ),
        ({}, "http://127.0.0.1:8765/findings/{uid}"),
        ({"public_url": "https://ebbtide.example.com/"}, "https://ebbtide.example.com/findings/{uid}"),
        ({"address": "127.0.0.1:0"}, ""),
    ],
)
def test_the_page_of_a_finding_is_where_people_reach_the_service(given, link):
    assert WebSettings.model_validate(given).finding_link == link
