"""Which addresses a sink may connect to: a name is resolved once, judged, and that very address is dialled.

Without it a webhook could be pointed at a cloud's metadata service or the node's own ports, by its URL or by a name
that resolves to something else the second time (OWASP, Server-Side Request Forgery Prevention).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import TypeAlias

from ebbtide.deliver.sink import Retryable

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
#: Host and port to addresses, as the system resolves them. Raises OSError.
Resolve: TypeAlias = Callable[[str, int], list[str]]

#: Metadata services outside of 169.254.0.0/16: AWS over IPv6, Azure's wire server, Alibaba, Oracle.
_METADATA = {ipaddress.ip_address(one) for one in ("fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192")}
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def system_resolve(host: str, port: int) -> list[str]:
    """Every address of a name, in the system's order of preference. Raises OSError where there is none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def verdict(address: str, *, allow_private: bool) -> str:
    """Why an address must not be dialled; "" where it may.

    Addresses that carry another one (mapped, 6to4, NAT64, Teredo) are judged by both.

    >>> verdict("169.254.169.254", allow_private=True), verdict("::ffff:10.0.0.1", allow_private=False)
    ('a link-local or metadata address', 'a private address')
    >>> verdict("93.184.216.34", allow_private=False)
    ''
    """
    try:
        outer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    carried = _carried(outer)
    # A mapped or translated address is a form of the one it carries: what holds for that one is all that counts.
    reasons = (_judge(one, allow_private) for one in (carried if _is_form(outer) else [outer, *carried]))
    return next((reason for reason in reasons if reason), "")


def _is_form(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and (address.ipv4_mapped is not None or address in _NAT64)


def _carried(address: Address) -> list[Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    inner: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [one for one in inner if one is not None]


def _judge(one: Address, allow_private: bool) -> str:
    if one.is_link_local or one in _METADATA:
        return "a link-local or metadata address"
    if one.is_multicast or one.is_unspecified or (one.version == 4 and one.is_reserved):
        return "no address of a host"
    is_private = one.is_private or (one.version == 4 and one in _SHARED)
    return "a private address" if is_private and not allow_private else ""


def dialled(host: str, port: int, *, allow_private: bool, resolve: Resolve = system_resolve) -> str:
    """The address to connect to. Raises Retryable where the name has none, or any of them is forbidden.

    One forbidden address refuses the whole name: which one is dialled must not be the name owner's choice.
    """
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise Retryable(f"cannot resolve {host}: {error}", hint="is the name right, and does DNS answer?") from None
    for address in addresses:
        why = verdict(address, allow_private=allow_private)
        if why:
            hint = "say `allow_private: true` if it is yours" if why == "a private address" else "use another address"
            raise Retryable(f"{host} is {address}, {why}: refused", hint=hint)
    if not addresses:
        raise Retryable(f"cannot resolve {host}: no address")
    return addresses[0]
