"""Notices: incidents and states of the service, in the form of a finding, so that every sink can tell them.

A notice has no hits and no destinations; its detection id says what it is (`risk_incident`, `source_silent`,
`heartbeat`), and is what a sink's receiver tells it from a finding about traffic by. It opens, is updated and closes
like one; a heartbeat only comes.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from ebbtide.finding.annotations import Annotations
from ebbtide.finding.evidence import Evidence
from ebbtide.finding.finding import Finding
from ebbtide.finding.risk import Risk
from ebbtide.finding.text import one_line
from ebbtide.series import MINUTE_NS, Entity

#: The namespace of all notices' uids.
_NAMESPACE = uuid.UUID("0d4f4c5e-6b7a-4f0e-9a53-8a3a2f1f7a10")
_VERSION = "1.0.0"
#: Sentences may list several findings.
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Kind:
    """What sort of notice: its id, its name for people, and its type in the SIEM."""

    id: str
    name: str
    type: str


INCIDENT = Kind("risk_incident", "Risk of an object above the threshold", "Correlation")
HEARTBEAT = Kind("heartbeat", "EbbtideHeartbeat", "Health")
SILENCE = Kind("source_silent", "Telemetry of a cluster is silent", "Health")


def uid_of_notice(kind: Kind, subject: str, opened_ns: int) -> str:
    """The identity of a notice: its kind, what it is about, and when it began."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind.id}\n{opened_ns}\n{subject}"))


def notice(
    kind: Kind,
    subject: str,
    entity: Entity,
    opened_ns: int,
    at_ns: int,
    headline: str,
    risk: Risk,
    *,
    message: str = "",
    annotations: Annotations | None = None,
    count: int = 1,
    details: Mapping[str, object] | None = None,
) -> Finding:
    """A notice about `subject`, as of `at_ns`; `details` stand in its evidence as options, for machines."""
    until_ns, said = max(at_ns, opened_ns), dict(details or {})
    window = Evidence(
        kind.id, said, _VERSION, opened_ns, until_ns, MINUTE_NS, opened_ns, opened_ns, False, count, (), ()
    )
    text = one_line(headline, _LONGEST)
    return Finding(
        uid_of_notice(kind, subject, opened_ns),
        kind.id,
        kind.name,
        _VERSION,
        entity,
        opened_ns,
        max(at_ns, opened_ns),
        at_ns,
        text,
        one_line(message, _LONGEST) if message else text,
        risk,
        annotations or Annotations((), (), (), (), (), (), kind.type, "network"),
        count,
        window,
    )
