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
