"""A store with something laid over it: a copy that gains samples, while the store itself is never opened.

For attacks injected into recorded data, and for benign changes of a simulated cluster. The copy is an ordinary store
file, so everything that judges a store judges it unchanged: `backtest`, `evaluate`, a service. Hours whose samples
retention has dropped gain nothing, for they could not be derived again from all of their samples.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ebbtide.errors import DataError, NoDataError, StoreInUseError
from ebbtide.lab.cluster_ground import ground_of_store
from ebbtide.lab.cluster_inject import Event, Injection, Plot, plant_round
from ebbtide.lab.cluster_scenarios import Attack
from ebbtide.series import Batch, Counts, Endpoint, EndpointClass, Entity, Float64, Int64, Series, joined_batches
from ebbtide.store.segments import SEGMENT_NS
from ebbtide.store.store import Store


def copy_store(path: Path, to: Path) -> Path:
    """Copy a closed store with its log to a file that is not there yet; the original is only read.

    Raises NoDataError where there is no store, StoreInUseError where another process has it open, DataError if `to`
    exists. Do not call it for a store this process has open: letting go of the file would drop that store's lock.
    """
    if not path.is_file():
        raise NoDataError(f"no store at {path}", hint="make one with: ebbtide import --db FILE PATHS")
    if to.exists():
        raise DataError(f"{to} is there already", hint="give the name of a file that is not")
    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreInUseError(f"{path} is in use by another process", hint="stop it first") from error
        shutil.copyfile(path, to)
        log = path.with_name(path.name + ".wal")
        if log.is_file():
            shutil.copyfile(log, to.with_name(to.name + ".wal"))
    return to


@dataclass(frozen=True, slots=True)
class Laid:
    """What became of the samples laid over a store: stored, or dropped by reason."""

    stored: int
    dropped: Counter[str]


def lay_over(store: Store, batches: Iterable[Batch], name: str) -> Laid:
    """Append batches to a copy under an origin of their own and derive what changed."""
    units = store.contacts.units()
    origin = store.begin("overlay", name, units.pop() if len(units) == 1 else "")
    stored, dropped, counts = 0, Counter[str](), Counts()
    oldest_ns = store.segments[0] * SEGMENT_NS if store.segments else None
    for batch in batches:
        done = store.append(batch, origin) if oldest_ns is None else store.append(batch, origin, oldest_ns=oldest_ns)
        stored += done.stored
        dropped.update(done.dropped)
        counts.add(batch.counts)
    store.roll_up()
    store.finish(origin, counts, dropped)
    return Laid(stored, dropped)


def inject_recording(
    path: Path, to: Path, scenarios: Sequence[Attack], plot: Plot, seed: int = 1, number: int = 0, share: float = 1.0
) -> list[Injection]:
    """Copy the store at `path` to `to` and plant one round of attacks in the copy; what was planted.

    The injected samples are one origin of the copy (`provenance`), labels are what is returned.
    """
    copy_store(path, to)
    with Store.open(to, is_new_allowed=False) as store:
        store.roll_up()
        ground = ground_of_store(store)
        planted = plant_round(ground, scenarios, plot, seed, number, share)
        lay_over(store, injected_batches(planted, ground.metrics), f"round {number}, seed {seed}")
    return planted


#: At most so many samples in one batch.
_BATCH = 200_000


def injected_batches(injections: Sequence[Injection], metrics: frozenset[str]) -> Iterable[Batch]:
    """The samples of injections, in the metrics a store knows, in batches of bounded size."""
    return joined_batches((injected_batch(one, metrics) for one in injections), _BATCH)


def metric_names(metrics: frozenset[str], is_udp: bool) -> tuple[str | None, str | None, str | None]:
    """What bytes, packets and new sockets are called in a store with these metrics; None where it has no such."""
    kind = "udp" if is_udp else "tcp"
    names = [
        next((name for name in (f"{kind}.{what}", f"net.{what}") if name in metrics), None)
        for what in ("bytes", "packets")
    ]
    sockets = "tcp.new_sockets" if not is_udp and "tcp.new_sockets" in metrics else None
    return names[0], names[1], sockets


def injected_batch(injection: Injection, metrics: frozenset[str]) -> Batch:
    """One injection as samples: what its sender sends, what it receives back, per destination."""
    added, event = injection.added, injection.event
    bytes_name, packets_name, sockets_name = metric_names(metrics, added.is_udp)
    columns = (
        (bytes_name, False, added.sent),
        (bytes_name, True, added.received),
        (packets_name, False, added.packets_out),
        (packets_name, True, added.packets_in),
        (sockets_name, False, added.sockets),
    )
    series: list[Series] = []
    refs: list[Int64] = []
    values: list[Float64] = []
    for name, is_back, column in columns:
        if name is not None:
            refs.append(len(series) + added.place)
            values.append(column)
            series += [_series(event, name, is_back, place, receiver)
                       for place, receiver in zip(added.places, added.receivers, strict=True)]  # fmt: skip
    many = len(refs)
    value = np.concatenate(values)
    return Batch(
        tuple(series),
        np.concatenate(refs).astype(np.int32),
        np.tile(added.start_ns, many),
        np.tile(added.end_ns, many),
        value,
        np.full(len(value), np.nan),
        counts=Counts(accepted=len(value)),
    )


def _series(event: Event, metric: str, is_back: bool, place: Endpoint, receiver: Entity | None) -> Series:
    own = event.sender
    kind = EndpointClass.INTERNAL if own.namespace else EndpointClass.HOST
    here = Endpoint(own.cluster, own.namespace, own.workload, own.process, kind)
    text = json.dumps({"ebbtide.injected": event.uid, "metric": metric, "back": is_back, "to": repr(place)})
    key = int.from_bytes(hashlib.blake2b(f"{own}{text}".encode(), digest_size=8).digest(), "big", signed=True)
    if is_back:
        return Series(key, metric, receiver, own, place, here, attributes=text)
    return Series(key, metric, own, receiver, here, place, attributes=text)
