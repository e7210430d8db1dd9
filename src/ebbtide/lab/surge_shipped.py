"""What clues do on the scale that ships: `python -m ebbtide.lab.surge_shipped [--seed N] [--shift NATS ...]`.

In: a simulated cluster of 91 days, from which nothing is learned. Out: a table, for each budget a row without clues and
one per shift, what is added to the score because that scale knows no destinations: realised findings, recall of the
nine scenarios sent to a new and to a known place, and what fivefold traffic brings.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.baseline.trailing_statistics import HOURS
from ebbtide.detect.outbound_clues import CLUES
from ebbtide.lab.bench import LEARN, SCORE, OutboundBench, scale_as_shipped
from ebbtide.lab.evaluate import BUDGETS, realised
from ebbtide.lab.inject import RETURN_SHARE, draw_events
from ebbtide.lab.inject_scenario import MAIN
from ebbtide.lab.report import table
from ebbtide.lab.surge_study import CHANGED, Study, clues_of, plant, rate, recall

NATS = {"known": CLUES.known_places, "mix": CLUES.usual_mix}
_HEAD = ("budget", "clues", "shift", "realised", "new place", "known place", "x5")


def as_shipped(seed: int, entities: int) -> Study:
    """A cluster judged with what ships."""
    study = Study(seed, entities)
    study.bench = OutboundBench.run(study.cluster.traffic, study.options, models=shipped_models())
    study.scaled = scale_as_shipped(study.bench, SCORE)
    return study


def measure(study: Study, shifts: tuple[float, ...]) -> str:
    """The table."""
    drawn = [draw_events(study.cluster.traffic, one, SCORE, 0, study.seed) for one in MAIN]
    planted = [
        [plant(study, one, has_met=has_met, return_share=RETURN_SHARE) for one in drawn] for has_met in (False, True)
    ]
    changed = study.changed("x5")
    own = slice((CHANGED.start - SCORE.start) * HOURS, (CHANGED.stop - SCORE.start) * HOURS)
    surge = study.scores(changed)[:, own]
    held = clues_of(changed, CHANGED, study.options.floor_per_hour)
    rows = []
    for budget, line in zip(BUDGETS, study.scaled.thresholds, strict=True):
        for nats, shift in (({}, 0.0), *((NATS, one) for one in shifts)):
            clean = study.scaled.score - study.held.discount(nats)[:, len(LEARN) * HOURS :]
            full = np.full((len(clean), SCORE.stop * HOURS), -np.inf)
            full[:, SCORE.start * HOURS :] = clean
            found = [f"{recall(full, line - shift, batches, nats):.2f}" for batches in planted]
            told = realised(clean > line - shift, float(len(clean) * len(SCORE)))
            five = rate(surge - held.discount(nats) > line - shift)
            rows.append([f"{budget:g}", "yes" if nats else "no", f"{shift:g}", f"{told:.1f}", *found, f"{five:.0f}"])
    return table(list(_HEAD), rows)


def main(arguments: list[str] | None = None) -> int:
    """Simulate, judge, print."""
    parser = argparse.ArgumentParser(prog="python -m ebbtide.lab.surge_shipped", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the cluster and of what is planted (default 1)")
    parser.add_argument("--entities", type=int, default=70, help="entities of the simulated cluster (default 70)")
    parser.add_argument("--shift", type=float, nargs="+", default=[0.0, CLUES.shipped_shift], help="nats to try")
    chosen = parser.parse_args(arguments)
    study = as_shipped(chosen.seed, chosen.entities)
    told = measure(study, tuple(chosen.shift))
    print(f"{len(study.cluster.mixes)} steady entities of a simulated cluster, seed {chosen.seed}\n\n{told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
