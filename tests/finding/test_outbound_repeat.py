import dataclasses
import json

import pytest
from outbound_samples import NAN, evidence, mix, pair

from ebbtide.baseline.records_shipped import shipped_models
from ebbtide.detect.outbound_options import OutboundOptions
from ebbtide.finding.outbound_form import from_object, to_object
from ebbtide.finding.outbound_repeat import repeat_scores, telling_amount

OPTIONS = OutboundOptions()


def test_each_metric_is_judged_by_its_own_numbers():
    twice = repeat_scores(evidence(pair(), pair()), OPTIONS)
    more = repeat_scores(evidence(pair(sent=(9e9, 9e9, 9e9))), OPTIONS)

    assert twice[0] == twice[1]
    assert more[0] > twice[0]


def test_others_who_were_surprising_take_from_the_score():
    alone, together = (repeat_scores(evidence(pair(others_ratio=n, others_volume=n)), OPTIONS)[0] for n in (0.0, 20.0))

    assert together < alone


def test_a_fleets_own_record_models_are_those_of_its_evidence():
    one = evidence(pair())
    models = dataclasses.replace(shipped_models(), rate=shipped_models().rate + 0.5)
    own = dataclasses.replace(one, scale=dataclasses.replace(one.scale, own_models=models))

    assert repeat_scores(own, OPTIONS) != repeat_scores(one, OPTIONS)
    stored = from_object(json.loads(json.dumps(to_object(own))))
    assert repeat_scores(stored, OPTIONS) == repeat_scores(own, OPTIONS)


def test_maxima_longer_than_any_history_are_refused():
    one = pair(maxima=tuple(tuple([1.0] * 200) for _ in range(7)))
    with pytest.raises(ValueError):
        repeat_scores(dataclasses.replace(evidence(one)), OPTIONS)


def test_clues_are_judged_again_from_where_it_went():
    known, new, none = (
        repeat_scores(evidence(pair(mix=one)), OPTIONS)[0] for one in (mix(), mix(unfamiliar=9e8, overlap=0.2), None)
    )

    assert new - known == pytest.approx(4.0)
    assert new - none == pytest.approx(OPTIONS.clues.shipped_shift)  # the scale of the evidence is the one that ships


def with_threshold(one, threshold):
    return dataclasses.replace(one, threshold=threshold)


@pytest.mark.parametrize("went", [None, mix(), mix(unfamiliar=9e8, overlap=0.2)])
def test_the_amount_that_would_have_been_told_is_where_the_verdict_turns(went):
    quiet = with_threshold(evidence(pair(sent=(2e8, 3e8, 4e8), mix=went)), 2.0)
    assert repeat_scores(quiet, OPTIONS)[0] < 2.0
    amount = telling_amount(quiet, OPTIONS)

    def at(sent):
        times, more = sent / 2e8, sent - 2e8
        there = went and dataclasses.replace(went, total=went.total * times, unfamiliar=went.unfamiliar * times)
        return repeat_scores(evidence(pair(sent=(sent, 3e8 + more, 4e8 + more), mix=there)), OPTIONS)[0]

    assert at(amount) > 2.0 >= at(amount / 1.02)


def test_no_amount_tells_without_a_record_and_what_fires_is_its_own():
    fresh = with_threshold(evidence(pair(maxima=tuple((NAN,) for _ in range(7)))), 2.0)
    assert telling_amount(fresh, OPTIONS) is None
    loud = with_threshold(evidence(pair(sent=(9e9, 9e9, 9e9))), -9.0)
    assert telling_amount(loud, OPTIONS) == 9e9


@pytest.mark.parametrize(("sent", "shift"), [(1e3, 0.0), (4.9e5, 0.0), (5.1e5, OPTIONS.clues.shipped_shift)])
def test_an_hour_that_sent_next_to_nothing_is_not_shifted(sent, shift):
    strange = mix(total=sent, unfamiliar=sent, overlap=0.0)
    with_mix, without = (
        repeat_scores(evidence(pair(sent=(sent,) * 3, mix=one)), OPTIONS)[0] for one in (strange, None)
    )

    assert with_mix - without == pytest.approx(shift)
