"""One import in a process of its own: bodies from a file, decoded and kept; prints what it took as JSON.

    python bench/import_speed.py BODIES STORE ROUNDS

As the import command does, batches are joined until they hold `COMMIT_POINTS` samples and then kept in one durable
commit. Reading and shifting a body in time is not counted, everything from its bytes to the commit is.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bodies import read_bodies
from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.series import Batch
from ebbtide.store.store import Store
from report import peak_mb

COMMIT_POINTS = 50_000


class Import:
    """A session and a store, and the seconds spent in each."""

    def __init__(self, store: Store) -> None:
        self.session = Session(load_preset("opentelemetry-network"))
        self.store, self.origin = store, store.begin("import", "benchmark")
        self.waiting: list[Batch] = []
        self.decode_s = self.append_s = 0.0
        self.stored = 0

    def take(self, body: bytes) -> None:
        """Decode a body, and keep what has come together if it is enough."""
        begin = time.perf_counter()
        self.waiting.append(self.session.decode("otlp_proto", body))
        self.decode_s += time.perf_counter() - begin
        if sum(map(len, self.waiting)) >= COMMIT_POINTS:
            self.keep()

    def keep(self) -> None:
        """Commit what waits."""
        begin = time.perf_counter()
        if self.waiting:
            self.stored += self.store.append(Batch.concat(self.waiting), self.origin).stored
            self.waiting = []
        self.append_s += time.perf_counter() - begin


def main() -> None:
    """Run the rounds, then derive the hours."""
    path, store_path, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    report: list[dict[str, float]] = []
    with Store.open(store_path) as store:
        importing = Import(store)
        for tick in range(rounds):
            importing.decode_s = importing.append_s = 0.0
            before = importing.stored
            for body in read_bodies(path, tick):
                importing.take(body)
            importing.keep()
            report.append(
                {
                    "points": importing.stored - before,
                    "decode_s": importing.decode_s,
                    "append_s": importing.append_s,
                    "peak_mb": peak_mb(),
                }
            )
        begin = time.perf_counter()
        store.roll_up()
        roll_up_s = time.perf_counter() - begin
    print(json.dumps({"rounds": report, "roll_up_s": roll_up_s, "peak_mb": peak_mb()}))


if __name__ == "__main__":
    main()
