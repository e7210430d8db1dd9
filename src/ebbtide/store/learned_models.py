"""The record models of a fleet, learned from the daily maxima of its closed days.

In: rows of `day_maxima`. Out: models for the days to come. A thousand pairs say as much as all of them.
"""

from __future__ import annotations

import duckdb
import numpy as np

from ebbtide.baseline.records import RecordModels
from ebbtide.baseline.records_fit import MATURE_CUTS
from ebbtide.baseline.records_refit import refit
from ebbtide.baseline.trailing_statistics import HOURS, STATISTICS, Float32
from ebbtide.store.pairs import Pairs, masked_hours

#: Pairs that are learned from at most, spread evenly over all.
MOST_PAIRS = 1000


def learn_models(con: duckdb.DuckDBPyConnection, pairs: Pairs, days: range, known: RecordModels) -> RecordModels:
    """Models that foretell `days` from the days before each; of the `known` ones those that do it as well."""
    some = pairs.take(slice(None, None, -(-max(len(pairs), 1) // MOST_PAIRS)))
    first = days.start - max(MATURE_CUTS)
    kept, seen = daily_maxima(con, some, first, days.stop)
    return refit(kept, seen, range(days.start - first, days.stop - first), known)


def daily_maxima(con: duckdb.DuckDBPyConnection, pairs: Pairs, first: int, last: int) -> tuple[Float32, Float32]:
    """Maxima of the days [first, last) as kept and as seen, (pairs, statistics, days); NaN where not valid."""
    shape = (len(pairs), STATISTICS, last - first)
    found = {name: np.full(shape, np.nan, np.float32) for name in ("kept", "seen")}
    columns = ", ".join(f"{name}[{at + 1}] AS {name}{at}" for name in found for at in range(STATISTICS))
    rows = con.execute(
        f"SELECT entity, metric, day, {columns} FROM day_maxima WHERE day >= ? AND day < ?", [first, last]
    ).fetchnumpy()
    at = pairs.place(rows["entity"], rows["metric"])
    here = at >= 0
    days = np.asarray(rows["day"], np.int64)[here] - first
    for name, maxima in found.items():
        for statistic in range(STATISTICS):
            maxima[at[here], statistic, days] = rows[f"{name}{statistic}"][here]
    for entity, start, end in masked_hours(con, first * HOURS, last * HOURS):
        masked = slice(max(0, start // HOURS - first), -(-end // HOURS) - first)
        for maxima in found.values():
            maxima[pairs.entity == entity, :, masked] = np.nan
    return found["kept"], found["seen"]
