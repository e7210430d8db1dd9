"""What a benchmark found, as a table and as JSON, with the machine it was found on."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `ratio` is theirs / ours where there is a peer; `target` says what it is held to, "" for nothing."""

    what: str
    ours: str
    theirs: str = ""
    ratio: float | None = None
    target: str = ""
    is_met: bool | None = None


def show(title: str, rows: list[Row]) -> None:
    """Print a table."""
    print(f"\n{title}")
    cells = [("", "ours", "theirs", "ratio", "target", "")]
    for row in rows:
        met = "" if row.is_met is None else "met" if row.is_met else "NOT MET"
        ratio = "" if row.ratio is None else f"{row.ratio:,.1f} x"
        cells.append((row.what, row.ours, row.theirs, ratio, row.target, met))
    widths = [max(len(line[at]) for line in cells) for at in range(6)]
    for line in cells:
        print(
            "  " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip(), flush=True
        )


def machine() -> dict[str, object]:
    """Cores, memory, versions and the load of the moment."""
    return {
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "duckdb": duckdb.__version__,
        "numpy": importlib.metadata.version("numpy"),
        "pyarrow": importlib.metadata.version("pyarrow"),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def save(path: Path, found: dict[str, list[Row]], facts: dict[str, object]) -> None:
    """Keep everything as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {name: [asdict(row) for row in rows] for name, rows in found.items()}
    path.write_text(json.dumps({"machine": facts, "results": rows}, indent=1) + "\n")


def alternate(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The best time (s) of each, one after the other in every round, after one round to warm up."""
    best = dict.fromkeys(runs, float("inf"))
    for at in range(rounds + 1):
        for name, run in runs.items():
            begin = time.perf_counter()
            run()
            if at:
                best[name] = min(best[name], time.perf_counter() - begin)
    return best


def seconds(value: float) -> str:
    """A duration for people."""
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def peak_mb() -> int:
    """The most memory this process had since it began, in MB (`ru_maxrss` would count its parent's before the fork)."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1000
