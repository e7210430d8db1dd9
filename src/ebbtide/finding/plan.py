"""Planned changes: who will behave unusually, from when to when, and who said so.

A migration or a load test is announced, and findings that lie wholly within its time are marked as by a filter; what
begins before or goes on after is told. Whether the time is learned from is stated, not guessed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from ebbtide.errors import DataError
from ebbtide.finding.filters import Matcher, matchers_text, parse_matchers
from ebbtide.finding.finding import Finding
from ebbtide.finding.text import parse_rfc3339, rfc3339
from ebbtide.series import Entity

#: What a mark of a plan begins with, beside the names of filters.
MARK = "plan:"
#: What a plan may be called, as a pattern: its name is a step of an address too.
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
#: A plan is about senders, so that its time can be masked.
PLAN_FIELDS = ("cluster", "namespace", "workload", "process")


@dataclass(frozen=True, slots=True)
class Plan:
    """A change announced by `owner`, in [from_ns, to_ns). `is_masked`: its time is not learned from."""

    name: str
    matchers: tuple[Matcher, ...]
    from_ns: int
    to_ns: int
    owner: str
    reason: str
    is_masked: bool = False

    @property
    def mark(self) -> str:
        """What stands in a finding's `hidden_by`."""
        return f"{MARK}{self.name}"

    @property
    def mask_reason(self) -> str:
        """What its masks are found by."""
        return f"plan {self.name}"

    def is_about(self, entity: Entity) -> bool:
        """Whether the change is this entity's."""
        return all(matcher.accepts(getattr(entity, matcher.field)) for matcher in self.matchers)

    def covers(self, finding: Finding) -> bool:
        """Whether the finding is this change's, all members of a fleet included, and lies wholly within its time."""
        is_within = self.from_ns <= finding.opened_ns and finding.end_ns <= self.to_ns
        return is_within and all(map(self.is_about, finding.entities))


def plan_to_json(one: Plan) -> str:
    """A plan as one JSON object."""
    return json.dumps(
        {
            "name": one.name,
            "matchers": matchers_text(one.matchers),
            "from": rfc3339(one.from_ns),
            "to": rfc3339(one.to_ns),
            "owner": one.owner,
            "reason": one.reason,
            "masked": one.is_masked,
        }
    )


def plan_from_json(text: str) -> Plan:
    """The plan that `plan_to_json` wrote. Raises DataError for anything else."""
    try:
        found = json.loads(text)
        return Plan(
            str(found["name"]),
            parse_matchers(str(found["matchers"])),
            parse_rfc3339(found["from"]),
            parse_rfc3339(found["to"]),
            str(found["owner"]),
            str(found["reason"]),
            bool(found["masked"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"not a stored plan: {error}", hint="remove it and add it again") from error
