from ebbtide.finding.incident import Contribution
from ebbtide.finding.risk import RiskEvent
from ebbtide.store.store import Store


def test_contributions_are_read_by_object_and_forgotten_by_age():
    parts = [
        Contribution(RiskEvent(name, "system", 25.0, at), f"f{at}", "d", ("Exfiltration",))
        for name in ("a", "b")
        for at in (10, 20)
    ]
    with Store.open() as store:
        store.risks.add(parts)

        assert store.risks.of("a", "system", 10) == [parts[1]]
        assert store.risks.of("a", "user", 0) == []
        assert len(store.risks.all(0)) == 4
        assert store.risks.forget(20) == 2
        assert store.risks.all(0) == [parts[1], parts[3]]


def test_many_objects_are_read_in_one_go_as_one_by_one():
    with Store.open() as store:
        parts = [
            Contribution(RiskEvent(f"o{at % 3}", ("system", "user")[at % 2], 1.0 + at, 10 + at), f"f{at}", "d", ("t",))
            for at in range(12)
        ]
        store.risks.add(parts)
        wanted = [("o0", "system"), ("o1", "user"), ("o9", "system")]
        read = store.risks.of_each(wanted, 10)
        assert read == {one: store.risks.of(*one, 10) for one in wanted}
        assert [len(one) for one in read.values()] == [1, 2, 0]
        assert store.risks.of_each([], 0) == {}
