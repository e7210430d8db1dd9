"""A tick from summaries beside one query over the raw samples of the same file."""

from __future__ import annotations

import time
from pathlib import Path

from disk import disk
from ebbtide.engine import Evaluation, evaluate, judge
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.segments import table_of
from ebbtide.store.store import Store
from history import History, write_samples
from report import Row, alternate, seconds
from tick import UPSTREAM, rows_of

TARGET = 100
FORMS = ("direct", "split")


def run(work: Path, is_quick: bool) -> list[Row]:
    """300 entities x 5 metrics x 30 days at 10 s, 389 M samples; quick: 30 entities."""
    history = History(30 if is_quick else 300)
    path = work / "raw.duckdb"
    begin = time.perf_counter()
    samples = write_samples(path, history)
    wrote_s = time.perf_counter() - begin
    with Store.open(path) as store:
        begin = time.perf_counter()
        store.roll_up(history.now_ns)
        rolled_s = time.perf_counter() - begin
        queries = {form: rule(store, history, form) for form in FORMS}
        best = alternate(
            {
                "tick": lambda: evaluate(store, UPSTREAM, history.now_ns),
                "verdicts": lambda: verdicts(store, history.now_ns),
            }
            | {form: lambda sql=sql: store.ask(sql) for form, sql in queries.items()},
            rounds=4,
        )
        evaluation = evaluate(store, UPSTREAM, history.now_ns)
        for form, sql in queries.items():
            if rows_of(evaluation) != store.ask(sql):
                raise SystemExit(f"the tick and the {form} query disagree")
        segments = store.segments
    size = f"{samples / 1e6:,.0f} M samples, {len(evaluation.findings)} equal rows"
    return [
        *(_row(f"verdicts against the {form} query, {size}", best["verdicts"], best[form], TARGET) for form in FORMS),
        *(_row(f"whole tick with findings against the {form} query", best["tick"], best[form]) for form in FORMS),
        Row("samples written in bulk", f"{samples / wrote_s:,.0f}/s"),
        Row("rolled up", f"{samples / rolled_s:,.0f}/s"),
        Row("file", f"{path.stat().st_size / 1e6:,.0f} MB"),
        *disk(path, history, segments),
    ]


def verdicts(store: Store, now_ns: int) -> list[object]:
    """What the queries answer: who fired, without the words and the destinations of a finding."""
    return list(judge(store, UPSTREAM, now_ns, Evaluation(UPSTREAM.id, now_ns), DETECTORS[UPSTREAM.detector]))


def _row(what: str, ours_s: float, theirs_s: float, target: int | None = None) -> Row:
    ratio = theirs_s / ours_s
    if target is None:
        return Row(what, seconds(ours_s), seconds(theirs_s), ratio)
    return Row(what, seconds(ours_s), seconds(theirs_s), ratio, f"{target} x", ratio >= target)


def rule(store: Store, history: History, form: str) -> str:
    """The rule in SQL, over all samples of the store."""
    samples = " UNION ALL ".join(f"SELECT * FROM {table_of(segment)}" for segment in store.segments)
    return (
        (Path(__file__).parent / f"raw_rule_{form}.sql")
        .read_text()
        .format(
            samples=f"({samples})",
            from_ns=history.now_ns - 30 * DAY_NS,
            until_ns=history.now_ns - HOUR_NS,
            window_ns=history.now_ns - HOUR_NS,
            now_ns=history.now_ns,
        )
    )
