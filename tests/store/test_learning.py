"""How far entities are learned, against what was put in."""

import pytest

from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.learning import state_of
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


def test_an_empty_store_has_nobody():
    with Store.open() as store:
        assert store.learning(START_NS) == []
