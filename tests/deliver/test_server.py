"""Addresses of servers that people name, and where a token may travel."""

import pytest

from ebbtide.deliver.server import server_of
from ebbtide.errors import UsageError

SAID = {"example": "http://here:1", "plaintext_hint": "use https://"}


@pytest.mark.parametrize("url", ["http://here:1", "https://here/base", "http://[::1]:9090"])
def test_an_address_has_its_parts(url):
    assert server_of(url, "", **SAID).geturl() == url


@pytest.mark.parametrize(
    "url", ["here:1", "ftp://x", "http://", "http://x:0", "http://x:99999", "http://x y", "http://\x7f", "http://ü"]
)
def test_what_is_none_is_refused_with_an_example(url):
    with pytest.raises(UsageError) as caught:
        server_of(url, "", **SAID)
    assert caught.value.hint == "write http://here:1"


@pytest.mark.parametrize("url", ["http://a:b@x", "http://x?a=1", "http://x#a"])
def test_it_holds_no_secret_and_no_query(url):
    with pytest.raises(UsageError):
        server_of(url, "", **SAID)


def test_a_token_travels_in_the_clear_to_this_machine_alone_or_where_it_is_allowed():
    with pytest.raises(UsageError, match="over http") as caught:
        server_of("http://far:1", "t", **SAID)
    assert caught.value.hint == "use https://"
    with pytest.raises(UsageError, match="characters"):
        server_of("https://far:1", "t\n", **SAID)
    for url in ("http://localhost:1", "http://[::1]:1", "https://far:1"):
        server_of(url, "t", **SAID)
    server_of("http://far:1", "t", **SAID, is_plaintext_allowed=True)
