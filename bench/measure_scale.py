"""Time and memory of a tick by number of entities."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from history import METRICS, History, write_summaries
from report import Row, seconds

MOST_S, MOST_MB = 5.0, 2000


def run(work: Path, is_quick: bool) -> list[Row]:
    """100, 1,000 and 10,000 entities x 5 metrics with 30 days of summaries; quick: up to 2,000."""
    sizes = (100, 1000, 2000) if is_quick else (100, 1000, 10_000)
    ticks = {size: tick(work, size) for size in sizes}
    rows = []
    for size, said in ticks.items():
        is_last = size == sizes[-1]
        rows.append(
            Row(
                f"tick, {size:,} entities, {said['findings']} findings",
                f"{seconds(said['best_s'])} (first {seconds(said['first_s'])})",
                target=f"{MOST_S:.0f} s" if is_last else "",
                is_met=said["first_s"] <= MOST_S if is_last else None,
            )
        )
        rows.append(
            Row(
                f"peak memory, {size:,} entities",
                f"{said['peak_mb']:,} MB",
                target=f"{MOST_MB:,} MB" if is_last else "",
                is_met=said["peak_mb"] <= MOST_MB if is_last else None,
            )
        )
    less, more = sizes[-2:]
    for what, key in (("time", "best_s"), ("memory", "peak_mb")):
        growth, most = ticks[more][key] / ticks[less][key], more / less
        rows.append(
            Row(
                f"growth of {what}, {less:,} to {more:,} entities",
                f"{growth:.1f} x",
                target=f"{most:.0f} x",
                is_met=growth <= most,
            )
        )
    return rows


def tick(work: Path, entities: int) -> dict[str, float]:
    """What a process that does nothing but tick says of itself."""
    path = work / "scale.duckdb"
    path.unlink(missing_ok=True)
    write_summaries(path, History(entities))
    command = [sys.executable, str(Path(__file__).parent / "tick.py"), str(path), "5"]
    said = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    if said["scored"] != entities * len(METRICS):
        raise SystemExit(f"only {said['scored']} of {entities * len(METRICS)} were scored")
    return dict(said)
