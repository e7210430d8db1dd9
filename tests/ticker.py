"""Feeds a store and ticks over it, hour by hour, and prints each hour that is done; killed from outside.

Usage: ticker.py FILE FIRST. FIRST is the first hour that was not done; what is fed twice is stored once.
"""

from __future__ import annotations

import sys
from pathlib import Path

from build import batch_of
from ebbtide.series import HOUR_NS, MINUTE_NS
from ebbtide.store.store import Store
from serviced import rounds_of
from test_engine import burst, quiet

HOURS = 24


def main(path: Path, first: int) -> None:
    points = sorted(
        quiet(until_s=HOURS * 3600) + burst(end_s=19 * 3600) + burst(end_s=23 * 3600), key=lambda one: one.end_s
    )
    with Store.open(path) as store:
        origin = store.begin("live", "ticker")
        rounds = rounds_of(store, first * HOUR_NS)
        for hour in range(first, HOURS):
            store.append(batch_of(one for one in points if hour <= one.end_s / 3600 < hour + 1), origin)
            while rounds.go((hour + 1) * HOUR_NS + 11 * MINUTE_NS).is_behind:
                pass
            print(hour, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
