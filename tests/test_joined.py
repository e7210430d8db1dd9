"""The joined detector over a store: `ebbtide.joined` and `ebbtide.joined_findings`."""

from __future__ import annotations

import pytest

from build import Point
from ebbtide import joined
from ebbtide.backtest import Backtest, replay
from ebbtide.detect.catalogue import load
from ebbtide.detect.joined_detector import JoinedSettings
from ebbtide.engine import evaluate
from ebbtide.finding.evidence import repeat
from ebbtide.finding.form import from_json, to_json
from ebbtide.live import Clockwork
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS
from ebbtide.store.store import Store
from learned_traffic import FLEET, START_NS, STEPS_PER_DAY, batch, batch_of, traffic

CATALOGUE = load(DETECTORS)
DETECTION = CATALOGUE.get("joined")
DAYS = 10
BURST_NS = START_NS + (DAYS - 1) * DAY_NS + 10 * HOUR_NS


@pytest.fixture(scope="module")
def store():
    """Half an hour of 4 GB from the first entity, most of it to a stranger, and more to a known place 2 h later; the
    second one meets another stranger."""
    sent, received = traffic(DAYS)
    at = (BURST_NS - START_NS) // (DAY_NS // STEPS_PER_DAY)
    sent[0, at - 6 : at] += 1e8
    sent[0, at + 18 : at + 24] += 3e9
    end_s = BURST_NS // SECOND_NS - 60
    strange = [
        Point(end_s, 4e9, sender=FLEET[0], to="198.51.100.9", span_s=600),
        Point(end_s, 1.5e7, sender=FLEET[1], to="192.0.2.9", span_s=600),
    ]
    with Store.open() as store:
        store.append(batch(sent, received), store.begin("import", "fleet"))
        store.append(batch_of(strange), store.begin("import", "strange"))
        store.roll_up()
        yield store


def test_what_both_parts_say_of_an_entity_is_one_finding(store):
    found = {one.entity: one for one in evaluate(store, DETECTION, BURST_NS).findings}
    alone = [evaluate(store, CATALOGUE.get(name), BURST_NS).findings for name in ("outbound", "novelty")]

    assert set(found) == {FLEET[0], FLEET[1]}
    assert [{one.entity for one in each} for each in alone] == [{FLEET[0]}, {FLEET[0], FLEET[1]}]
    both, new = found[FLEET[0]].evidence, found[FLEET[1]].evidence
    assert both.outbound is not None and both.novelty is not None
    assert new.outbound is None and new.novelty is not None
    assert "198.51.100.9, never seen before" in found[FLEET[0]].headline
    assert "does not receive in proportion" in found[FLEET[0]].headline


def test_a_stored_finding_repeats_each_parts_score_to_the_bit(store):
    for finding in evaluate(store, DETECTION, BURST_NS).findings:
        again = from_json(to_json(finding))
        assert repeat(again.evidence, DETECTORS["joined"]).agrees


def test_the_parts_share_the_budget_of_one_fleet(store):
    judged = joined.judge(store, BURST_NS, JoinedSettings(budget=20, findings_per_day=0.001))

    assert joined.fleet(store, BURST_NS) == 3
    assert judged.outbound.budget + judged.novelty.budget == pytest.approx(0.001 * 1000 / 3)
    assert judged.novelty.budget == pytest.approx(0.1 * 0.001 * 1000 / 3)


def test_only_the_clusters_that_are_asked_for_are_told_and_counted(store):
    other = evaluate(store, DETECTION, BURST_NS, clusters={"stage"})
    ours = evaluate(store, DETECTION, BURST_NS, clusters={"prod"})

    assert (other.entities, other.scored, other.findings) == (0, 0, [])
    assert (ours.entities, ours.scored, len(ours.findings)) == (3, 3, 2)


def test_a_part_that_stops_is_kept_live_as_in_a_backtest(store):
    every = DETECTION.model_copy(update={"every_ns": HOUR_NS})
    result = Backtest(every)
    for evaluation in replay(store, every, BURST_NS - 2 * HOUR_NS, BURST_NS + 4 * HOUR_NS, HOUR_NS):
        result.add(evaluation)
    episode = next(one for one in result.episodes.values() if one.finding.entity == FLEET[0])
    evidence = episode.finding.evidence

    assert evidence.novelty.at_ns < evidence.outbound.at_ns == episode.finding.at_ns
    assert repeat(from_json(to_json(episode.finding)).evidence, DETECTORS["joined"]).agrees
    clock = Clockwork(store, [every])
    for hour in range(-30, 5):
        assert clock.tick(BURST_NS + hour * HOUR_NS + 11 * MINUTE_NS).failed == {}
    lived = {one.finding.uid: to_json(one.finding) for one in store.findings.all()}
    assert lived[episode.finding.uid] == to_json(episode.finding)
    added = [one for one in store.risks.all(0) if one.finding == episode.finding.uid]
    assert [(one.event.object, one.detection) for one in added] == [
        ("prod/shop/web", "outbound"),
        ("prod/shop/web", "novelty"),
    ]


def test_the_empty_store_says_nothing():
    with Store.open() as empty:
        found = evaluate(empty, DETECTION, START_NS)

    assert (found.entities, found.scored, found.findings) == (0, 0, [])
