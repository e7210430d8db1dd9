from ebbtide.finding.incident import Contribution, assess
from ebbtide.finding.risk import RiskEvent
from ebbtide.series import DAY_NS, HOUR_NS

NOW = 100 * DAY_NS


def grown(score: float, hours_ago: float, detection: str = "d", tactics: tuple[str, ...] = ()) -> Contribution:
    at_ns = NOW - round(hours_ago * HOUR_NS)
    return Contribution(RiskEvent("prod", "system", score, at_ns), f"f{hours_ago}", detection, tactics)


def test_four_times_25_is_no_incident_five_times_is():
    assert not assess([grown(25, at) for at in range(4)], NOW).is_incident

    assessment = assess([grown(25, at) for at in range(5)], NOW)
    assert (assessment.points, assessment.rules) == (125, ("points",))
    assert assessment.sentence("prod") == "Risk of prod: 125 points in 24 h from 5 findings"


def test_what_is_a_day_old_counts_no_more():
    assert assess([grown(80, 23.9), grown(30, 1)], NOW).rules == ("points",)
    assert assess([grown(80, 24), grown(30, 1)], NOW).rules == ()


def test_three_tactics_from_four_detections_in_a_week_are_an_incident_without_many_points():
    parts = [grown(1, 24 * day, f"d{day}", (f"t{day % 3}",)) for day in range(4)]

    assessment = assess(parts, NOW)

    assert assessment.rules == ("tactics",)
    assert len(assessment.contributions) == 4
    assert not assess(parts[1:], NOW).is_incident
    assert not assess([grown(1, day, f"d{day}", ("t",)) for day in range(9)], NOW).is_incident
    assert not assess([grown(1, 24 * (day + 6), f"d{day}", (f"t{day}",)) for day in range(4)], NOW).is_incident


def test_nothing_is_no_incident_and_the_future_does_not_count():
    assert assess([], NOW).points == 0
    assert assess([grown(500, -1)], NOW).points == 0
