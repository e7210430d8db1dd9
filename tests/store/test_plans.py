from ebbtide.finding.filters import parse_matchers
from ebbtide.finding.plan import Plan
from ebbtide.store.store import Store


def test_a_plan_is_kept_replaced_and_removed():
    one = Plan("move", parse_matchers('{workload="a"}'), 1, 2, "ann", "x")
    with Store.open() as store:
        store.plans.save(one)
        store.plans.save(one)

        assert store.plans.all() == [one]
        assert store.plans.remove("move")
        assert not store.plans.remove("move")
        assert store.plans.all() == []
