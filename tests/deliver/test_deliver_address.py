import pytest

from ebbtide.deliver.address import dialled, verdict
from ebbtide.deliver.sink import Retryable

METADATA = ["169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200", "168.63.129.16",
            "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"]  # fmt: skip
NO_HOST = ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "not an address"]
PRIVATE = ["10.0.0.1", "172.16.0.1", "192.168.1.1", "127.0.0.1", "::1", "fd12::1", "100.64.0.1", "::ffff:127.0.0.1",
           "64:ff9b::a00:1", "2002:7f00:1::1"]  # fmt: skip
PUBLIC = ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]


@pytest.mark.parametrize("address", METADATA + NO_HOST)
def test_metadata_and_non_hosts_are_never_dialled(address):
    assert verdict(address, allow_private=True)
    assert verdict(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_need_leave(address):
    assert verdict(address, allow_private=False)
    assert verdict(address, allow_private=True) == ""


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_dialled(address):
    assert verdict(address, allow_private=False) == ""


def test_one_forbidden_address_refuses_the_whole_name():
    with pytest.raises(Retryable, match=r"10\.0\.0\.1"):
        dialled("x.example", 443, allow_private=False, resolve=lambda *_: ["93.184.216.34", "10.0.0.1"])


def test_a_name_is_resolved_once_and_the_judged_address_is_dialled():
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    assert dialled("x.example", 443, allow_private=False, resolve=lambda *_: next(answers)) == "93.184.216.34"
    assert list(answers) == [["127.0.0.1"]]


def test_a_name_without_an_address_is_retryable():
    def unknown(host, port):
        raise OSError("no such name")

    for resolve in (unknown, lambda *_: []):
        with pytest.raises(Retryable, match="cannot resolve"):
            dialled("x.example", 443, allow_private=False, resolve=resolve)
