"""Evidence of the novelty detector: its form, its repetition, its words.

Covers `ebbtide.finding.novelty_evidence`, `ebbtide.finding.novelty_form`, `ebbtide.finding.novelty_repeat` and
`ebbtide.finding.novelty_words`.
"""

from __future__ import annotations

import dataclasses
import json
import math

import pytest

from ebbtide.detect.novelty import Facts
from ebbtide.detect.novelty_options import Channel, NoveltyOptions
from ebbtide.finding.evidence import DestinationShare
from ebbtide.finding.novelty_evidence import NewPlaces, NoveltyEvidence
from ebbtide.finding.novelty_form import from_object, to_object
from ebbtide.finding.novelty_repeat import repeat_score
from ebbtide.finding.novelty_words import explain_novelty, novelty_contributions, novelty_headline, quiet_amount
from ebbtide.series import Endpoint, EndpointClass, Entity

OPTIONS = NoveltyOptions()
CURL = Entity("prod", "shop", "checkout", "curl")
FACTS = {one.name: 0.0 for one in dataclasses.fields(Facts)} | {
    "sent": 12e6, "days": 20.0, "udp_sent": 3e6, "silent_days": 6.0, "had_udp": 1.0,
    "destinations": 15.0, "most_destinations": 2.0,
}  # fmt: skip


def evidence(main: Channel = Channel.OUTSIDE, **changes: object) -> NoveltyEvidence:
    parts = tuple(1.5 if channel is main else -math.inf for channel in Channel)
    fields: dict[str, object] = {
        "score": 1.5, "threshold": 0.0, "budget": 1.0, "parts": parts, "facts": FACTS,
        "outside": NewPlaces(3, 11e6, 9e6, 0), "inside": None, "usual": OPTIONS.usual, "shift": (0.0,) * 6,
    }  # fmt: skip
    return NoveltyEvidence(**(fields | changes))


def test_evidence_survives_json():
    text = json.dumps(to_object(evidence(inside=NewPlaces(1, 5.0, 5.0, 0))), allow_nan=False)
    again = from_object(json.loads(text))

    assert to_object(again) == to_object(evidence(inside=NewPlaces(1, 5.0, 5.0, 0)))
    assert again.main is Channel.OUTSIDE


@pytest.mark.parametrize(
    "change", [{"usual": []}, {"facts": {}}, {"score": "much"}, {"parts": {}}, {"shift": ["inf"] * 6}, {"outside": {}}]
)
def test_what_is_no_evidence_is_refused(change):
    with pytest.raises((ValueError, KeyError, TypeError)):
        from_object(to_object(evidence()) | change)


def test_the_score_is_repeated_from_the_evidence_alone():
    score = repeat_score(evidence(), OPTIONS)
    expected = -math.log(1000 * 0.3 / 21 * 1.15 * 1e5 / 9e6) + math.log(0.3)

    assert score == pytest.approx(expected)
    assert repeat_score(evidence(shift=(2.0,) * 6), OPTIONS) < score


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (Channel.OUTSIDE, "sent 12 MB in 1 h, 11 MB of it to 3 destinations it never sent to before"),
        (Channel.PROCESS, "curl in shop/checkout, a process never seen in this workload, sent 12 MB"),
        (Channel.SILENCE, "curl in shop/checkout, silent for 6 days, sent 12 MB"),
        (Channel.UDP, "sent UDP for the first time, 3.0 MB in 1 h"),
        (Channel.FAN_OUT, "sent to 15 destinations (never more than 2)"),
    ],
)
def test_every_channel_has_its_sentence(main, words):
    place = DestinationShare(Endpoint(workload="203.0.113.9", kind=EndpointClass.EXTERNAL), 11.6e6, 0.97, None)
    sentence = novelty_headline(CURL, evidence(main), "bytes", (place,))

    assert words in sentence
    assert sentence.endswith("; 97 % of it to 203.0.113.9, never seen before")
    assert "which decided" in "\n".join(explain_novelty(evidence(main), "bytes"))


def test_one_destination_in_the_cluster_reads_well():
    found = evidence(Channel.INSIDE, inside=NewPlaces(1, 9e6, 9e6, 0))

    assert "9.0 MB of it to a destination in the cluster it never sent to before" in novelty_headline(
        CURL, found, "bytes", ()
    )


def test_nothing_new_is_said_so():
    quiet = evidence(score=-math.inf, parts=(-math.inf,) * 6, outside=None)

    assert explain_novelty(quiet, "bytes") == ["Nothing new about it; known for 20 days."]


def test_what_would_have_stayed_quiet_is_told_in_the_same_unit():
    assert quiet_amount(evidence(), 12e6, 1.0) == pytest.approx(12e6 / math.exp(1.5))


@pytest.mark.parametrize(("stranger", "where"), [(1.0, "first in the cluster"), (0.0, "within two days")])
def test_a_beacon_is_told_as_one_unless_a_record_of_fan_out_is_broken_too(stranger, where):
    found = evidence(Channel.FAN_OUT)
    beat = {**found.facts, "steady_hours": 24.0, "is_steady_stranger": stranger}
    beacon = dataclasses.replace(found, facts=beat)
    both = dataclasses.replace(found, facts={**beat, "destinations": 400.0})

    told = f"sent the same amount every hour for 24 hours to a place it met {where}"
    assert told in novelty_headline(CURL, beacon, "bytes", ())
    assert any(told in cells[1] for cells in novelty_contributions(beacon, "bytes"))
    assert "sent to 400 destinations" in novelty_headline(CURL, both, "bytes", ())
