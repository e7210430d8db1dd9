"""Time and memory of the default detection by number of entities: a day opened, a tick, and a day closed.

Times end in `_s`, those of the processor alone in `_cpu_s`. The closed days are made up in bulk, in the store's own
tables; the last hour's samples are real rows. Each entity sends to its usual destination every hour of 30 days, and on
one hour in 50 to another one.

python bench/learned.py STORE ENTITIES
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import duckdb

from ebbtide import joined, outbound
from ebbtide.detect.joined_detector import JoinedSettings
from ebbtide.detect.outbound_detector import OutboundSettings
from ebbtide.novelty import OPTIONS
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.learned_novelty import learn
from ebbtide.store.store import Store
from history import METRICS, NOW_NS, History, write_summaries
from report import peak_mb

LEARNED = [at for at, name in enumerate(METRICS) if name.endswith(".bytes")]

_PEAKS = """
    INSERT INTO peaks
    WITH made AS (
        SELECT e, m, hour, ln(1e7 + hash(e, m) % 100000 * 1e4 * (0.5 + (hash(e, m, hour) % 1024) / 1024.0)) AS volume
        FROM range({entities}) t(e), (SELECT unnest({metrics}) AS m), range({first}, {last}) u(hour)
    )
    SELECT e, m, hour, 0.1 + volume / 100, 0.1 + volume / 100, volume, volume + 1.7, volume + 3.1, volume - 1, 0.1
    FROM made ORDER BY hour, e
"""
_MAXIMA = """
    INSERT INTO day_maxima
    WITH made AS (
        SELECT e, m, day, 18 + (hash(e, m, day) % 1024) / 1024.0 AS x
        FROM range({entities}) t(e), (SELECT unnest({metrics}) AS m), range({first}, {last}) u(day)
    )
    SELECT e, m, day, [x - 18, x - 18, x, x + 1.7, x + 3.1, x - 18, x - 16.5]::FLOAT[7],
           [x - 18, x - 18, x, x + 1.7, x + 3.1, x - 18, x - 16.5]::FLOAT[7], 0.5
    FROM made ORDER BY day, e
"""
_EDGES = """
    INSERT INTO edges
    SELECT e, {entities} + CASE WHEN hash(e, hour) % 50 = 0 THEN hash(e, hour, 1) % 97 ELSE e % 97 END, hour,
           hash(e) % 100000 * 1e3, 1e6, 100, 100, hash(e, hour, 2) % 20
    FROM range({entities}) t(e), range({first}, {last}) u(hour) ORDER BY hour, e
"""


def write(path: Path, entities: int) -> None:
    """A store with 30 days of peaks and edges, 90 of maxima, and an hour of samples."""
    write_summaries(path, History(entities))
    with Store.open(path) as store:
        store.roll_up()
    hour, day = NOW_NS // HOUR_NS, NOW_NS // DAY_NS
    con = duckdb.connect(str(path))
    with con:
        for table in (
            "peaks",
            "day_maxima",
            "learned_days",
            "outbound_scores",
            "outbound_scales",
            "sent_mixes",
            "due_hours",
        ):
            con.execute(f"DELETE FROM {table}")
        made = {"entities": entities, "metrics": LEARNED}
        for start in range(hour - 30 * 24, hour, 120):
            con.execute(_PEAKS.format(first=start, last=min(start + 120, hour), **made))
        for start in range(hour - 30 * 24, hour - 1, 120):
            con.execute(_EDGES.format(entities=entities, first=start, last=min(start + 120, hour - 1)))
        con.execute(_MAXIMA.format(first=day - 90, last=day, **made))
        con.execute(
            f"INSERT INTO learned_days SELECT unnest(range({day - 90}, {day})), {entities * len(LEARNED)}, {entities}"
        )


def main() -> None:
    """Open a day, tick three times, close the day again."""
    path, entities = Path(sys.argv[1]), int(sys.argv[2])
    if not path.exists():
        write(path, entities)
    said: dict[str, float] = {"entities": entities}
    with Store.open(path) as store:
        before = peak_mb()
        for name in ("opened_s", "tick_s", "tick_again_s"):
            begin = time.perf_counter()
            judged = outbound.judge(store, NOW_NS, OutboundSettings())
            said[name] = time.perf_counter() - begin
        for name in ("joined_opened_s", "joined_tick_s", "joined_tick_again_s"):
            begin, cpu = time.perf_counter(), time.process_time()
            both = joined.judge(store, NOW_NS, JoinedSettings())
            said[name], said[f"{name[:-2]}_cpu_s"] = time.perf_counter() - begin, time.process_time() - cpu
        begin, cpu = time.perf_counter(), time.process_time()
        learn(store.novelty.known(NOW_NS, OPTIONS), store.identity.entities, OPTIONS)
        said["novelty_learned_s"], said["novelty_learned_cpu_s"] = (
            time.perf_counter() - begin,
            time.process_time() - cpu,
        )
        said["novelty_entities"] = float(len(both.novelty.entities))
        said["scored"] = float((judged.sent[:, 0] >= 0).sum())
        said["mb_of_judging"] = peak_mb() - before
        print(json.dumps(said), flush=True)
        day = NOW_NS // DAY_NS - 1
        begin = time.perf_counter()
        with store.transaction():
            store.outbound.learned.forget_from(day)
            store.outbound.learned.close(day)
        said["closed_s"] = time.perf_counter() - begin
        said["peak_mb"] = peak_mb()
    print(json.dumps(said))


if __name__ == "__main__":
    main()
