"""Findings of several parts: `ebbtide.finding.joined` and `ebbtide.finding.joined_words`."""

from __future__ import annotations

import dataclasses

import pytest
from joined_samples import AMOUNT, AROUND, CURL, DETECTION, NOW_NS, amount, new
from outbound_samples import evidence, pair
from test_novelty_evidence import evidence as new_evidence

from ebbtide.detect.novelty_options import Channel
from ebbtide.finding.assemble_outbound import outbound_finding
from ebbtide.finding.evidence import repeat
from ebbtide.finding.explain import explain
from ebbtide.finding.form import from_json, to_json
from ebbtide.finding.joined import join, part_risks, parts_of, with_kept
from ebbtide.finding.joined_words import explain_joined, joined_headline
from ebbtide.finding.lifecycle import Change, advance
from ebbtide.incidents import contributions_of
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, MINUTE_NS


def test_both_parts_are_one_sentence():
    assert join(DETECTION, amount(), new()).headline == (
        "curl in shop/checkout sent 1.2 GB in 1 h, 6.0 x its record hour, expected once in 2 years, "
        "97 % to 203.0.113.9, never seen before, in an hour 11 MB to 3 destinations it never sent to before, "
        "and it does not receive in proportion (36 MB)"
    )


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (Channel.PROCESS, "curl in shop/checkout, a process never seen in this workload, sent 1.2 GB in 1 h"),
        (Channel.SILENCE, "curl in shop/checkout, silent for 6 days, sent 1.2 GB in 1 h"),
        (Channel.UDP, ", its first UDP (3.0 MB)"),
        (Channel.FAN_OUT, ", in an hour to 15 destinations (never more than 2) and opened 0 connections"),
    ],
)
def test_every_kind_of_news_has_its_place_in_the_sentence(main, words):
    assert words in join(DETECTION, amount(), new(found=new_evidence(main))).headline


def test_what_receives_in_proportion_is_not_said_to():
    plain = evidence(pair(ratio=0.5, volume=1.5))

    assert "in proportion" not in join(DETECTION, amount(found=plain), new()).headline


def test_one_part_alone_says_what_it_always_said():
    assert joined_headline(CURL, amount().evidence) == amount().headline
    assert joined_headline(CURL, new().evidence) == new().headline
    assert with_kept(amount(), amount(NOW_NS + HOUR_NS)) == amount(NOW_NS + HOUR_NS)


def test_the_explanation_shows_each_part_with_its_time_and_what_would_have_kept_it_quiet():
    told = "\n".join(explain(join(DETECTION, amount(), new()), DETECTION))

    assert "How unusual: two parts say so." in told
    assert "Its amount, as of 2024-10-04T10:00:00Z: 0.2 findings this surprising" in told
    assert "once in 2 years" in told
    assert "What is new, as of 2024-10-04T10:00:00Z: 0.2 findings this surprising" in told
    assert "the option budget below 0.24 (it counts 10 and 1)" in told
    assert "Added to it: 58.1 by outbound, 58.1 by novelty." in told
    assert len(explain_joined(new().evidence)) < len(explain_joined(join(DETECTION, amount(), new()).evidence))


def test_it_is_surer_than_either_part_and_adds_the_risk_of_each():
    both = join(DETECTION, amount(), new())

    assert both.risk.confidence > amount().risk.confidence
    assert both.risk.score == pytest.approx(both.risk.impact * both.risk.confidence / 100)
    assert part_risks(both) == {"outbound": amount().risk.score, "novelty": new().risk.score}


def test_a_part_that_stops_firing_keeps_its_evidence():
    first = advance((), [join(DETECTION, amount(), new(metrics=("tcp.bytes", "udp.bytes")))], NOW_NS)
    later = advance(first.episodes, [amount(NOW_NS + 2 * HOUR_NS)], NOW_NS + 2 * HOUR_NS)
    [(change, episode)] = later.changes
    kept = episode.finding

    assert change is Change.UPDATED and kept.uid == first.episodes[0].finding.uid
    assert kept.evidence.novelty.at_ns == NOW_NS and kept.evidence.outbound.at_ns == NOW_NS + 2 * HOUR_NS
    assert [one.metric for one in kept.evidence.metrics] == ["tcp.bytes", "udp.bytes"]
    assert "in an hour 11 MB to 3 destinations" in kept.headline and kept.message.startswith(kept.headline[:200])
    assert to_json(from_json(to_json(kept))) == to_json(kept)


def test_a_headline_of_the_detections_own_stays():
    own = DETECTION.model_copy(update={"headline": "look at $process$"})
    later = outbound_finding(own, CURL, AMOUNT, NOW_NS + HOUR_NS, 30, AROUND)
    kept = with_kept(new(), later)

    assert kept.headline == "look at curl" and set(parts_of(kept.evidence)) == {"outbound", "novelty"}
    assert join(own, later, new(NOW_NS + HOUR_NS)).headline == "look at curl"


def test_a_part_found_late_joins_what_is_known_and_adds_its_risk_once():
    known = advance((), [amount(NOW_NS + HOUR_NS)], NOW_NS + HOUR_NS).episodes
    late = dataclasses.replace(new(), is_late=True)
    step = advance(known, [late], NOW_NS)
    again = advance(step.episodes, [late], NOW_NS)

    assert [change for change, _ in step.changes] == [Change.UPDATED] and again.changes == ()
    assert step.episodes[0].finding.is_late and step.episodes[0].finding.last_ns == known[0].finding.last_ns
    added = contributions_of(DETECTION, [late], step.changes, [*known, *step.episodes])
    assert [(one.detection, one.event.score) for _, one in added] == [("novelty", new().risk.score)]


def test_each_part_adds_its_risk_when_it_first_fires():
    opened = advance((), [amount()], NOW_NS)
    joined = advance(opened.episodes, [join(DETECTION, amount(NOW_NS + MINUTE_NS), new(NOW_NS + MINUTE_NS))], NOW_NS)
    added = [
        contributions_of(DETECTION, found, step.changes, [*before, *step.episodes])
        for found, step, before in (
            ([amount()], opened, ()),
            ([join(DETECTION, amount(NOW_NS + MINUTE_NS), new(NOW_NS + MINUTE_NS))], joined, opened.episodes),
        )
    ]

    assert [[one.detection for _, one in each] for each in added] == [["outbound"], ["novelty"]]
    strong = [part_risks(dataclasses.replace(joined.episodes[0].finding))]
    assert sum(strong[0].values()) == pytest.approx(sum(one.event.score for each in added for _, one in each))


def test_a_record_without_any_part_repeats_nothing():
    bare = dataclasses.replace(amount().evidence, outbound=None)

    assert not repeat(bare, DETECTORS["joined"]).agrees
