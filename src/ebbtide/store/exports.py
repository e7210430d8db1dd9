"""Tables for other tools, with names in place of the store's own numbers."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from ebbtide.store.segments import Segments, table_of

_WHO = "cluster, namespace, workload, process"
_QUERIES = {
    "entities": f"SELECT {_WHO} FROM entities ORDER BY ALL",
    "hours": (
        f"SELECT make_timestamp_ns(hour * 3600000000000) AS hour, {_WHO}, metrics.name AS metric, "
        "hours.* EXCLUDE (entity, metric, hour) "
        "FROM hours JOIN entities USING (entity) JOIN metrics USING (metric) ORDER BY hour, entity, metric"
    ),
    "days": (
        f"SELECT make_timestamp_ns(day * 86400000000000) AS day, {_WHO}, metrics.name AS metric, "
        "days.* EXCLUDE (entity, metric, day) "
        "FROM days JOIN entities USING (entity) JOIN metrics USING (metric) ORDER BY day, entity, metric"
    ),
    "edges": (
        "SELECT make_timestamp_ns(hour * 3600000000000) AS hour, e.cluster, e.namespace, e.workload, e.process, "
        "p.cluster AS peer_cluster, p.namespace AS peer_namespace, p.workload AS peer_workload, "
        "p.process AS peer_process, p.kind AS peer_class, edges.* EXCLUDE (entity, endpoint, hour) "
        "FROM edges JOIN entities e USING (entity) JOIN endpoints p USING (endpoint) ORDER BY hour, entity, endpoint"
    ),
}
_SAMPLES = """
SELECT make_timestamp_ns(end_ns) AS "end", span_ns / 1e9 AS span_s, metrics.name AS metric,
       s.cluster, s.namespace, s.workload, s.process,
       d.cluster AS dest_cluster, d.namespace AS dest_namespace, d.workload AS dest_workload,
       d.process AS dest_process, d.kind AS dest_class, value
FROM {table} x JOIN series USING (series) JOIN metrics ON metrics.metric = x.metric
JOIN endpoints s ON s.endpoint = source JOIN endpoints d ON d.endpoint = destination
WHERE NOT isnan(value) ORDER BY end_ns, series
"""


def export(con: duckdb.DuckDBPyConnection, segments: Segments, what: str) -> Iterator[pa.Table]:
    """The rows of a table in parts of bounded size; at least one part, which may be empty."""
    if what != "samples":
        yield con.sql(_QUERIES[what]).to_arrow_table()
        return
    for table in [table_of(segment) for segment in segments.known] or [segments.between(0, 1)]:
        yield con.sql(_SAMPLES.replace("{table}", table)).to_arrow_table()
