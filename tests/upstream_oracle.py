"""The Splunk analytic read line by line, in plain Python, slow and obvious.

Source: the published search of "Kubernetes Anomalous Outbound Network Activity from Process" (Splunk Security Content),
with the choices this project documents where Splunk's behaviour is not published: a standard deviation of one point is
0, hits are counted per metric and bucket, a baseline without spread makes any higher value a hit.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

HOUR_S, DAY_S = 3600, 86400


@dataclass(frozen=True)
class Raw:
    """A metric data point as the index holds it; None is an absent dimension."""

    time_s: float
    metric: str
    value: float
    cluster: str | None
    workload: str | None
    process: str | None
    #: Every other dimension: tells time series apart, never a key of the search.
    other: str = ""


def rows(points: list[Raw], now_s: float) -> dict[tuple[str, str, str], tuple[int, list[tuple]]]:
    """For each (cluster, workload, process) the search returns: the count, and the sorted anomalies as tuples."""
    # The store's summaries reach back to full hours: the far edge of the baseline snaps to its hour.
    far_s = math.floor((now_s - 30 * DAY_S) / HOUR_S) * HOUR_S
    ours = [p for p in points if p.metric.startswith(("tcp.", "udp."))]
    mean, spread = baseline([p for p in ours if far_s <= p.time_s < now_s - HOUR_S])

    buckets: dict[tuple, list[float]] = {}
    for p in ours:
        if now_s - HOUR_S <= p.time_s < now_s and p.cluster and p.workload and p.process:
            bucket = math.floor(p.time_s / 10) * 10
            buckets.setdefault((bucket, p.cluster, p.workload, p.process, p.metric), []).append(p.value)

    hits: dict[tuple[str, str, str], list[tuple]] = {}
    for (_, cluster, workload, process, metric), values in buckets.items():
        usual = (workload, process, metric)
        if usual not in mean:
            continue
        value = statistics.fmean(values) if len(set(values)) > 1 else values[0]
        line = mean[usual] + 3 * spread[usual]
        if value > line and not math.isclose(value, line, rel_tol=1e-9):
            hits.setdefault((cluster, workload, process), []).append((metric, value, mean[usual], spread[usual]))
    return {key: (len(found), sorted(set(found))) for key, found in hits.items() if len(found) > 5}


def baseline(points: list[Raw]) -> tuple[dict[tuple, float], dict[tuple, float]]:
    """Mean and "standard deviation" of the raw points of each (workload, process, metric), clusters pooled."""
    values: dict[tuple, list[float]] = {}
    for p in points:
        if p.workload and p.process:
            values.setdefault((p.workload, p.process, p.metric), []).append(p.value)
    mean, spread = {}, {}
    for key, found in values.items():
        constant = min(found) == max(found)
        mean[key] = found[0] if constant else statistics.fmean(found)
        if key[2].startswith("udp."):
            spread[key] = mean[key]
        else:
            spread[key] = 0.0 if constant else statistics.stdev(found)
    return mean, spread
