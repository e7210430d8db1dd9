"""Points per second from the bytes of OTLP requests to durable commits."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bodies import bodies, encode_points, write_bodies
from report import Row

TARGET = 150_000
ROUNDS = 4


def run(work: Path, is_quick: bool) -> list[Row]:
    """A million series in requests of 1,000 and 10,000 points, in both shapes of a request; quick: 100,000 series."""
    points = encode_points(100_000 if is_quick else 1_000_000)
    rows = []
    for is_single in (True, False):
        for size in (1000, 10_000):
            write_bodies(work / "bodies", bodies(points, size, is_single=is_single))
            shape = f"{size:,} points, {'1 per metric' if is_single else 'many per metric'}"
            rows += _rows(shape, _imported(work), len(points))
    return rows


def _imported(work: Path) -> dict[str, object]:
    store = work / "import.duckdb"
    store.unlink(missing_ok=True)
    command = [sys.executable, str(Path(__file__).parent / "import_speed.py"), str(work / "bodies"), str(store)]
    return dict(json.loads(subprocess.run([*command, str(ROUNDS)], stdout=subprocess.PIPE, check=True).stdout))


def _rows(shape: str, said: dict[str, object], series: int) -> list[Row]:
    rounds, roll_up_s = said["rounds"], float(said["roll_up_s"])
    if any(one["points"] != series for one in rounds):
        raise SystemExit(f"{shape}: not every point was stored: {rounds}")
    took = [one["decode_s"] + one["append_s"] for one in rounds]
    first, steady = series / took[0], series / min(took[1:])
    best = rounds[took.index(min(took[1:]))]
    return [
        Row(f"{shape}: series known", f"{steady:,.0f}/s", target=f"{TARGET:,}/s", is_met=steady >= TARGET),
        Row(f"{shape}: of that decode, append", f"{best['decode_s']:.2f} s, {best['append_s']:.2f} s"),
        Row(f"{shape}: first sight of every series", f"{first:,.0f}/s"),
        Row(f"{shape}: roll-up of {len(rounds)} rounds", f"{series * len(rounds) / roll_up_s:,.0f}/s"),
        Row(
            f"{shape}: known, with its share of the roll-up",
            f"{series / (min(took[1:]) + roll_up_s / len(rounds)):,.0f}/s",
        ),
        Row(
            f"{shape}: memory after the first round, at the end",
            f"{rounds[0]['peak_mb']:,.0f} MB, {said['peak_mb']:,} MB",
        ),
    ]
