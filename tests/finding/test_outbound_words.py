import pytest
from outbound_samples import NAN, evidence, mix, pair, part

from ebbtide.finding.outbound_words import (
    clue_lines,
    contributions,
    explain_outbound,
    outbound_headline,
    period_text,
    rarity,
    window_of,
)
from ebbtide.series import Entity

CURL = Entity("prod", "shop", "checkout", "curl")


def test_the_sentence_of_a_lopsided_hour():
    said = outbound_headline(CURL, evidence(), "bytes", ())

    assert said == (
        "curl in shop/checkout sent 1.2 GB in 1 h and received 36 MB, 20 x as lopsided as on any day before, "
        "expected once in 2 years"
    )


def test_a_source_that_does_not_tell_what_is_received_is_not_said_to_receive_nothing():
    said = outbound_headline(CURL, evidence(pair(part("VOLUME_24H", 21, 19), has_received=False)), "bytes", ())

    assert said == "curl in shop/checkout sent 2.0 GB in 1 d, 7.4 x its record, expected once in 2 years"


def test_a_frequent_surprise_is_not_called_rare_and_a_tie_no_record():
    one = pair(part("USUAL_HOUR", 1.01, 1.0, days=3))

    assert rarity(one) == ""
    assert outbound_headline(CURL, evidence(one), "bytes", ()).endswith("received 36 MB")
    assert window_of(one) == 0
    assert window_of(pair(part("RATIO_6H"))) == 1


def test_every_statistic_that_adds_is_told_with_its_record():
    told = explain_outbound(evidence(pair(others_ratio=4.0)), "bytes")

    assert told[0] == (
        "How unusual: 0.2 findings this surprising are expected per 1000 entity-days; the budget accepts 10 "
        "(score 1.50, told from -2.40 on)."
    )
    assert told[1].startswith("tcp.bytes: 1.2 GB sent and 36 MB received in 1 h;")
    assert "20 x its record of 12 valid days ago (29 days known), a day like this once in 2 years" in told[2]
    assert "4 other processes were surprising with it" in told[4]


def test_a_window_that_is_not_known_is_left_out():
    told = explain_outbound(evidence(pair(sent=(5e6, NAN, NAN), received=(1e6, NAN, NAN))), "bytes")

    assert "in 6 h" not in told[1]


@pytest.mark.parametrize(("days", "text"), [(1.0, "1 days"), (12, "2 weeks"), (365.25, "1.0 years"), (800, "2 years")])
def test_periods(days, text):
    assert period_text(days) == text


def test_contributions_add_up_and_name_their_records():
    told = contributions(pair())

    assert told[0] == ("sent against received, 1 h", "20 x its record of 12 days ago, of 29 days known",
                       "once in 2 years", "56 %")  # fmt: skip
    assert [share for *_, share in told] == ["56 %", "44 %"]


def test_where_it_went_is_told_with_the_nats_it_took():
    told = explain_outbound(evidence(pair(mix=mix(known_places=2.0, usual_mix=2.0, shift=2.5))), "bytes")

    assert told[4:7] == [
        "  where it went, 1 h: 98 % of it to places it knows: -2.0",
        "  where it went, 1 h: 90 % of it where it usually sends, from 80 % on usual: -2.0",
        "  where it went, 1 h: the scale that ships knows no destinations: +2.5",
    ]


def test_a_place_never_met_takes_nothing_and_is_told_so():
    rows = contributions(pair(mix=mix(unfamiliar=0.84e9, overlap=0.25)))

    assert rows[-2:] == [
        ("where it went, 1 h", "70 % of it to places never met", "", "0"),
        ("where it went, 1 h", "25 % of it where it usually sends, from 80 % on usual", "", "0"),
    ]


def test_who_has_no_usual_mix_or_sent_nothing_has_no_clue_to_tell():
    assert clue_lines(pair()) == []
    assert clue_lines(pair(mix=mix(total=0.0, unfamiliar=0.0, overlap=NAN))) == []
