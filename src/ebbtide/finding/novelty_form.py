"""Evidence of the novelty detector as JSON and back; part of a finding's form, schema version 1."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ebbtide.detect.novelty import Facts
from ebbtide.detect.novelty_options import Channel
from ebbtide.finding.novelty_evidence import NewPlaces, NoveltyEvidence
from ebbtide.finding.text import parse_rfc3339, rfc3339

_FACTS = tuple(one.name for one in fields(Facts))
#: Facts that older findings do not have; they were judged without.
_SINCE = ("in_probation", "is_familiar", "steady_hours", "is_steady_stranger")


def to_object(one: NoveltyEvidence) -> dict[str, object]:
    """The evidence as JSON-ready dictionaries and lists; a channel in which nothing is new is null."""
    return {
        "score": one.score,
        "threshold": one.threshold,
        "budget": one.budget,
        "at": rfc3339(one.at_ns) if one.at_ns else None,
        "parts": {
            channel.name.lower(): part if math.isfinite(part) else None
            for channel, part in zip(Channel, one.parts, strict=True)
        },
        "facts": {name: one.facts[name] for name in _FACTS},
        "outside": None if one.outside is None else _places(one.outside),
        "inside": None if one.inside is None else _places(one.inside),
        "usual": list(one.usual),
        "shift": list(one.shift),
        "image": {"version": one.image, "since": rfc3339(one.image_since_ns)} if one.image else None,
    }


def from_object(found: Mapping[str, Any]) -> NoveltyEvidence:
    """The evidence that `to_object` made. Raises KeyError, TypeError or ValueError for anything else."""
    usual, shift = (tuple(_finite(value) for value in found[name]) for name in ("usual", "shift"))
    if len(usual) != len(Channel) or len(shift) != len(Channel):
        raise ValueError("novelty evidence with another number of channels")
    image = found.get("image")
    parts = (found["parts"][channel.name.lower()] for channel in Channel)
    return NoveltyEvidence(
        _finite(found["score"]),
        _finite(found["threshold"]),
        _finite(found["budget"]),
        tuple(-math.inf if part is None else _finite(part) for part in parts),
        {name: _fact(found["facts"], name) for name in _FACTS},
        _read_places(found["outside"]),
        _read_places(found["inside"]),
        usual,
        shift,
        parse_rfc3339(found["at"]) if found.get("at") else 0,
        str(image["version"]) if image else "",
        parse_rfc3339(image["since"]) if image else 0,
    )


def _fact(facts: Mapping[str, Any], name: str) -> float:
    return _finite(facts.get(name, 0.0) if name in _SINCE else facts[name])


def _places(one: NewPlaces) -> dict[str, object]:
    numbers = {"count": one.count, "sent": one.sent, "deciding": one.deciding, "rank": one.rank}
    return {**numbers, "is_familiar": one.is_familiar, "seldom": one.seldom}


def _read_places(found: Mapping[str, Any] | None) -> NewPlaces | None:
    if found is None:
        return None
    sent, deciding = _finite(found["sent"]), _finite(found["deciding"])
    familiar, seldom = bool(found.get("is_familiar", False)), _finite(found.get("seldom", 1.0))
    return NewPlaces(int(found["count"]), sent, deciding, int(found["rank"]), familiar, seldom)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r:.40} is no finite number")
    return number
