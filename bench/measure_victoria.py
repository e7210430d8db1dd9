"""A tick beside the same rule in VictoriaMetrics, loaded with the same points."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from ebbtide.engine import evaluate
from ebbtide.series import SECOND_NS
from ebbtide.store.segments import table_of
from ebbtide.store.store import Store
from history import History, write_samples
from report import Row, alternate, seconds
from tick import UPSTREAM, rows_of
from victoria import Victoria, version


def run(work: Path, is_quick: bool) -> list[Row]:
    """60 entities x 5 metrics x 30 days at 10 s, 78 M points; quick: 8 entities."""
    if (peer := version()) is None:
        return [Row("skipped: there is no victoria-metrics here", "")]
    history = History(8 if is_quick else 60)
    path = work / "victoria.duckdb"
    points = write_samples(path, history)
    query = (Path(__file__).parent / "rule.promql").read_text()
    # Windows of PromQL hold their end and not their start, ours the other way round: 1 ms makes them the same.
    at_s = history.now_ns / SECOND_NS - 0.001
    with Store.open(path) as store, Victoria(work) as victoria:
        begin = time.perf_counter()
        store.roll_up(history.now_ns)
        rolled_s = time.perf_counter() - begin
        loaded_s = victoria.load(lines(store))
        best = alternate(
            {
                "ours": lambda: evaluate(store, UPSTREAM, history.now_ns),
                "theirs": lambda: victoria.ask(query, at_s),
            },
            rounds=3 if is_quick else 4,
        )
        mine = rows_of(evaluate(store, UPSTREAM, history.now_ns))
        answer = victoria.ask(query, at_s)
        theirs = sorted((one["cluster"], one["workload"], one["process"], int(hits)) for one, hits in answer)
        if mine != theirs:
            raise SystemExit(f"the tick found {mine}, {peer} {theirs}")
        peak_mb = victoria.peak_mb
    ratio = best["theirs"] / best["ours"]
    return [
        Row(
            f"tick against {peer}, {points / 1e6:,.0f} M points, {len(mine)} equal rows",
            seconds(best["ours"]),
            seconds(best["theirs"]),
            ratio,
            "ahead",
            ratio > 1,
        ),
        Row("load: hours derived from samples / its import API", f"{rolled_s:.1f} s", f"{loaded_s:.1f} s"),
        Row("its peak memory", "", f"{peak_mb:,} MB"),
    ]


def lines(store: Store) -> Iterator[bytes]:
    """Every point of the store as lines of the import API, some series of one segment at a time."""
    for segment in store.segments:
        rows = store.ask(
            'SELECT string_agg(line, \'\n\') FROM (SELECT \'{"metric":{"__name__":"network","metric":"\' || name '
            '|| \'","cluster":"\' || cluster || \'","workload":"\' || workload || \'","process":"\' || process || '
            '\'"},"values":\' || list(value::BIGINT ORDER BY end_ns)::VARCHAR || \',"timestamps":\' || '
            "list(end_ns // 1000000 ORDER BY end_ns)::VARCHAR || '}' AS line "
            f"FROM {table_of(segment)} JOIN entities ON entity = sender JOIN metrics USING (metric) "
            "GROUP BY name, cluster, workload, process)"
        )
        yield str(rows[0][0]).encode()
