"""How well known a place is: `ebbtide.store.callers`."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.series import Endpoint, EndpointClass, Entity
from ebbtide.store.callers import Callers
from ebbtide.store.known_contacts import pair_keys
from ebbtide.store.places import place_numbers

DNS, DB, CACHE = place_numbers(
    [Endpoint("prod", "ns", name, "", EndpointClass.INTERNAL) for name in ("dns", "db", "c")]
)
OUTSIDE = place_numbers([Endpoint(workload="x.example", kind=EndpointClass.EXTERNAL)])[0]
ENTITIES = [Entity("prod", "ns", f"w{at}", "p") for at in range(6)] + [Entity("dev", "ns", "w", "p")]


def callers(*met: tuple[int, int], doubt: float = 0.0) -> Callers:
    entity, place = (np.array(column, np.int64) for column in zip(*met, strict=True))
    return Callers.of(np.unique(pair_keys(entity, place)), ENTITIES, doubt)


def seldom(found: Callers, entity: int, place: int, known: int = 0) -> float:
    return float(found.seldom(np.array([entity]), np.array([place]), known)[0])


EVERYBODY_KNOWS_DNS = [*((at, DNS) for at in range(5)), (0, DB), (1, OUTSIDE), (6, CACHE)]


def test_a_place_hardly_anybody_knows_is_rarer_than_one_all_know():
    found = callers(*EVERYBODY_KNOWS_DNS)

    # Contacts and one more of each place: 6 with DNS, 2 with the database.
    assert seldom(found, 5, DB) == pytest.approx(2 / 8)
    assert seldom(found, 5, DNS) == 1.0
    assert seldom(found, 0, DB, known=1) == 0.0


def test_other_clusters_and_places_outside_do_not_count():
    found = callers(*EVERYBODY_KNOWS_DNS)

    assert seldom(found, 6, CACHE) == 1.0
    assert seldom(found, 5, CACHE) == 0.0


def test_few_contacts_are_not_believed():
    assert seldom(callers(*EVERYBODY_KNOWS_DNS, doubt=20.0), 5, DB) == pytest.approx(22 / 28)


def test_who_came_since_and_an_empty_store_are_not_judged_by_it():
    assert seldom(callers(*EVERYBODY_KNOWS_DNS), 7, DB) == 1.0
    assert seldom(Callers.of(pair_keys(np.empty(0, np.int64), np.empty(0, np.int64)), [], 20.0), 0, DB) == 1.0


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([DNS, DB, CACHE])), min_size=1), st.permutations(range(7)))
def test_it_is_a_share_that_grows_with_who_knows_the_place_and_no_order_matters(met, order):
    found = callers(*met, doubt=20.0)
    entity, place = (np.array(column, np.int64) for column in zip(*met, strict=True))
    renamed = Callers.of(
        np.unique(pair_keys(np.array(order)[entity], place)), [ENTITIES[at] for at in np.argsort(order)], 20.0
    )
    rows = np.array([0, 0, 0]), np.array([DNS, DB, CACHE])
    share = found.seldom(*rows)

    many = [len({e for e, p in met if p == place and e != 6}) for place in rows[1].tolist()]
    assert ((share > 0) & (share <= 1)).all()
    assert all(share[a] <= share[b] for a in range(3) for b in range(3) if many[a] <= many[b])
    assert np.array_equal(renamed.seldom(np.array(order)[rows[0]], rows[1]), share)
