"""Events are repeatable, lie where the source lived, and change only their own traffic after their start."""

import numpy as np

from ebbtide.lab.inject import draw_events, relative_size, with_events
from ebbtide.lab.inject_scenario import FURTHER, MAIN
from ebbtide.lab.traffic import Traffic

DAYS = range(34, 46)


def traffic(seed=1):
    random = np.random.default_rng(seed)
    sent = random.exponential(1e6, (8, 46 * 288))
    sent[:, 36 * 288 : 37 * 288] = np.nan
    return Traffic(tuple("abcdefgh"), sent, sent * 0.5, 0, 300)


def test_the_same_seed_draws_the_same_events():
    first, again = (draw_events(traffic(), MAIN[0], DAYS, 0, 7) for _ in range(2))
    other = draw_events(traffic(), MAIN[0], DAYS, 1, 7)
    np.testing.assert_array_equal(first.start, again.start)
    np.testing.assert_array_equal(first.rho, again.rho)
    assert (first.start != other.start).any()


def test_events_avoid_outages_and_end_inside():
    for scenario in MAIN:
        events = draw_events(traffic(), scenario, DAYS, 0, 3)
        assert (events.end + 12 <= 46 * 288).all() and (events.start >= 34 * 288).all()
        known = np.isfinite(traffic().sent[events.entity, events.start])
        assert known.mean() > 0.8


def test_only_added_bytes_differ():
    clean, scenario = traffic(), MAIN[4]
    events = draw_events(clean, scenario, DAYS, 0, 5)
    injected = with_events(clean, events, 1, return_share=0.1)
    sent, received = clean.cut(events.entity, injected.first_day * 288, injected.sent.shape[1])
    assert (injected.first_day == events.start // 288 - 1).all()
    for row in range(8):
        added = np.nan_to_num(injected.sent[row] - sent[row])
        at = events.start[row] - injected.first_day[row] * 288
        assert not added[:at].any() and not added[at + 288 :].any()
        np.testing.assert_allclose(np.nan_to_num(injected.received[row] - received[row]), 0.1 * added, atol=1e-3)


def test_a_masked_event_begins_ten_days_earlier():
    masked = next(scenario for scenario in FURTHER if scenario.masked_by)
    events = draw_events(traffic(), masked, DAYS, 0, 5)
    assert (events.start - events.begin == 2880).all() and (events.begin >= 34 * 288).all()
    assert np.allclose(events.added[:, 2880:].sum(axis=1), 200e6)


def test_relative_size_of_a_silent_entity_is_infinite():
    assert relative_size(np.ones((1, 2)), np.zeros((1, 10)))[0] == np.inf
