import dataclasses

import pytest
from finding_samples import sample

from ebbtide.errors import DataError
from ebbtide.finding.filters import parse_matchers
from ebbtide.finding.plan import Plan, plan_from_json, plan_to_json

FINDING = sample()
PLAN = Plan(
    "move", parse_matchers('{workload="checkout"}'), FINDING.opened_ns, FINDING.end_ns, "ann", "a migration", True
)


def test_only_findings_wholly_within_its_time_are_its_own():
    assert PLAN.covers(FINDING)
    assert not PLAN.covers(dataclasses.replace(FINDING, opened_ns=FINDING.opened_ns - 1))
    assert not PLAN.covers(dataclasses.replace(FINDING, last_ns=FINDING.last_ns + 1))
    assert not dataclasses.replace(PLAN, matchers=parse_matchers('{workload="x"}')).covers(FINDING)


def test_json_gives_it_back_and_anything_else_is_refused():
    assert plan_from_json(plan_to_json(PLAN)) == PLAN
    with pytest.raises(DataError):
        plan_from_json("{}")
