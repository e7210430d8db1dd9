"""Evidence of the outbound detector as JSON and back; part of a finding's form, schema version 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ebbtide.detect import outbound_scale_form
from ebbtide.finding.outbound_evidence import MixEvidence, OutboundEvidence, PairEvidence, Part
from ebbtide.finding.text import parse_rfc3339, rfc3339

_MIX = ("total", "unfamiliar", "overlap", "line", "known_places", "usual_mix", "shift")
_VECTORS = ("sent", "received", "covered")
_NUMBERS = (
    *("floor", "score", "ratio", "volume", "others_ratio", "others_volume", "usual_volume", "usual_inbound"),
    *("usual_ratio", "ratio_spread", "cusum"),
)


def to_object(one: OutboundEvidence) -> dict[str, object]:
    """The evidence as JSON-ready dictionaries and lists; what is not known is null."""
    return {
        "score": _number(one.score),
        "threshold": _number(one.threshold),
        "budget": one.budget,
        "at": rfc3339(one.at_ns) if one.at_ns else None,
        "hour": one.hour,
        "scale": outbound_scale_form.to_object(one.scale),
        "pairs": [_pair(pair) for pair in one.pairs],
    }


def from_object(found: Mapping[str, Any]) -> OutboundEvidence:
    """The evidence that `to_object` made. Raises KeyError, TypeError, ValueError or DataError for anything else."""
    pairs = tuple(_read_pair(pair) for pair in found["pairs"])
    if not pairs:
        raise ValueError("outbound evidence without a metric")
    return OutboundEvidence(
        _read(found["score"]),
        _read(found["threshold"]),
        float(found["budget"]),
        int(found["hour"]),
        outbound_scale_form.from_object(found["scale"]),
        pairs,
        parse_rfc3339(found["at"]) if found.get("at") else 0,
    )


def _pair(one: PairEvidence) -> dict[str, object]:
    row: dict[str, object] = {"metric": one.metric, "has_received": one.has_received}
    row |= {name: [_number(value) for value in getattr(one, name)] for name in _VECTORS}
    row |= {name: _number(getattr(one, name)) for name in _NUMBERS}
    row["maxima"] = [[_number(value) for value in days] for days in one.maxima]
    row["parts"] = [
        {
            "statistic": part.statistic,
            "value": _number(part.value),
            "record": _number(part.record),
            "record_days_ago": part.record_days_ago,
            "surprise": part.surprise,
            "return_days": _number(part.return_days),
            "days": part.days,
        }
        for part in one.parts
    ]
    row["mix"] = None if one.mix is None else {name: _number(getattr(one.mix, name)) for name in _MIX}
    return row


def _read_pair(found: Mapping[str, Any]) -> PairEvidence:
    # `Any`: a mapping of names to fields of two types.
    fields: dict[str, Any] = {name: _read(found[name]) for name in _NUMBERS}
    fields |= {name: tuple(_read(value) for value in found[name]) for name in _VECTORS}
    return PairEvidence(
        metric=str(found["metric"]),
        has_received=bool(found["has_received"]),
        maxima=tuple(tuple(_read(value) for value in days) for days in found["maxima"]),
        parts=tuple(_read_part(part) for part in found["parts"]),
        mix=MixEvidence(*(_read(found["mix"][name]) for name in _MIX)) if found.get("mix") else None,
        **fields,
    )


def _read_part(found: Mapping[str, Any]) -> Part:
    ago = found["record_days_ago"]
    return Part(
        str(found["statistic"]),
        _read(found["value"]),
        _read(found["record"]),
        None if ago is None else int(ago),
        float(found["surprise"]),
        _read(found["return_days"]),
        int(found["days"]),
    )


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return float(value) if math.isfinite(value) else str(float(value))


def _read(value: Any) -> float:
    return math.nan if value is None else float(value)
