from ebbtide.finding.filters import Filter, parse_matchers
from ebbtide.store.filters import Filters
from ebbtide.store.store import Store


def named(name: str, workload: str = "a") -> Filter:
    return Filter(name, parse_matchers(f'{{workload="{workload}"}}'), "ann", "nightly", 5)


def test_a_filter_is_kept_once_under_its_name():
    with Store.open() as store:
        assert isinstance(store.filters, Filters)
        store.filters.save(named("b"))
        store.filters.save(named("a"))
        store.filters.save(named("b", "other"))

        assert store.filters.all() == [named("a"), named("b", "other")]
        assert store.filters.remove("a")
        assert not store.filters.remove("a")
        assert store.filters.all() == [named("b", "other")]
