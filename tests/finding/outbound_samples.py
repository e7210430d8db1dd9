"""Evidence of the outbound detector in small."""

from __future__ import annotations

import math

import numpy as np

from ebbtide.detect.outbound_scale_form import DayScale
from ebbtide.detect.outbound_shipped import shipped_scale
from ebbtide.finding.outbound_evidence import MixEvidence, OutboundEvidence, PairEvidence, Part

NAN = math.nan


def part(statistic: str = "RATIO_1H", value: float = 4.0, record: float = 1.0, days: float = 900.0) -> Part:
    return Part(statistic, value, record, 12, math.log(days), days, 29)


def pair(*parts: Part, **changes: object) -> PairEvidence:
    fields: dict[str, object] = {
        "metric": "tcp.bytes",
        "floor": 10e6,
        "sent": (1.2e9, 1.3e9, 2e9),
        "received": (36e6, 60e6, 90e6),
        "covered": (1.0, 1.0, 0.9),
        "score": 1.5,
        "ratio": 1.5,
        "volume": -math.inf,
        "others_ratio": 0.0,
        "others_volume": 0.0,
        "has_received": True,
        "usual_volume": 18.0,
        "usual_inbound": NAN,
        "usual_ratio": 0.1,
        "ratio_spread": 0.2,
        "cusum": 0.0,
        "maxima": tuple((NAN, 1.0, 2.5) for _ in range(7)),
        "parts": parts or (part(), part("VOLUME_1H", 20.9, 18.7, 200.0)),
    }
    return PairEvidence(**(fields | changes))  # type: ignore[arg-type]  # a mapping of fields of several types


def mix(**changes: float) -> MixEvidence:
    fields = {"total": 1.2e9, "unfamiliar": 24e6, "overlap": 0.9, "line": 0.8}
    fields |= {"known_places": 0.0, "usual_mix": 0.0, "shift": 0.0}
    return MixEvidence(**(fields | changes))


def evidence(*pairs: PairEvidence, score: float = 1.5) -> OutboundEvidence:
    scale = DayScale(shipped_scale(100), np.array([1.0, 10.0]), np.array([-0.24, -2.4]), 100, is_own=False)
    return OutboundEvidence(score, -2.4, 10.0, 13, scale, pairs or (pair(),))
