"""Fills the `$token$`s of a detection's message and headline.

Every value is made safe for one line first, and filled values are not looked at again: a workload named `$host$` stays
what it is.
"""

from __future__ import annotations

from collections.abc import Mapping

from ebbtide.detect.detection import TOKEN, Detection
from ebbtide.finding.evidence import Evidence
from ebbtide.finding.risk import Risk
from ebbtide.finding.text import one_line
from ebbtide.finding.upstream import number_text
from ebbtide.series import Entity

#: A value in a message is cut after this many characters; Kubernetes names have at most 253.
LONGEST_VALUE = 253


def tokens_of(detection: Detection, entity: Entity, evidence: Evidence, risk: Risk, headline: str) -> dict[str, str]:
    """What each token of `MESSAGE_TOKENS` stands for. Columns that are not known read `-`."""
    cluster, process = entity.cluster or "-", entity.process or "-"
    return {
        "host": cluster,
        "source.workload.name": entity.workload or "-",
        "source.process.name": process,
        "cluster": cluster,
        "namespace": entity.namespace or "-",
        "workload": entity.workload or "-",
        "process": process,
        "entity": str(entity),
        "count": str(evidence.count),
        "metrics": ", ".join(one.metric for one in evidence.metrics),
        "headline": headline,
        "detection": detection.name,
        "risk_score": number_text(risk.score),
    }


def render(template: str, tokens: Mapping[str, str]) -> str:
    """The template with its tokens filled; unknown ones stay as they are.

    >>> render("up in $host$ by $x$", {"host": "prod"})
    'up in prod by $x$'
    """
    return TOKEN.sub(lambda match: one_line(tokens.get(match[1], match[0]), LONGEST_VALUE), template)
