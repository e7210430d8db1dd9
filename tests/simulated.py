"""A small simulated cluster for the tests of the laboratory."""

import functools
from pathlib import Path

from ebbtide.lab.simulate_benign import draw_plan
from ebbtide.lab.simulate_plan import Parameters, Plan
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.lab.simulate_write import fill
from ebbtide.store.store import Store
from once import made_once


@functools.cache
def small_plan(**changes) -> Plan:
    return draw_plan(Parameters(**{"entities": 20, "days": 2, "churn": 4.0, "novelty": 2.0} | changes))


def small(**changes) -> Simulation:
    return Simulation(small_plan(**changes))


def small_store(tmp_path_factory) -> Path:
    """A closed store of the cluster, shared by all processes of the run: not to be changed."""

    def make(path: Path) -> None:
        with Store.open(path) as store:
            fill(store, small())

    return made_once(tmp_path_factory, "small.duckdb", make)
