"""Appends one batch after another to a store and prints the number of each that was acknowledged; killed from outside.

Usage: writer.py FILE FIRST. A batch depends on its number alone, so the test knows what should be there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from build import Point, batch_of
from ebbtide.series import Batch
from ebbtide.store.store import Store


def numbered_batch(number: int) -> Batch:
    rng = np.random.default_rng(number)
    return batch_of(
        Point(number * 600 + at, float(rng.integers(1, 1000)), to=f"d{rng.integers(20)}", label=str(rng.integers(5)))
        for at in range(50)
    )


def main(path: Path, first: int) -> None:
    with Store.open(path) as store:
        origin = store.begin("live", "writer")
        for number in range(first, first + 100_000):
            store.append(numbered_batch(number), origin)
            print(number, flush=True)
            if number % 7 == 6:
                store.roll_up()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
