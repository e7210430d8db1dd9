"""Files that are made once in a run and shared by all its processes."""

from __future__ import annotations

import fcntl
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

from ebbtide.demo import Comparison, compare, fill
from ebbtide.detect.catalogue import load
from ebbtide.registry import DETECTORS
from ebbtide.store.store import Store


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """The file of this name, made by the first process of the run that asks; the others wait for it, and must not
    change it. `make` writes the file it is given; one that fails leaves nothing, and the next process tries again.
    """
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # each process has a directory of its own in it
    path = base / name
    with path.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = path.with_name(f"{name}.{os.getpid()}")
            make(unfinished)
            unfinished.rename(path)
    return path


def recording_copy(tmp_path_factory) -> Path:
    """A store of the shipped recording, for the caller alone."""

    def make(path: Path) -> None:
        with Store.open(path) as store:
            assert fill(store, lambda _: None) == 1_327_025

    made = made_once(tmp_path_factory, "recording.duckdb", make)
    return Path(shutil.copy(made, tmp_path_factory.mktemp("recording")))


def demo_comparisons(tmp_path_factory) -> dict[str, Comparison]:
    """The recording judged on all labelled days by each detection that runs by default, by short name."""

    def make(path: Path) -> None:
        catalogue, found = load(DETECTORS), {}
        with Store.open(recording_copy(tmp_path_factory)) as store:
            for id in catalogue.by_default():
                ticks: list[tuple[int, int]] = []
                one = compare(store, catalogue.get(id), lambda *told, ticks=ticks: ticks.append(told))
                assert ticks == [(at, len(ticks)) for at in range(1, len(ticks) + 1)]
                found[catalogue.get(id).short_name] = one
        path.write_bytes(pickle.dumps(found))

    return pickle.loads(made_once(tmp_path_factory, "comparisons.pickle", make).read_bytes())
