"""Read the reference traffic: 300 business VMs, 91 days, 5-minute samples (GWA-T-12 Bitbrains, trace "Rnd").

Source: Shen, van Beek, Iosup, CCGrid 2015. Throughput is in KB/s, a mean over the sample's interval; a reading is a
sample of its 5-minute cell, and cells with several readings have their mean. The data are not part of this repository:
set EBBTIDE_DATA, or keep them in ../shared/data beside it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from ebbtide.errors import NoDataError
from ebbtide.lab.traffic import DAY_S, Traffic
from ebbtide.series import Float64

FILE = Path("bitbrains-rnd/bitbrains_rnd_public.parquet")
#: 2013-07-01 00:00 UTC: the first whole day. The trace begins two hours before it.
START_S = 1_372_636_800
DAYS = 91
STEP_S = 300
#: Entities with fewer of their 26,208 samples are left out; 252 remain.
LEAST_SHARE = 0.868
BYTES_PER_KB = 1000.0


def data_directory(root: Path | None = None) -> Path:
    """Where the benchmark data lie: EBBTIDE_DATA, else ../shared/data as seen from the repository's root."""
    configured = os.environ.get("EBBTIDE_DATA")
    if configured:
        return Path(configured)
    here = root if root is not None else Path(__file__).resolve().parents[3]
    return here.parent / "shared" / "data"


def read_bitbrains(directory: Path) -> Traffic:
    """The 252 VMs with enough samples on a 5-minute grid of 91 UTC days.

    Raises NoDataError when the file is not there.
    """
    path = directory / FILE
    if not path.is_file():
        raise NoDataError(
            f"the reference traffic is not at {path}", hint="set EBBTIDE_DATA to the directory that holds bitbrains-rnd"
        )
    table = parquet.read_table(path, columns=["vm", "ts", "tx_kbps", "rx_kbps"])
    vm, ts, tx, rx = (table[name].to_numpy() for name in ("vm", "ts", "tx_kbps", "rx_kbps"))
    vm, ts, tx, rx = _without_duplicates(vm, ts, tx, rx)
    names, entity = np.unique(vm, return_inverse=True)
    enough = np.bincount(entity) >= LEAST_SHARE * DAYS * DAY_S / STEP_S
    cell = (ts - START_S) // STEP_S
    steps = DAYS * DAY_S // STEP_S
    use = (cell >= 0) & (cell < steps) & enough[entity]
    rank = np.cumsum(enough) - 1
    place = rank[entity[use]] * steps + cell[use]
    shape = (int(enough.sum()), steps)
    sent, received = (_cell_means(place, rate[use], shape) * (BYTES_PER_KB * STEP_S) for rate in (tx, rx))
    return Traffic(tuple(f"vm-{name}" for name in names[enough]), sent, received, START_S, STEP_S)


def _without_duplicates(
    vm: NDArray[np.int64], ts: NDArray[np.int64], tx: Float64, rx: Float64
) -> tuple[NDArray[np.int64], NDArray[np.int64], Float64, Float64]:
    """The first reading of each VM and time."""
    order = np.lexsort((ts, vm))
    vm, ts, tx, rx = vm[order], ts[order], tx[order], rx[order]
    first = np.ones(len(vm), bool)
    first[1:] = (vm[1:] != vm[:-1]) | (ts[1:] != ts[:-1])
    return vm[first], ts[first], tx[first], rx[first]


def _cell_means(place: NDArray[np.int64], rate: Float64, shape: tuple[int, int]) -> Float64:
    size = shape[0] * shape[1]
    count = np.bincount(place, minlength=size)
    total = np.bincount(place, weights=rate, minlength=size)
    mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.reshape(shape)
