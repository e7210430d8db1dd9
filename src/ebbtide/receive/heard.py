"""Which clusters were heard, and how far: what watermarks and the health page rest on.

In come committed batches and the time, out goes a snapshot. Cluster names come from senders, so there is room for a
bounded number; the one silent longest goes first and is counted.
"""

from __future__ import annotations

import threading
from typing import Final

import numpy as np

from ebbtide.receive.receipt import Heard
from ebbtide.series import Batch

CLUSTERS_MAX: Final = 10_000


class Clusters:
    """The newest sample and arrival of each cluster. Written by one thread, read by any."""

    def __init__(self, *, clusters_max: int = CLUSTERS_MAX) -> None:
        self.clusters_max = clusters_max
        self.forgotten = 0
        self._heard: dict[str, Heard] = {}
        self._lock = threading.Lock()

    def note(self, batch: Batch, now_ns: int) -> None:
        """A batch was stored at `now_ns`."""
        newest = _newest(batch)
        with self._lock:
            for cluster, end_ns in newest.items():
                before = self._heard.pop(cluster, None)  # and in again at the end: the order is that of arrival
                self._heard[cluster] = Heard(max(end_ns, before.newest_end_ns if before else 0), now_ns)
            while len(self._heard) > self.clusters_max:
                del self._heard[next(iter(self._heard))]
                self.forgotten += 1

    def snapshot(self) -> dict[str, Heard]:
        """Cluster -> when it was heard, a copy."""
        with self._lock:
            return dict(self._heard)


def _newest(batch: Batch) -> dict[str, int]:
    """The latest end of each cluster's samples; a heartbeat alone counts as heard, with end 0.

    A sample's cluster is its sender's, where that is unknown its receiver's: the one that saw it.
    """
    ends = np.zeros(len(batch.series), np.int64)
    np.maximum.at(ends, batch.ref, batch.end_ns)
    newest: dict[str, int] = {beat.cluster: 0 for beat in batch.heartbeats}
    for series, end_ns in zip(batch.series, ends.tolist(), strict=True):
        entity = series.sender or series.receiver
        if entity is not None and end_ns > newest.get(entity.cluster, -1):
            newest[entity.cluster] = end_ns
    return newest
