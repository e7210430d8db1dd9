"""Who is let in, and which addresses may be opened."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from ebbtide.errors import ConfigError
from ebbtide.receive.refusal import Reason, Refusal
from ebbtide.receive.settings import Listener, Tls, Token
from ebbtide.receive.tokens import Gate, Sender, check_bind, digest_of, new_token

SECRET = "ebt_a-token-that-is-the-same-in-every-run-of-these-tests"
DIGEST = digest_of(SECRET)
TLS = Tls(certificate="c.pem", key="k.pem")


def listener(**settings: object) -> Listener:
    return Listener(address="127.0.0.1:0", **settings)


def refusal(gate: Gate, authorization: str | None, peer: str = "127.0.0.1", **options: str) -> Reason:
    with pytest.raises(Refusal) as caught:
        gate.admit(authorization, peer, **options)
    return caught.value.reason


def test_a_new_token_is_long_and_never_the_same():
    secret, digest = new_token()
    assert secret != SECRET and len(secret) > 40
    assert digest == digest_of(secret) and secret not in digest


def test_a_token_lets_its_sender_in():
    gate = Gate(
        listener(tokens=[Token(name="a", sha256=DIGEST), Token(name="b", sha256=digest_of("other"), cluster="c1")])
    )
    assert gate.admit(f"Bearer {SECRET}", "127.0.0.1") == Sender("a", None)
    assert gate.admit("bearer  other", "127.0.0.1") == Sender("b", "c1")
    assert gate.admit(f"Splunk {SECRET}", "127.0.0.1", scheme="Splunk").name == "a"


@pytest.mark.parametrize(
    ("authorization", "reason"),
    [
        (None, Reason.NO_TOKEN),
        ("", Reason.NO_TOKEN),
        ("Bearer", Reason.BAD_AUTHORIZATION),
        (f"Basic {SECRET}", Reason.BAD_AUTHORIZATION),
        (SECRET, Reason.BAD_AUTHORIZATION),
        ("Bearer guess", Reason.UNKNOWN_TOKEN),
        (f"Bearer {DIGEST}", Reason.UNKNOWN_TOKEN),
        ("Bearer \udcff\x00é", Reason.UNKNOWN_TOKEN),
    ],
)
def test_others_are_refused(authorization, reason):
    assert refusal(Gate(listener(tokens=[Token(name="a", sha256=DIGEST)])), authorization) is reason


def test_a_token_for_something_else_may_not_send():
    gate = Gate(listener(tokens=[Token(name="ui", sha256=DIGEST, scopes=["read"])]))
    assert refusal(gate, f"Bearer {SECRET}") is Reason.FORBIDDEN


def test_networks_without_tokens():
    gate = Gate(listener(ingest_without_token=["10.1.0.0/16", "fd00::/8"], cluster="edge"))
    for peer in ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1", "fd00::1%eth0"):
        assert gate.admit(None, peer) == Sender(peer, "edge")
    for peer in ("10.2.0.1", "::1", "", "not an address"):
        assert refusal(gate, None, peer) is Reason.FORBIDDEN


def test_without_tokens_a_listener_takes_all_and_pins_if_told():
    assert Gate(listener()).admit(None, "127.0.0.1").cluster is None
    assert Gate(listener(cluster="c9", is_cluster_pinned=True)).admit(None, "127.0.0.1").cluster == "c9"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "localhost:1"])
def test_loopback_needs_nothing(address):
    check_bind(Listener(address=address))


@pytest.mark.parametrize("address", ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "host.example.com:1"])
def test_other_addresses_need_tls_and_a_way_to_know_senders(address):
    token = Token(name="a", sha256=DIGEST)
    for settings in ({}, {"tls": TLS}, {"tokens": [token]}, {"ingest_without_token": ["10.0.0.0/8"], "cluster": "c"}):
        with pytest.raises(ConfigError) as caught:
            check_bind(Listener(address=address, **settings), where="otlp_http")
        assert address in str(caught.value) and "insecure: true" in caught.value.hint
        assert ("TLS" in str(caught.value)) == ("tls" not in settings)
    check_bind(Listener(address=address, tls=TLS, tokens=[token]))
    check_bind(Listener(address=address, tls=TLS.model_copy(update={"client_ca": "ca.pem"})))
    check_bind(Listener(address=address, tls=TLS, ingest_without_token=["10.0.0.0/8"], cluster="c"))
    check_bind(Listener(address=address, insecure=True))


def test_a_token_itself_is_not_taken_for_its_hash():
    with pytest.raises(ValidationError, match="not the token"):
        Token(name="a", sha256=SECRET)
