from finding_samples import CORRECTED, NGINX, UPSTREAM

from ebbtide.finding.risk import Risk, RiskEvent, accumulate, is_incident, risk_of
from ebbtide.series import DAY_NS, Entity


def test_upstreams_risk_falls_on_the_cluster() -> None:
    assert risk_of(UPSTREAM, NGINX) == Risk(25.0, 50.0, 50.0, "prod", "system")


def test_ours_falls_on_the_workload() -> None:
    assert risk_of(CORRECTED, NGINX) == Risk(25.0, 50.0, 50.0, "prod/shop/checkout", "workload")


def test_an_entitys_path_cannot_be_forged() -> None:
    spec = CORRECTED.risk.model_copy(update={"object": "entity"})
    detection = CORRECTED.model_copy(update={"risk": spec})
    assert risk_of(detection, Entity("prod", "", "a/b", "c%d")).object == "prod/-/a%2Fb/c%25d"


def test_confidence_may_follow_the_finding() -> None:
    assert risk_of(CORRECTED, NGINX, confidence=90).score == 45
    assert risk_of(CORRECTED, NGINX, confidence=900).confidence == 100


def test_five_findings_of_25_in_a_day_are_an_incident_and_four_are_not() -> None:
    events = [RiskEvent("prod", "system", 25, hour) for hour in range(1, 6)]
    assert not is_incident(accumulate(events[:4], 6)["prod", "system"])
    assert is_incident(accumulate(events, 6)["prod", "system"])


def test_a_day_is_half_open_and_the_future_does_not_count() -> None:
    events = [
        RiskEvent("a", "t", 1, 0),
        RiskEvent("a", "t", 2, 1),
        RiskEvent("b", "t", 4, DAY_NS),
        RiskEvent("b", "t", 8, DAY_NS + 1),
    ]
    assert accumulate(events, DAY_NS) == {("b", "t"): 4, ("a", "t"): 2}
