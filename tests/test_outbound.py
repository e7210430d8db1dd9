"""The default detection over a store: what fires, what it says, and that neither shards nor time of day matter."""

import dataclasses

import numpy as np
import pytest

from build import Point, batch_of
from ebbtide import outbound
from ebbtide.detect.catalogue import load
from ebbtide.detect.outbound_clues import CLUES
from ebbtide.detect.outbound_detector import OutboundSettings
from ebbtide.engine import evaluate
from ebbtide.finding.assemble_outbound import confidence_of
from ebbtide.finding.evidence import repeat
from ebbtide.finding.explain import explain
from ebbtide.finding.form import from_json, to_json
from ebbtide.finding.outbound_repeat import repeat_scores
from ebbtide.finding.outbound_words import period_text
from ebbtide.outbound_findings import evidence_of
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store import learned_days, opened_days
from ebbtide.store.store import Store
from learned_traffic import FLEET, START_NS, STEPS_PER_DAY, batch, learned, traffic

DAYS = 16
DETECTION = load(DETECTORS).get("outbound")
BURST_NS = START_NS + (DAYS - 1) * DAY_NS + 10 * HOUR_NS
SETTINGS = OutboundSettings()


def with_burst(bytes_: float, received_share: float = 0.0) -> Store:
    """Half an hour of evenly added bytes of the first entity, ending with `BURST_NS`."""
    sent, received = traffic(DAYS)
    at = int((BURST_NS - START_NS) // (DAY_NS // STEPS_PER_DAY))
    sent[0, at - 6 : at] += bytes_ / 6
    received[0, at - 6 : at] += np.rint(received_share * bytes_ / 6)
    store = Store.open()
    store.append(batch(np.rint(sent), received), store.begin("import", "burst"))
    store.roll_up()
    return store


@pytest.fixture(scope="module")
def burst():
    with with_burst(5e9) as store:
        yield store


def test_a_burst_is_found_and_nothing_else(burst):
    found = evaluate(burst, DETECTION, BURST_NS)

    assert [one.entity for one in found.findings] == [FLEET[0]]
    assert (found.entities, found.scored, dict(found.unscored)) == (3, 3, {})
    quiet = evaluate(burst, DETECTION, BURST_NS - HOUR_NS)
    assert (quiet.findings, quiet.scored) == ([], 3)


def test_its_sentence_says_what_left_what_came_back_and_how_rare_that_is(burst):
    [finding] = evaluate(burst, DETECTION, BURST_NS).findings

    assert finding.headline.startswith("server in shop/web sent 5")
    assert "and received" in finding.headline
    assert "as lopsided as on any day before, expected once in more than 100 years" in finding.headline
    assert finding.headline.endswith("100 % of it to 203.0.113.9")
    assert finding.evidence.metrics[0].usual_hour < 1e8 < finding.evidence.metrics[0].value
    told = "\n".join(explain(finding, DETECTION))
    assert "Decided by sending that receiving does not explain." in told
    assert "too few days of its own" in told


def test_the_stored_finding_repeats_its_score_to_the_bit(burst):
    [finding] = evaluate(burst, DETECTION, BURST_NS).findings
    again = from_json(to_json(finding))

    assert to_json(again) == to_json(finding)
    assert repeat(again.evidence, DETECTORS["outbound"]).agrees
    main = finding.evidence.outbound.main
    tampered = dataclasses.replace(main, sent=(main.sent[0] / 2, *main.sent[1:]))
    evidence = dataclasses.replace(finding.evidence.outbound, pairs=(tampered,))
    told = repeat(dataclasses.replace(finding.evidence, outbound=evidence), DETECTORS["outbound"])
    assert not told.agrees


def test_a_rush_that_receives_as_much_is_less_surprising(burst):
    with with_burst(5e9, received_share=1.0) as answered:
        both = outbound.judge(answered, BURST_NS, SETTINGS)
    alone = outbound.judge(burst, BURST_NS, SETTINGS)

    assert both.scored.parts.ratio[0, 0] < alone.scored.parts.ratio[0, 0] - 1
    assert both.score[0] < alone.score[0]


def test_more_bytes_are_never_less_surprising(burst):
    with with_burst(6e9) as more:
        assert outbound.judge(more, BURST_NS, SETTINGS).score[0] >= outbound.judge(burst, BURST_NS, SETTINGS).score[0]


def test_shards_do_not_matter(burst, monkeypatch):
    whole = outbound.judge(burst, BURST_NS, SETTINGS)
    for room in (learned_days, opened_days):
        monkeypatch.setattr(room, "SHARD", 1)
    with with_burst(5e9) as cut:
        np.testing.assert_array_equal(outbound.judge(cut, BURST_NS, SETTINGS).score, whole.score)


def test_a_budget_moves_the_line_and_a_large_fleet_has_the_smaller_one(burst):
    lines = [outbound.judge(burst, BURST_NS, OutboundSettings(budget=one)).threshold for one in (1, 10, 100)]

    assert lines == sorted(lines, reverse=True)
    assert OutboundSettings(budget=10, findings_per_day=5).effective_budget(1000) == 5.0


def test_a_metric_that_is_not_asked_for_never_fires(burst):
    judged = outbound.judge(burst, BURST_NS, SETTINGS, ("udp.bytes",))

    assert np.isneginf(judged.score).all() and not judged.fired.any()


def test_what_was_never_seen_before_today_is_said_not_to_be_judged():
    with learned(1) as store:
        found = evaluate(store, DETECTION, START_NS + 20 * HOUR_NS)

    assert found.scored == 0
    assert found.unscored == {"no_baseline": 3}


def test_silence_of_the_source_is_unknown_not_quiet():
    with learned(3) as store:
        found = evaluate(store, DETECTION, START_NS + 3 * DAY_NS + 2 * HOUR_NS)

    assert found.unscored["no_coverage"] == 3
    assert found.findings == []


def test_the_empty_store_says_nothing():
    with Store.open() as store:
        found = evaluate(store, DETECTION, START_NS)

    assert (found.entities, found.scored, found.findings) == (0, 0, [])


def test_midnight_belongs_to_the_day_before():
    with learned(4) as store:
        at = outbound.judge(store, START_NS + 3 * DAY_NS, SETTINGS)
        after = outbound.judge(store, START_NS + 3 * DAY_NS + MINUTE_NS, SETTINGS)

    assert (at.opened.day, at.hour % 24) == (START_NS // DAY_NS + 2, 23)
    assert (after.opened.day, after.hour % 24) == (START_NS // DAY_NS + 3, 0)


def test_evidence_of_a_quiet_entity_tells_why_it_is_quiet(burst):
    judged = outbound.judge(burst, BURST_NS - HOUR_NS, SETTINGS)
    evidence = evidence_of(burst, judged, 1, float(judged.score[1]), BURST_NS - HOUR_NS)

    assert evidence.score < evidence.threshold
    assert len(evidence.main.parts) == 7
    assert 1 <= confidence_of(evidence) <= 95
    assert period_text(evidence.main.parts[0].return_days).endswith(("days", "weeks", "months"))


USUAL, KNOWN, NEW = "203.0.113.9", "store.example", "198.51.100.77"
SURGE_NS = START_NS + 4 * DAY_NS + 10 * HOUR_NS


def sent_to(**bytes_of: float) -> Store:
    """Five days in which the first entity sends to a usual place and a little to another; at last so much to each."""
    places = {"usual": USUAL, "known": KNOWN, "new": NEW}
    points = [
        Point(START_NS / SECOND_NS + hour * 3600 + 1800, 1e5, sender=FLEET[0], to=KNOWN)
        for hour in range((SURGE_NS - START_NS) // HOUR_NS)
    ]
    end_s = SURGE_NS / SECOND_NS - 60
    points += [Point(end_s, amount, sender=FLEET[0], to=places[name]) for name, amount in bytes_of.items()]
    store = Store.open()
    store.append(batch(*traffic(5)), store.begin("import", "fleet"))
    store.append(batch_of(points), store.begin("import", "places"))
    store.roll_up()
    return store


@pytest.mark.parametrize(("place", "off"), [("usual", 4.0), ("known", 2.0), ("new", 0.0)])
def test_where_it_goes_quiets_a_surge_and_never_an_upload_to_a_new_place(place, off):
    with sent_to(**{place: 5e9}) as store:
        judged = outbound.judge(store, SURGE_NS, SETTINGS)
        plain = outbound.judge(store, SURGE_NS, OutboundSettings(known_places=0, usual_mix=0))
        number = int(judged.entities[0])
        evidence = evidence_of(store, judged, number, float(judged.score[0]), SURGE_NS)
        found = evaluate(store, DETECTION, SURGE_NS).findings

    assert judged.quieted.nats[0, 0] == off
    assert judged.score[0] == pytest.approx(plain.score[0] - off + CLUES.shipped_shift)
    assert plain.threshold == judged.threshold  # that of the scale that ships
    assert repeat_scores(evidence, SETTINGS.options()) == [evidence.main.score]
    if place == "new":
        [finding] = found
        assert repeat(from_json(to_json(finding)).evidence, DETECTORS["outbound"]).agrees
        told = "\n".join(explain(finding, DETECTION))
        assert "% of it to places never met: 0" in told
        assert "the scale that ships knows no destinations: +2.5" in told


def test_more_bytes_to_a_place_never_met_are_never_less_surprising():
    scores = []
    for new in (1e3, 1e7, 1e9):
        with sent_to(usual=2e8, new=new) as store:
            scores.append(outbound.judge(store, SURGE_NS, SETTINGS).score[0])
    assert scores == sorted(scores)
