"""A real recording that ships with the package: network metrics of four servers over 33 days, with labelled incidents.

Out come tables and labels; nothing is read before it is asked for. Without it a first look at the product would need a
cluster and a month of patience. What the columns are, whose data it is and under which licence: README.md beside this.
"""

from __future__ import annotations

from collections.abc import Mapping

from ebbtide.recording.recording import (
    COLUMNS,
    FLOORS,
    START_NS,
    UNIT,
    Incident,
    incidents,
    labelled_from_ns,
    machines,
    mapping,
    read,
    scales,
)

__all__ = [
    "COLUMNS",
    "FLOORS",
    "SCALES",
    "START_NS",
    "UNIT",
    "Incident",
    "incidents",
    "labelled_from_ns",
    "machines",
    "mapping",
    "read",
    "scales",
]

#: Metric -> what 1.0 of its columns is in `UNIT`. Read from mapping.yaml when first asked for.
SCALES: Mapping[str, float]


def __getattr__(name: str) -> Mapping[str, float]:
    if name == "SCALES":
        return scales()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
