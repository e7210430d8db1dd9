"""From what on an hour's traffic counts at all, by metric.

One floor for everything would hide DNS tunnels below what web traffic may waste. Floors are added before logarithms, so
traffic far below hardly moves a statistic and nothing is cut off. What is derived with floors rests on them: a store
keeps those it was derived with.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: In the metric's unit per hour. 10 MB of bytes was measured (docs/quality.md); 1 MB of UDP is an hour of a slow DNS
#: tunnel, a judgement.
FLOORS: Mapping[str, float] = MappingProxyType({"tcp.bytes": 10e6, "udp.bytes": 1e6, "net.bytes": 10e6})
