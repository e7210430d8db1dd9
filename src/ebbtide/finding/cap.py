"""How many findings of one entity are told on one day, so that a noisy one cannot use up the budget of all.

What is held back is kept and marked like a filtered finding, so it is listed and counted; it adds no risk and is not
delivered. A finding that is surer than each that was told is told in any case: a small one must not clear the way for
a large one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from ebbtide.finding.finding import HELD_BACK, Finding
from ebbtide.series import DAY_NS


def capped(finding: Finding, others: Iterable[Finding]) -> Finding:
    """The finding, marked `HELD_BACK` where enough of its entity were told on the day it opened, else without the mark.

    `others` are findings of the same entity and detection. A detection whose options have no `findings_per_entity_day`
    has no cap.
    """
    most = finding.evidence.options.get("findings_per_entity_day")
    marks = tuple(mark for mark in finding.hidden_by if mark != HELD_BACK)
    if isinstance(most, int):
        day = finding.opened_ns // DAY_NS
        told = [
            one.risk.score
            for one in others
            if one.uid != finding.uid and one.opened_ns // DAY_NS == day and HELD_BACK not in one.hidden_by
        ]
        if len(told) >= most and finding.risk.score <= max(told):
            marks = (HELD_BACK, *marks)
    return finding if marks == finding.hidden_by else dataclasses.replace(finding, hidden_by=marks)
