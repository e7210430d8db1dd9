"""Ticks of the upstream detection over a store, in a process of its own; prints time and memory as JSON.

python bench/tick.py STORE TIMES
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from ebbtide.detect.catalogue import load
from ebbtide.engine import Evaluation, evaluate
from ebbtide.registry import DETECTORS
from ebbtide.store.store import Store
from history import NOW_NS
from report import peak_mb

UPSTREAM = load(DETECTORS).get("kubernetes_anomalous_outbound_network_activity_from_process")


def rows_of(evaluation: Evaluation) -> list[tuple[str, str, str, int]]:
    """Who fired, and with how many hits."""
    rows = [one.upstream for one in evaluation.findings if one.upstream]
    return sorted((row.host, row.workload, row.process, row.count) for row in rows)


def main() -> None:
    """Tick several times; the first one reads everything from disk."""
    took = []
    with Store.open(Path(sys.argv[1]), is_new_allowed=False) as store:
        before_mb = peak_mb()
        for _ in range(int(sys.argv[2])):
            begin = time.perf_counter()
            done = evaluate(store, UPSTREAM, NOW_NS)
            took.append(time.perf_counter() - begin)
    print(
        json.dumps(
            {
                "first_s": took[0],
                "best_s": min(took),
                "before_mb": before_mb,
                "peak_mb": peak_mb(),
                "entities": done.entities,
                "scored": done.scored,
                "findings": len(done.findings),
            }
        )
    )


if __name__ == "__main__":
    main()
