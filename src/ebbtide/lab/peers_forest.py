"""C9, a random cut forest, as Amazon's own library computes it (package `krcf`; it comes with the extra `dev`).

Source: Guha, Mishra, Roy, Schrijvers, ICML 2016. 256 samples a tree and a shingle of 8 are the defaults of Amazon's
Managed Service for Prometheus (`RandomCutForestConfiguration`), 50 trees that of the library. A score has no line of
its own; Amazon's guide to SageMaker calls it common practice to cut at mean + 3 standard deviations of the scores, as
this does. It costs a quarter of a millisecond per sample and entity, so it is measured on a few entities, apart from
the other peers: `make forest`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ebbtide.errors import NoDataError
from ebbtide.lab.peers import HUGE, Peer
from ebbtide.lab.peers_series import PER_DAY, PER_HOUR
from ebbtide.lab.traffic import Traffic
from ebbtide.series import Float64

TREES, SAMPLES, SHINGLE = 50, 256, 8
#: Scores are compared with those of so many days before.
SCORE_DAYS = 7
#: Samples a forest has forgotten; each leaves a tree with the chance 0.1 / `SAMPLES` (the library's default).
FOREST_DAYS = 14
#: Entities the forest is measured on, evenly over the fleet.
ENTITIES = 20


def random_cut_forest(sent: Float64) -> Float64:
    """The largest sample of each hour, in standard deviations of the scores of the week before.

    In: (rows, steps) of 5 minutes, whole days. Out: (rows, hours); -HUGE where nothing is known or less than a day was
    scored. Unknown samples are neither scored nor learned. Raises NoDataError where the library is not installed.
    """
    raw = np.stack([_scores(row) for row in sent]) if len(sent) else np.empty(sent.shape)
    mean, deviation = _before(raw)
    z = (raw - mean) / np.maximum(deviation, 1e-9)
    hourly: Float64 = np.where(np.isfinite(z), z, -HUGE).reshape(len(sent), -1, PER_HOUR).max(axis=-1)
    return hourly


FOREST = Peer("C9 random cut forest", 3.0, FOREST_DAYS + SCORE_DAYS, random_cut_forest)


def _scores(row: Float64) -> Float64:
    """The score of each sample against the forest of those before it; NaN where there is none."""
    try:
        from krcf import RandomCutForest
    except ImportError as missing:
        raise NoDataError("the random cut forest is not installed", hint="pip install 'ebbtide[dev]'") from missing
    forest = RandomCutForest(
        {
            "dimensions": 1,
            "shingle_size": SHINGLE,
            "num_trees": TREES,
            "sample_size": SAMPLES,
            "output_after": SAMPLES,
            "random_seed": 1,
        }
    )
    found = np.full(len(row), np.nan)
    for at, value in enumerate(row.tolist()):
        if value != value:
            continue
        if forest.is_output_ready():
            found[at] = forest.score([value])
        forest.update([value])
    return found


def _before(raw: Float64) -> tuple[Float64, Float64]:
    """Mean and standard deviation of the known scores of the days before each step's day; NaN with less than a day."""
    known = np.isfinite(raw)
    filled = np.where(known, raw, 0.0)
    count, total, squares = (
        part.reshape(len(raw), -1, PER_DAY).sum(axis=-1) for part in (known.astype(float), filled, filled**2)
    )
    n, s, q = (
        sliding_window_view(np.pad(part, ((0, 0), (SCORE_DAYS, 0)))[:, :-1], SCORE_DAYS, axis=1).sum(axis=-1)
        for part in (count, total, squares)
    )
    enough = np.where(n >= PER_DAY, n, np.nan)
    mean = s / enough
    deviation = np.sqrt(np.maximum(q / enough - mean**2, 0.0))
    return np.repeat(mean, PER_DAY, axis=1), np.repeat(deviation, PER_DAY, axis=1)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a score takes, in microseconds of one core per sample and entity."""

    forest_us: float
    samples: int


def some(traffic: Traffic) -> Traffic:
    """`ENTITIES` of the fleet, evenly spaced in its order."""
    return traffic.take(np.linspace(0, len(traffic.names) - 1, min(ENTITIES, len(traffic.names))).astype(np.int64))


def cost(traffic: Traffic) -> Cost:
    """The forest's time over the first entity's first 30 days."""
    row = traffic.sent[0, : 30 * PER_DAY]
    began = time.process_time()
    _scores(row)
    samples = int(np.isfinite(row).sum())
    return Cost((time.process_time() - began) / max(samples, 1) * 1e6, samples)
