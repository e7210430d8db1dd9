"""Findings of both parts of the joined detection in small."""

from __future__ import annotations

import dataclasses
import math

from outbound_samples import evidence, pair, part
from test_novelty_evidence import evidence as new_evidence

from ebbtide.detect.catalogue import load
from ebbtide.finding.assemble_novelty import novelty_finding
from ebbtide.finding.assemble_outbound import Around, outbound_finding
from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.finding import Finding
from ebbtide.finding.novelty_evidence import NoveltyEvidence
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, Endpoint, EndpointClass, Entity

DETECTION = load(DETECTORS).get("joined")
CURL = Entity("prod", "shop", "checkout", "curl")
NOW_NS = 20_000 * DAY_NS + 10 * HOUR_NS
STRANGER = DestinationShare(Endpoint(workload="203.0.113.9", kind=EndpointClass.EXTERNAL), 1.16e9, 0.97, None)
AROUND = Around((STRANGER,), {"tcp.bytes": 1e6})
AMOUNT = evidence(pair(part(), part("VOLUME_1H", 18.7 + math.log(6), 18.7, 120.0)))


def amount(at_ns: int = NOW_NS, found=AMOUNT) -> Finding:
    return outbound_finding(DETECTION, CURL, dataclasses.replace(found, at_ns=at_ns), at_ns, 30, AROUND)


def new(at_ns: int = NOW_NS, found: NoveltyEvidence | None = None, metrics=("tcp.bytes",)) -> Finding:
    said = dataclasses.replace(found or new_evidence(), at_ns=at_ns)
    return novelty_finding(DETECTION, CURL, said, dict.fromkeys(metrics, 12e6), at_ns, AROUND)
