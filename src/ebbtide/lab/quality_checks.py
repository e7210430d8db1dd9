"""Sections that ask whether the main table's figures are luck: other draws, other entities, nothing learned.

In: a fleet learned once (`Measured`). Out: Markdown, recall and realised findings at each budget.
"""

from __future__ import annotations

import numpy as np

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.lab.bench import LEARN, SCORE, OutboundBench, clean_scores, fixed, scale_as_shipped, scale_with
from ebbtide.lab.evaluate import BUDGETS
from ebbtide.lab.inject import draw_events
from ebbtide.lab.inject_scenario import MAIN
from ebbtide.lab.quality_sections import DRAWS, Measured, exact_outcomes, outcomes
from ebbtide.lab.report import pair, table

FRESH_SEEDS = 4
_HEAD = [*(f"{int(budget)}" for budget in BUDGETS), *(f"exactly {int(budget)}" for budget in BUDGETS)]


def seeds_table(measured: Measured) -> str:
    """The main table's figures with fresh draws of every event, the detector and its thresholds as they are."""
    seeds = range(measured.seed + 1, measured.seed + 1 + FRESH_SEEDS)
    rows = [[f"{seed}", *_cells(_drawn(measured.bench, measured, seed))] for seed in seeds]
    return table(["seed", *_HEAD], rows)


def halves_table(measured: Measured) -> str:
    """Entities split in halves by chance: models, scale and thresholds of one, scored on the other."""
    entities = np.random.default_rng(measured.seed).permutation(len(measured.bench.traffic.names))
    middle = len(entities) // 2
    halves = [np.sort(entities[:middle]), np.sort(entities[middle:])]
    rows = []
    for number, (own, other) in enumerate((halves, halves[::-1]), 1):
        traffic, options = measured.bench.traffic, measured.bench.options
        learned = OutboundBench.run(traffic.take(own), options)
        [known] = fixed(learned)
        judged = OutboundBench.run(traffic.take(other), options, models=learned.models)
        scaled = (scale_with(judged, known.scale, known.thresholds, SCORE),)
        blank = Measured(judged, scaled, clean_scores(judged, scaled), (), measured.seed)
        rows.append([f"half {3 - number} by half {number}", *_cells(_drawn(judged, blank, measured.seed))])
    return table(["scored by what was learned on", *_HEAD], rows)


def shipped_table(measured: Measured) -> str:
    """Nothing learned: the models, the scale and the thresholds that ship."""
    bench = OutboundBench.run(measured.bench.traffic, measured.bench.options, LEARN, models=shipped_models())
    scaled = (scale_as_shipped(bench, SCORE),)
    blank = Measured(bench, scaled, clean_scores(bench, scaled), (), measured.seed)
    return table(["", *_HEAD], [["as shipped", *_cells(_drawn(bench, blank, measured.seed))]])


def _drawn(bench: OutboundBench, measured: Measured, seed: int) -> Measured:
    """The same fleet and scale with events of a seed."""
    events = tuple(bench.raw_of(draw_events(bench.traffic, one, SCORE, draw, seed)) for one in MAIN for draw in DRAWS)
    return Measured(bench, measured.scaled, measured.clean, events, seed)


def _cells(measured: Measured) -> list[str]:
    found, exact = outcomes(measured, measured.scaled), exact_outcomes(measured)
    return [*(pair(row.recall.mean, row.findings) for row in found), *(f"{row.recall.mean:.2f}" for row in exact)]
