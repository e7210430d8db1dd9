"""The result row of the Splunk analytic, for whoever compares or has dashboards built on its fields.

Texts are to the letter of the published search. Where Splunk's own output is not documented, this holds: numbers have
at most 15 significant digits, whole numbers no decimal point (`1000`, `0.1`, `1e+15`), deviations are rounded to two
decimals without padding (`2.5`), and where the standard deviation is 0 the number of deviations is `Null`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ebbtide.series import Entity


@dataclass(frozen=True, slots=True)
class Exceedance:
    """One hit as the texts need it; `value`, `mean` and `stdev` in the unit of the tested statistic."""

    metric: str
    value: float
    mean: float
    stdev: float


@dataclass(frozen=True, slots=True)
class UpstreamRow:
    """One result of the search; `anomalies` are distinct and in lexicographic order."""

    host: str
    workload: str
    process: str
    count: int
    anomalies: tuple[str, ...]

    def as_fields(self) -> dict[str, object]:
        """The row under the search's own field names, in its order."""
        return {
            "host": self.host,
            "source.workload.name": self.workload,
            "source.process.name": self.process,
            "count": self.count,
            "anomalies": list(self.anomalies),
        }


def upstream_row(entity: Entity, count: int, hits: Iterable[Exceedance]) -> UpstreamRow:
    """The row of one entity's hits; none is left out."""
    texts = sorted({anomaly_text(hit) for hit in hits})
    return UpstreamRow(entity.cluster, entity.workload, entity.process, count, tuple(texts))


def anomaly_text(hit: Exceedance) -> str:
    """One hit in the search's words.

    >>> anomaly_text(Exceedance("tcp.bytes", 500.0, 100.0, 10.5))
    "tcp.bytes higher than average by 38.1 Standard Deviations. tcp.bytes=500 avg_tcp.bytes=100 'stdev_tcp.bytes'=10.5"
    """
    m = hit.metric
    deviations = "Null" if hit.stdev == 0 else number_text(round((hit.value - hit.mean) / hit.stdev, 2))
    return (
        f"{m} higher than average by {deviations} Standard Deviations. {m}={number_text(hit.value)} "
        f"avg_{m}={number_text(hit.mean)} 'stdev_{m}'={number_text(hit.stdev)}"
    )


def number_text(value: float) -> str:
    """At most 15 significant digits, no decimal point on whole numbers.

    >>> [number_text(value) for value in (1000.0, 0.1 + 0.2, 1e15, 0.0)]
    ['1000', '0.3', '1e+15', '0']
    """
    return f"{value:.15g}"
