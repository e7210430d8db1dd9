"""When the risk of an object is an incident, and what is told of it.

Two rules, those a Splunk ES ships with: more than 100 points within 24 hours; or, within 7 days, at least 3 ATT&CK
tactics from at least 4 detections, however few points. (Sources: the saved searches "Risk - 24 Hour Risk Threshold
Exceeded - Rule" and "Risk - 7 Day ATT&CK Tactic Threshold Exceeded - Rule", as the Splunk RBA community's
documentation repeats them.)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ebbtide.finding.risk import RiskEvent, accumulate, is_incident
from ebbtide.finding.text import count_text
from ebbtide.series import DAY_NS

#: The second rule looks back so long.
TACTICS_SPAN_NS = 7 * DAY_NS
TACTICS_LEAST = 3
DETECTIONS_LEAST = 4


@dataclass(frozen=True, slots=True)
class Contribution:
    """One growth of risk with what it came from: the finding's uid, its detection, its ATT&CK tactics."""

    event: RiskEvent
    finding: str
    detection: str
    tactics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Assessment:
    """The risk of one object at one instant: points of 24 h, tactics and detections of 7 days, and which rules hold.

    `contributions` are those of the rules that hold, oldest first.
    """

    points: float
    tactics: tuple[str, ...]
    detections: tuple[str, ...]
    rules: tuple[str, ...]
    contributions: tuple[Contribution, ...]

    @property
    def is_incident(self) -> bool:
        """Whether a rule holds."""
        return bool(self.rules)

    def sentence(self, name: str) -> str:
        """What is told in one line."""
        findings = len({one.finding for one in self.contributions})
        plural = "" if findings == 1 else "s"
        told = f"Risk of {name}: {count_text(self.points)} points in 24 h from {findings} finding{plural}"
        if "tactics" in self.rules:
            told += f"; {len(self.tactics)} ATT&CK tactics from {len(self.detections)} detections in 7 days"
        return told


def assess(contributions: Iterable[Contribution], now_ns: int) -> Assessment:
    """The risk of the one object these are about, as of `now_ns`."""
    known = sorted(
        (one for one in contributions if now_ns - TACTICS_SPAN_NS < one.event.at_ns <= now_ns),
        key=lambda one: (one.event.at_ns, one.finding),
    )
    points = sum(accumulate((one.event for one in known), now_ns).values())
    tactics = tuple(sorted({tactic for one in known for tactic in one.tactics}))
    detections = tuple(sorted({one.detection for one in known}))
    rules = []
    if is_incident(points):
        rules.append("points")
    if len(tactics) >= TACTICS_LEAST and len(detections) >= DETECTIONS_LEAST:
        rules.append("tactics")
    if "tactics" not in rules:
        known = [one for one in known if one.event.at_ns > now_ns - DAY_NS]
    return Assessment(points, tactics, detections, tuple(rules), tuple(known))
