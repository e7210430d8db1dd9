"""The shipped recording as tables and labels.

Files: `machine-*.parquet` (minute and seven columns of whole millionths), `events.csv` (the labels), `mapping.yaml`
(what the columns are, as a preset). All of it is package data, written by `make_excerpt`.
"""

from __future__ import annotations

import csv
import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from ebbtide.errors import NotFoundError
from ebbtide.series import MINUTE_NS

#: What values are in after `SCALES`: the publisher scaled them to 0..1, so they never were bytes again.
UNIT = "scaled units"

#: From what on an hour counts, in place of the 10 MB that bytes would have: a hundredth of the median hour.
FLOORS = MappingProxyType({"tcp.bytes": 14e6})

#: Minute 0 is 2024-01-01T00:00:00Z. Ours: the publisher gives no calendar time.
START_NS = 1_704_067_200 * 10**9

COLUMNS = ("eth1_fo", "eth1_fi", "out_segs", "in_segs", "active_opens", "udp_out_dg", "udp_in_dg")

#: The values are published with six decimals, so millionths are whole numbers.
PARTS = 1_000_000


@dataclass(frozen=True, slots=True)
class Incident:
    """One labelled operations incident over [start_ns, end_ns).

    `dimensions` names the metrics in which the publisher saw it, most of them not part of this recording (`cpu_r`,
    `disk_u`). `is_outbound`: some outbound network metric is among them.
    """

    machine: str
    start_ns: int
    end_ns: int
    dimensions: tuple[str, ...]
    is_outbound: bool


def machines() -> tuple[str, ...]:
    """The recorded machines, in order: `machine-1-6` and so on."""
    names = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".parquet") for name in names if name.endswith(".parquet")))


def read(machine: str) -> pa.Table:
    """One machine's recording, as published: a row a minute, in order, without gaps.

    Columns: `time` (timestamp[ns, UTC], the start of the minute), `machine` (string), then `COLUMNS` as float64 in
    0..1, sums over [time, time + 1 min). In float32 they equal the published values. Raises NotFoundError.
    """
    if machine not in machines():
        raise NotFoundError(f"no machine {machine!r} in the recording", hint="one of: " + ", ".join(machines()))
    table = pq.read_table(pa.BufferReader(_folder().joinpath(f"{machine}.parquet").read_bytes()))
    time_ns = START_NS + table["minute"].to_numpy().astype(np.int64) * MINUTE_NS
    columns = {
        "time": pa.array(time_ns, pa.timestamp("ns", "UTC")),
        "machine": pa.array([machine] * len(time_ns)),
        **{name: pa.array(table[name].to_numpy() / PARTS) for name in COLUMNS},
    }
    return pa.table(columns)


def labelled_from_ns(machine: str) -> int:
    """Where a machine's second half begins. Only that half is labelled; the first is taken as normal.

    Raises NotFoundError. Source: the publisher's README, "two parts of equal length"; `make_excerpt` checks it.
    """
    return START_NS + read(machine).num_rows // 2 * MINUTE_NS


def incidents() -> tuple[Incident, ...]:
    """The labelled incidents, by machine and start."""
    rows = csv.DictReader(io.StringIO(_folder().joinpath("events.csv").read_text(encoding="utf-8")))
    return tuple(
        Incident(
            row["machine"],
            START_NS + int(row["minute_start"]) * MINUTE_NS,
            START_NS + int(row["minute_end"]) * MINUTE_NS,
            tuple(row["dims_named"].split()),
            row["any_network_out"] == "True",
        )
        for row in rows
    )


def mapping() -> str:
    """The text of mapping.yaml: a preset, with which a decoder of tables reads `read`'s tables as sent and received."""
    return _folder().joinpath("mapping.yaml").read_text(encoding="utf-8")


@functools.cache
def scales() -> Mapping[str, float]:
    """Metric -> what 1.0 of its columns is in `UNIT`, sent and received alike. Raises ValueError if those differ."""
    found: dict[str, float] = {}
    for rule in yaml.safe_load(mapping())["metrics"]:
        if found.setdefault(rule["to"], float(rule["scale"])) != rule["scale"]:
            raise ValueError(f"mapping.yaml gives {rule['to']} two scales")
    return MappingProxyType(found)


def _folder() -> Traversable:
    return resources.files(__package__)
