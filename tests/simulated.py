"""A small simulated cluster for the tests of the laboratory."""

import functools

from ebbtide.lab.simulate_benign import draw_plan
from ebbtide.lab.simulate_plan import Parameters, Plan
from ebbtide.lab.simulate_traffic import Simulation


@functools.cache
def small_plan(**changes) -> Plan:
    return draw_plan(Parameters(**{"entities": 20, "days": 2, "churn": 4.0, "novelty": 2.0} | changes))


def small(**changes) -> Simulation:
    return Simulation(small_plan(**changes))
