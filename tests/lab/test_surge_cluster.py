"""The study's arrays are those of the laboratory, and a changed plan differs in the changed days only."""

import numpy as np

from ebbtide.lab.cluster_negatives import choose_negatives
from ebbtide.lab.simulate_benign import draw_plan
from ebbtide.lab.simulate_minutes import fleet_traffic
from ebbtide.lab.simulate_plan import PER_DAY, Draft, Draws, Parameters
from ebbtide.lab.simulate_traffic import Simulation
from ebbtide.lab.surge_cluster import ClusterMaker

PLAN = draw_plan(Parameters(seed=3, entities=20, days=3))


def test_traffic_is_that_of_the_laboratory_and_places_add_up_to_it():
    whole = ClusterMaker(PLAN).whole()
    theirs = fleet_traffic(Simulation(PLAN))

    rows = np.array([whole.traffic.names.index(name) for name in theirs.names])
    np.testing.assert_array_equal(whole.traffic.sent[rows], np.nan_to_num(theirs.sent))
    np.testing.assert_array_equal(whole.traffic.received[rows], np.nan_to_num(theirs.received))
    hourly = whole.traffic.sent.reshape(len(whole.mixes), -1, 12).sum(axis=2)
    for entity, mix in enumerate(whole.mixes):
        np.testing.assert_allclose(mix.sent.sum(axis=0), hourly[entity], rtol=1e-5)


def test_a_changed_plan_differs_from_the_change_on():
    maker = ClusterMaker(PLAN)
    whole = maker.whole()
    draft = Draft.of(PLAN)
    [surge] = choose_negatives(["x5"])
    surge.change(draft, Draws(1, 50), PLAN.parameters.first + 2 * PER_DAY)

    after = maker.changed(draft.finish(), whole, range(2, 3))

    same = slice(0, 2 * 288)
    np.testing.assert_array_equal(after.traffic.sent[:, same], whole.traffic.sent[:, same])
    grown = after.traffic.sent[:, 2 * 288 :].sum() / whole.traffic.sent[:, 2 * 288 :].sum()
    assert 4 < grown < 6
    assert all(now.sent.shape == then.sent.shape for now, then in zip(after.mixes, whole.mixes, strict=True))
