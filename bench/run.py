"""Every claim of speed, measured in one run on one machine.

    python bench/run.py [raw] [victoria] [scale] [import] [receive] [--quick] [--json out/bench.json] [--work DIR]

raw       a tick from summaries beside the same rule as one DuckDB query over 30 days of raw samples; bytes on disk
victoria  a tick beside the same rule in VictoriaMetrics, over the same points
scale     time and memory of a tick by number of entities
import    points per second from OTLP bodies to durable commits, and of the roll-up after it
receive   points per second that the listeners acknowledge, beside VictoriaMetrics over the same remote write requests

Ratios are of the best of several alternating runs after a warm-up. docs/benchmarks.md says what each number means.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import measure_import
import measure_raw
import measure_scale
import measure_victoria
import receive
from report import Row, machine, save, show

BENCHMARKS: dict[str, Callable[[Path, bool], list[Row]]] = {
    "raw": measure_raw.run,
    "victoria": measure_victoria.run,
    "scale": measure_scale.run,
    "import": measure_import.run,
    "receive": receive.run,
}


def main() -> None:
    """Run what was asked for; fails when a target is missed at full size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="small sizes, for which the targets do not hold")
    parser.add_argument("--json", type=Path, default=Path("out/bench.json"))
    parser.add_argument("--work", type=Path, help="where the stores are made; the fullest needs 5 GB")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {sorted(unknown)}; one of {', '.join(BENCHMARKS)}")
    facts = machine() | {"size": "quick" if arguments.quick else "full"}
    print("  ".join(f"{name} {value}" for name, value in facts.items()))
    found: dict[str, list[Row]] = {}
    for name in arguments.names or BENCHMARKS:
        begin = time.perf_counter()
        work = Path(tempfile.mkdtemp(prefix="ebbtide-bench-", dir=arguments.work))
        try:
            found[name] = BENCHMARKS[name](work, arguments.quick)
            if arguments.quick:
                found[name] = [replace(row, target="", is_met=None) for row in found[name]]
        finally:
            shutil.rmtree(work)
        show(f"{name} ({time.perf_counter() - begin:.0f} s)", found[name])
        save(arguments.json, found, facts)
    missed = [row.what for rows in found.values() for row in rows if row.is_met is False]
    if missed:
        raise SystemExit(f"\ntargets missed: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
