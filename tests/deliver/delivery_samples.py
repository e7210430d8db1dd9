"""Deliveries for tests: the finding of nginx sending 4.2 GB, and one whose every name is hostile."""

from __future__ import annotations

import dataclasses

from finding_samples import NOON_NS, sample

from ebbtide.deliver.sink import Delivery
from ebbtide.finding.lifecycle import CLOSE_AFTER_NS, Change, Episode
from ebbtide.series import Entity

NASTY = '=1+1 @everyone <!here> <script>x</script> *b* [x](http://e) "q" ]\\ ${x} $uid$ \r\nBcc: a@b\x1b[31m\u202e\x00'


def delivery(change: Change = Change.OPENED, **changes: object) -> Delivery:
    finding = sample()
    closed_ns = finding.end_ns + CLOSE_AFTER_NS if change is Change.CLOSED else None
    made = Delivery("u/1", change, finding, NOON_NS, closed_ns, link="https://ebbtide.example/findings/u")
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def nasty() -> Delivery:
    entity = Entity(NASTY, NASTY, NASTY, NASTY)
    finding = sample(entity=entity, detection_name=NASTY, message=NASTY, headline=NASTY)
    return delivery(finding=dataclasses.replace(finding, risk=dataclasses.replace(finding.risk, object=NASTY)))


def episode(**changes: object) -> Episode:
    finding = sample(**changes)
    return Episode(finding, finding.count)
