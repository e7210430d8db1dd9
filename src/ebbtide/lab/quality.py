"""Print the quality report: `python -m ebbtide.lab.quality [section ...] [--seed N] [--study] [--log FILE]`.

In: the reference traffic, where it lies. Out: Markdown tables of every figure in docs/quality.md, and with `--log` a
line with date, version and the main figures. Without the traffic it says so, measures what the shipped recording
allows, and ends with 0: a missing data set is not a failed build.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ebbtide import __version__
from ebbtide.detect.catalogue import load
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.errors import NoDataError
from ebbtide.lab.bench import OutboundBench
from ebbtide.lab.bitbrains import data_directory, read_bitbrains
from ebbtide.lab.evaluate import BUDGETS
from ebbtide.lab.excerpt import excerpt_table, measure_excerpt
from ebbtide.lab.nezha import measure_nezha, nezha_table, read_faults, read_pods
from ebbtide.lab.quality_checks import halves_table, seeds_table, shipped_table
from ebbtide.lab.quality_sections import (
    Measured,
    forest_table,
    further_table,
    main_table,
    measure,
    negatives_table,
    outcomes,
    peers_table,
    return_table,
    sliding_table,
    young_table,
)
from ebbtide.lab.report import pair
from ebbtide.lab.traffic import Traffic
from ebbtide.registry import DETECTORS

SECTIONS: dict[str, tuple[str, Callable[[Measured], str]]] = {
    "main": ("Recall at a budget", main_table),
    "seeds": ("Fresh draws", seeds_table),
    "halves": ("Halves of the entities", halves_table),
    "shipped": ("Before a fleet has learned", shipped_table),
    "further": ("Scenarios outside the mean", further_table),
    "sliding": ("A decision every 5 minutes", sliding_table),
    "negatives": ("Benign changes", negatives_table),
    "return": ("Return traffic", return_table),
    "young": ("Young entities", young_table),
    "peers": ("Peers", lambda measured: peers_table(measured.bench.traffic, measured.seed)),
}
#: Sections that run only where they are named: they take long.
LONG: dict[str, tuple[str, Callable[[Traffic, int], str]]] = {
    "forest": ("A random cut forest", forest_table),
}
#: Sections on other data: the shipped recording, which is always there, and an online shop's pods.
ALONE: dict[str, tuple[str, Callable[[OutboundOptions, int], str]]] = {
    "excerpt": ("The shipped recording", lambda options, seed: excerpt_table(measure_excerpt(options, seed))),
    "nezha": ("An online shop with faults", lambda *_: _nezha()),
}
TITLES = {name: title for name, (title, _) in (SECTIONS | ALONE | LONG).items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the sections asked for (all by default); the exit code is 0, or 2 for a wrong argument."""
    parser = argparse.ArgumentParser(prog="python -m ebbtide.lab.quality", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"any of {', '.join(TITLES)}; default: all but {', '.join(LONG)}"
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the injected events (default 1)")
    parser.add_argument("--study", action="store_true", help="the detector exactly as the design study describes it")
    parser.add_argument("--log", type=Path, help="append date, version and main figures to this file")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in chosen.sections if name not in TITLES]
    if unknown:
        parser.error(f"no such section: {', '.join(unknown)}")
    names = chosen.sections or [name for name in TITLES if name not in LONG]
    options = OutboundOptions(inbound_explains=not chosen.study)
    for name in [name for name in names if name in ALONE]:
        _run(name, lambda name=name: ALONE[name][1](options, chosen.seed), chosen.seed)  # type: ignore[misc]
    alone, names = ([name for name in names if name in some] for some in (LONG, SECTIONS))
    if not alone and not names and not chosen.log:
        return 0
    try:
        traffic = read_bitbrains(data_directory())
    except NoDataError as missing:
        _skip(missing)
        return 0
    for name in alone:
        _run(name, lambda name=name: LONG[name][1](traffic, chosen.seed), chosen.seed)  # type: ignore[misc]
    if not names and not chosen.log:
        return 0
    measured = measure(OutboundBench.run(traffic, options), chosen.seed)
    for name in names:
        _run(name, lambda name=name: SECTIONS[name][1](measured), chosen.seed)  # type: ignore[misc]
    if chosen.log:
        _append(chosen.log, measured)
    return 0


def _skip(missing: NoDataError) -> None:
    print(f"skipped: {missing} ({missing.hint})", file=sys.stderr)


def _nezha() -> str:
    directory = data_directory()
    detections = load(DETECTORS).detections.values()
    return nezha_table(measure_nezha(read_pods(directory), read_faults(directory), detections))


def _run(name: str, section: Callable[[], str], seed: int) -> None:
    started = time.perf_counter()
    try:
        text = section()
    except NoDataError as missing:
        _skip(missing)
        return
    print(f"## {TITLES[name]}\n\n{text}\n\n_{name}: {time.perf_counter() - started:.1f} s, seed {seed}_\n")


def _append(path: Path, measured: Measured) -> None:
    rows = outcomes(measured, measured.scaled)
    cells = " | ".join(pair(row.recall.mean, row.findings) for row in rows)
    if not path.exists():
        budgets = " | ".join(f"{int(budget)}" for budget in BUDGETS)
        path.write_text(f"| date | version | detector | seed | {budgets} |\n|---|---|---|--:|{'--:|' * len(BUDGETS)}\n")
    with path.open("a") as log:
        detector = "default" if measured.bench.options.inbound_explains else "study"
        log.write(f"| {datetime.now(UTC):%Y-%m-%d} | {__version__} | {detector} | {measured.seed} | {cells} |\n")


if __name__ == "__main__":
    sys.exit(main())
