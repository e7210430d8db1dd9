"""Names of destinations that last: what counts as the same place, whatever its address or pod is today.

A workload is a place, all its processes and pods together; outside it is the name, or the network of an address (/24,
/48), so that a balancer which answers from another address each minute is one place.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ebbtide.series import Endpoint, EndpointClass, Int64

_INSIDE = frozenset({EndpointClass.INTERNAL, EndpointClass.HOST})
#: The bit of a place's number that says it is inside the cluster.
INSIDE_BIT = 1


def place_name(endpoint: Endpoint) -> str:
    """The place of an endpoint in words; two endpoints with the same are the same destination.

    >>> place_name(Endpoint(workload="203.0.113.9", kind=EndpointClass.EXTERNAL))
    'external//203.0.113.0/24'
    """
    name = endpoint.workload or endpoint.process
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return f"{endpoint.kind.value}/{endpoint.cluster}/{endpoint.namespace}/{name}".replace("///", "//")
    bits = 24 if address.version == 4 else 48
    network = ipaddress.ip_network(f"{address}/{bits}" if "%" not in name else name.partition("%")[0], strict=False)
    return f"{endpoint.kind.value}//{network}"


def place_numbers(endpoints: Sequence[Endpoint]) -> Int64:
    """The number of each endpoint's place: a hash of its name, odd for places inside."""
    numbers = np.empty(len(endpoints), np.int64)
    for at, endpoint in enumerate(endpoints):
        digest = hashlib.blake2b(place_name(endpoint).encode(), digest_size=8).digest()
        number = int.from_bytes(digest, "big", signed=True)
        numbers[at] = (number & ~INSIDE_BIT) | (endpoint.kind in _INSIDE)
    return numbers


def is_inside(places: Int64) -> NDArray[np.bool_]:
    """Which of these places are inside the cluster."""
    inside: NDArray[np.bool_] = (places & INSIDE_BIT) == INSIDE_BIT
    return inside
