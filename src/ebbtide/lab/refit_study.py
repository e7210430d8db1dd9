"""What record models of its own are worth to a fleet: the outbound detector with those that ship, and with its own.

    python -m ebbtide.lab.refit_study --seed 2

Those that ship were learned on machines of a hosting centre, so the fleet is another one: a simulated cluster. Models,
scale and thresholds are of days 30-60, recall and findings of days 60-91, the scale once fixed and once reset daily.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from ebbtide.baseline.records import RecordModels
from ebbtide.baseline.records_refit import refit
from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.lab.bench import LEARN, SCORE, OutboundBench, daily
from ebbtide.lab.evaluate import BUDGETS
from ebbtide.lab.quality_sections import measure, outcomes
from ebbtide.lab.report import pair, table
from ebbtide.lab.simulate_benign import draw_plan
from ebbtide.lab.simulate_minutes import fleet_traffic
from ebbtide.lab.simulate_plan import Parameters
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.lab.stream import close_days, hourly_peaks
from ebbtide.lab.traffic import Traffic

#: An entity is steady if it sends so much while it learns and while it is scored.
LEAST_BYTES = 1e6


def steady_fleet(seed: int, entities: int) -> Traffic:
    """A simulated cluster of 91 days without those that come, go or never speak."""
    fleet = fleet_traffic(Simulation(draw_plan(Parameters(entities=entities, days=SCORE.stop, seed=seed))))
    sent, steps = np.nan_to_num(fleet.sent), 24 * fleet.steps_per_hour
    learns, scored = (sent[:, days.start * steps : days.stop * steps].sum(axis=1) for days in (range(30), SCORE))
    return fleet.take(np.flatnonzero((learns > LEAST_BYTES) & (scored > LEAST_BYTES)))


def own_models(fleet: Traffic, options: OutboundOptions) -> RecordModels:
    """The models the fleet has after the days it learns from."""
    history = close_days(hourly_peaks(fleet.sent, fleet.received, fleet.step_s, options), options)
    return refit(history.kept, history.seen, LEARN, shipped_models())


def compare(fleet: Traffic, seed: int) -> str:
    """Recall (findings per 1000 entity-days) at each budget, a row per models and kind of scale."""
    options = OutboundOptions()
    rows = []
    for name, models in (("as shipped", shipped_models()), ("its own", own_models(fleet, options))):
        measured = measure(OutboundBench.run(fleet, options, models=models), seed)
        for kind, scaled in (("fixed", measured.scaled), ("daily", daily(measured.bench))):
            cells = [pair(one.recall.mean, one.findings) for one in outcomes(measured, scaled)]
            rows.append([f"{name}, {kind}", *cells])
    return table(["record models, scale", *(f"{budget:.0f}" for budget in BUDGETS)], rows)


def main(arguments: list[str] | None = None) -> int:
    """Simulate, learn, plant, print."""
    parser = argparse.ArgumentParser(prog="python -m ebbtide.lab.refit_study", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="seed of the cluster and of what is planted (default 1)")
    parser.add_argument("--entities", type=int, default=100, help="entities of the simulated cluster (default 100)")
    chosen = parser.parse_args(arguments)
    fleet = steady_fleet(chosen.seed, chosen.entities)
    print(f"{len(fleet.names)} steady entities of a simulated cluster, seed {chosen.seed}\n")
    print(compare(fleet, chosen.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
