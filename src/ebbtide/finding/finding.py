"""A finding: one detection, one entity, all its metrics; what is told, stored and repeated.

The record is complete in itself. As JSON it has a schema version, a fixed order of keys and times in RFC 3339 UTC, so
that stored findings, files and sinks speak of the same thing byte for byte; `form` holds that form.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass

from ebbtide.finding.annotations import Annotations
from ebbtide.finding.evidence import Evidence
from ebbtide.finding.risk import Risk
from ebbtide.finding.upstream import UpstreamRow
from ebbtide.series import Entity

#: Marks, among the names of filters, a finding held back because others of its entity were told on the same day.
HELD_BACK = "daily cap"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that left and should not have, as far as one detection can tell.

    `opened_ns` and `last_ns` are the starts of the first and last bucket above the line, `at_ns` the time of the
    evaluation. `count` is how many hits count. `hidden_by` names the filters that hide it: a hidden finding is kept.
    `HELD_BACK` stands there too. `is_late`: found in data that came after their time had been judged.
    """

    uid: str
    detection_id: str
    detection_name: str
    detection_version: str
    entity: Entity
    opened_ns: int
    last_ns: int
    at_ns: int
    headline: str
    message: str
    risk: Risk
    annotations: Annotations
    count: int
    evidence: Evidence
    upstream: UpstreamRow | None = None
    hidden_by: tuple[str, ...] = ()
    is_late: bool = False

    @property
    def is_hidden(self) -> bool:
        """Whether a filter keeps it from being delivered."""
        return bool(self.hidden_by)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Whom it is about: its entity, or the members of its fleet."""
        return tuple(one.entity for one in self.evidence.fleet) or (self.entity,)

    @property
    def riskiest(self) -> Entity:
        """On whom its evidence rests: its entity, or the riskiest member of its fleet. Act on that one."""
        foremost = max(self.evidence.fleet, key=lambda one: (one.risk, one.entity), default=None)
        return self.entity if foremost is None else foremost.entity

    @property
    def end_ns(self) -> int:
        """The end of the last bucket above the line."""
        return self.last_ns + self.evidence.bucket_ns


def uid_of(detection_uuid: uuid.UUID, detection_id: str, major: int, entity: Entity, opened_ns: int) -> str:
    """The identity of a finding: UUIDv5 in the namespace of its detection's uuid.

    Of the detection's id and major version, the entity and the start of the first bucket above the line: neither the
    order of evaluations nor what came after plays a part. The parts are one JSON list, so that no two can run together.
    """
    parts = [detection_id, major, entity.cluster, entity.namespace, entity.workload, entity.process, opened_ns]
    return str(uuid.uuid5(detection_uuid, json.dumps(parts)))
