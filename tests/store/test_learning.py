"""How far entities are learned, against what was put in."""

import pytest

from build import Point, batch_of
from ebbtide.series import DAY_NS, HOUR_NS, Entity
from ebbtide.store.learning import state_of
from ebbtide.store.retention import Retention
from ebbtide.store.store import Store
from learned_traffic import FLEET, START_NS, learned


@pytest.mark.parametrize(("days", "state"), [(0, "not_yet"), (1, "young"), (9, "young"), (10, "mature")])
def test_states(days, state):
    assert state_of(days) == state


def test_every_entity_has_its_days_and_coverage():
    with learned(3) as store:
        found = store.learning(START_NS + 3 * DAY_NS)
        assert [one.entity for one in found] == sorted(FLEET)
        assert {one.days for one in found} == {3}
        assert {one.state for one in found} == {"young"}
        assert all(abs(one.covered - 0.1) < 0.001 for one in found)
        assert all(START_NS <= one.first_ns <= START_NS + HOUR_NS for one in found)
        assert {one.state for one in store.learning(START_NS + 2 * HOUR_NS)} == {"not_yet"}
        assert {one.days for one in store.learning(START_NS + 40 * DAY_NS)} == {0}


def test_each_was_first_seen_in_its_own_hour_and_on_its_day_once_the_hours_are_gone():
    """Of the first days of some, of days not closed, and of chosen ones alone."""
    day = START_NS // DAY_NS
    first_hours = {"a": 5, "b": 5 + 24, "c": 30, "d": 4 * 24 + 2, "e": 4 * 24 + 9}
    points = [
        Point((day * 24 + hour) * 3600 + 1800, 5.0, sender=Entity("c", "n", name, "p"), span_s=60)
        for name, first in first_hours.items()
        for hour in range(first, 4 * 24 + 12, 7)
    ]
    with Store.open() as store:
        store.append(batch_of(points), store.begin("live", "test"))
        store.roll_up((day + 5) * DAY_NS)
        store._con.execute("DELETE FROM closed_days WHERE day = ?", [day + 4])
        now_ns = (day + 5) * DAY_NS

        def seen(chosen: list[int] | None = None) -> dict[str, int]:
            return {one.entity.workload: one.first_ns // HOUR_NS - day * 24 for one in store.learning(now_ns, chosen)}

        assert seen() == first_hours
        number = store.identity.find_entity(Entity("c", "n", "c", "p"))
        assert seen([number]) == {"c": 30}
        now_ns = (day * 24 + 29) * HOUR_NS
        assert seen() == {"a": 5, "b": 29}
        now_ns = (day + 5) * DAY_NS
        store.retain(now_ns, Retention(samples_ns=None, hours_ns=2 * DAY_NS))
        assert seen() == {"a": 0, "b": 24, "c": 24, "d": 98, "e": 105}


def test_an_empty_store_has_nobody():
    with Store.open() as store:
        assert store.learning(START_NS) == []
