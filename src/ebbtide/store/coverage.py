"""In how many minutes each cluster was heard: what gaps in its telemetry are told by."""

from __future__ import annotations

import duckdb

from ebbtide.series import HOUR_NS


class Coverage:
    """Minutes by cluster, from full hours that were derived."""

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self._con = con

    def gap_minutes(self, from_ns: int, to_ns: int) -> dict[str, int]:
        """By cluster, the minutes of the full hours in [from_ns, to_ns) in which it was not heard.

        Counted from the first hour in which it ever was; hours that wait to be derived do not count yet.
        """
        first, last = -(-from_ns // HOUR_NS), to_ns // HOUR_NS
        rows = self._con.execute(
            "SELECT cluster, greatest(min(hour), $first) AS since, "
            "coalesce(sum(bit_count(heartbeats | samples)) FILTER (hour >= $first AND hour < $last "
            "AND hour NOT IN (SELECT hour FROM dirty_hours)), 0) AS heard, "
            "(SELECT count(*) FROM dirty_hours WHERE hour >= since AND hour < $last) AS waiting "
            "FROM coverage WHERE heartbeats | samples <> 0 GROUP BY cluster",
            {"first": first, "last": last},
        ).fetchall()
        return {cluster: max(0, 60 * (last - since - waiting) - int(heard)) for cluster, since, heard, waiting in rows}
