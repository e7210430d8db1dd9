"""Novelty over a small store: what fires, what it says, what must stay quiet, and that nothing later matters.

Covers `ebbtide.novelty`, `ebbtide.novelty_probation`, `ebbtide.novelty_findings`, `ebbtide.finding.assemble_novelty`.
"""

from __future__ import annotations

import dataclasses
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from build import Point, batch_of
from ebbtide import novelty
from ebbtide.detect.catalogue import load
from ebbtide.detect.novelty_detector import NoveltySettings
from ebbtide.detect.novelty_options import Channel
from ebbtide.engine import evaluate
from ebbtide.finding.evidence import repeat
from ebbtide.finding.explain import explain
from ebbtide.finding.form import from_json, to_json
from ebbtide.finding.novelty_evidence import NoveltyEvidence
from ebbtide.finding.novelty_repeat import repeat_score
from ebbtide.finding.text import rfc3339
from ebbtide.novelty_findings import evidence_of
from ebbtide.registry import DETECTORS
from ebbtide.series import SECOND_NS, Entity
from ebbtide.store.known_contacts import ATTACK_MASK
from ebbtide.store.store import Store
from novelty_traffic import CDN, CURL, DAY_S, JOB, NGINX, NOW_NS, NOW_S, WORKER, sent, usual_store

DETECTION = load(DETECTORS).get("novelty")
OPTIONS = novelty.OPTIONS


@pytest.fixture(scope="module")
def learned(tmp_path_factory) -> Path:
    """A closed store of usual traffic."""
    return usual_store(tmp_path_factory)


@pytest.fixture
def judged(learned, tmp_path) -> Callable[..., Store]:
    """A store of usual traffic and some more points of the last ten minutes."""
    stores = []

    def make(*points: Point) -> Store:
        store = Store.open(Path(shutil.copy(learned, tmp_path / f"{len(stores)}.duckdb")))
        stores.append(store)
        if points:
            store.append(batch_of(points), store.begin("import", "test"))
            store.roll_up()
        return store

    yield make
    for store in stores:
        store.close()


def test_usual_traffic_says_nothing(judged):
    found = evaluate(judged(), DETECTION, NOW_NS)

    assert (found.findings, found.entities, found.scored) == ([], 2, 2)


def test_a_new_process_is_told_with_what_it_sent_and_where(judged):
    store = judged(sent(11.6e6, CURL), sent(0.4e6, CURL, "api.example.com"))
    [finding] = evaluate(store, DETECTION, NOW_NS).findings

    assert finding.entity == CURL
    assert finding.headline == (
        "curl in shop/checkout, a process never seen in this workload, sent 12 MB; "
        "97 % of it to 203.0.113.9, never seen before"
    )
    assert finding.evidence.metrics[0].metric == "tcp.bytes"
    told = "\n".join(explain(finding, DETECTION))
    assert "a process never seen in this workload" in told and "which decided" in told
    assert "Its workload is known for 11 days, with 0 new processes on them." in told
    assert "the option budget below" in told


def test_the_stored_finding_repeats_its_score_to_the_bit(judged):
    new = [sent(3e6, to=f"{at}.drop.example") for at in range(4)]
    [finding] = evaluate(judged(*new, sent(9e8, to="x.drop.example")), DETECTION, NOW_NS).findings
    again = from_json(to_json(finding))

    assert finding.headline.startswith("nginx in shop/checkout sent 914 MB in 1 h, 912 MB of it to 5 destinations")
    assert to_json(again) == to_json(finding)
    assert repeat(again.evidence, DETECTORS["novelty"]).agrees
    less = dataclasses.replace(finding.evidence.novelty.outside, deciding=1e4)
    evidence = dataclasses.replace(finding.evidence.novelty, outside=less)
    assert not repeat(dataclasses.replace(finding.evidence, novelty=evidence), DETECTORS["novelty"]).agrees
    assert not repeat(dataclasses.replace(finding.evidence, novelty=None), DETECTORS["novelty"]).agrees


def test_one_that_meets_new_destinations_all_day_stays_quiet(judged):
    amount = 3e7
    quiet = evaluate(judged(sent(amount, CDN, "d999.cdn.example")), DETECTION, NOW_NS)
    loud = novelty.judge(judged(sent(amount, WORKER, "d999.cdn.example")), NOW_NS, NoveltySettings())
    churn = novelty.judge(judged(sent(amount, CDN, "d999.cdn.example")), NOW_NS, NoveltySettings())

    assert quiet.findings == []
    assert loud.novel.score.max() > churn.novel.score.max() + 3


def test_another_address_of_a_known_network_is_not_new(judged):
    store = judged(Point(DAY_S + 90_000, 5e6, to="203.0.113.77"), sent(9e8))

    assert evaluate(store, DETECTION, NOW_NS).findings == []


def test_a_silent_entity_that_speaks_is_told_and_its_benign_twin_is_not(judged):
    [finding] = evaluate(judged(sent(10e6, JOB, "db.example")), DETECTION, NOW_NS).findings

    assert finding.headline == "psql in shop/migrate, silent for 10 days, sent 10 MB; 100 % of it to db.example"
    assert evaluate(judged(sent(1e3, JOB, "x.example")), DETECTION, NOW_NS).findings == []


def test_a_scan_is_told_by_its_destinations(judged):
    scan = [
        Point(NOW_S - 60, value, metric, WORKER, f"10.200.{at // 250}.{at % 250}")
        for at in range(500)
        for metric, value in (("tcp.new_sockets", 60.0), ("tcp.bytes", 1440.0))
    ]
    [finding] = evaluate(judged(*scan), DETECTION, NOW_NS).findings

    assert finding.headline.startswith("python in shop/worker sent to 501 destinations (never more than 1) and opened")
    assert [one.metric for one in finding.evidence.metrics] == ["tcp.new_sockets", "tcp.bytes"]


def test_the_first_udp_counts_little_but_counts(judged):
    judged_hour = novelty.judge(judged(sent(5e6, metric="udp.bytes")), NOW_NS, NoveltySettings())
    evidence = evidence_of(judged_hour, int(judged_hour.facts.udp_sent.argmax()), NOW_NS)

    assert evidence.facts["udp_sent"] == 5e6 and evidence.facts["had_udp"] == 0
    assert -9 < evidence.parts[4] < evidence.threshold


def test_what_comes_later_changes_nothing(judged):
    points = [sent(11.6e6, CURL), sent(9e8, WORKER)]
    before = [to_json(one) for one in evaluate(judged(*points), DETECTION, NOW_NS).findings]
    later = [Point(NOW_S + 5 + at, 5e9, sender=CURL, to=f"{at}.later.example") for at in range(50)]
    after = [to_json(one) for one in evaluate(judged(*points, *later), DETECTION, NOW_NS).findings]

    assert len(before) == 2
    assert after == before


def test_the_empty_store_says_nothing():
    with Store.open() as store:
        found = evaluate(store, DETECTION, NOW_NS)

    assert (found.entities, found.scored, found.findings) == (0, 0, [])


def test_a_young_cluster_is_not_judged_by_what_it_meets_first():
    with Store.open() as store:
        store.append(batch_of([sent(5e9, to=f"{at}.example") for at in range(9)]), store.begin("import", "test"))
        store.roll_up()
        found = evaluate(store, DETECTION, NOW_NS)

    assert (found.findings, found.scored, found.unscored) == ([], 0, {"no_baseline": 1})


def test_what_was_met_in_an_attack_stays_new_until_the_verdict_is_taken_back(judged):
    day_before = NOW_S - 86_400
    attack = Point(day_before, 5e6, to="203.0.113.9")
    store = judged(attack, sent(9e8))
    before = evaluate(store, DETECTION, NOW_NS).findings
    known = novelty.judge(store, NOW_NS, NoveltySettings())
    store.mask(NGINX, (day_before - 300) * SECOND_NS, day_before * SECOND_NS, f"{ATTACK_MASK}x")
    [after] = evaluate(store, DETECTION, NOW_NS).findings
    store.unmask(f"{ATTACK_MASK}x")
    store.mask(NGINX, 0, NOW_NS, "baseline reset of nginx: moved")
    again = evaluate(store, DETECTION, NOW_NS).findings

    assert before == [] == again and not known.fired.any()
    assert "900 MB of it to a destination it never sent to before" in after.headline
    assert repeat(from_json(to_json(after)).evidence, DETECTORS["novelty"]).agrees


def test_what_was_met_in_an_attack_of_the_same_day_stays_new_too(judged):
    earlier = NOW_S - 4 * 3600
    store = judged(Point(earlier, 5e6, to="203.0.113.9"), sent(9e8))
    before = evaluate(store, DETECTION, NOW_NS).findings
    store.mask(NGINX, (earlier - 300) * SECOND_NS, earlier * SECOND_NS, f"{ATTACK_MASK}x")

    assert before == []
    assert len(evaluate(store, DETECTION, NOW_NS).findings) == 1


def test_the_records_of_an_attack_do_not_hide_the_next_scan(judged):
    def scan(end_s: int) -> list[Point]:
        return [
            Point(end_s, value, metric, WORKER, f"10.200.{at // 250}.{at % 250}")
            for at in range(500)
            for metric, value in (("tcp.new_sockets", 60.0), ("tcp.bytes", 1440.0))
        ]

    day_before = NOW_S - 86_400
    store = judged(*scan(day_before), *scan(NOW_S - 60))
    hidden = evaluate(store, DETECTION, NOW_NS).findings
    store.mask(WORKER, (day_before - 300) * SECOND_NS, day_before * SECOND_NS, f"{ATTACK_MASK}x")
    [shown] = evaluate(store, DETECTION, NOW_NS).findings

    assert hidden == []
    assert shown.headline.startswith("python in shop/worker sent to 501 destinations (never more than 1) and opened")


def rolled_out(*points: Point, before: str = "v1", after: str = "v2") -> list[Point]:
    """These points under an image that came an hour before now, and one of nginx under the image before it."""
    old = Point(NOW_S - 10 * 3600, 2e6, image=before)
    return [old, *(dataclasses.replace(one, image=after) for one in points)]


#: nginx of another workload, which has known the new place for days.
REPLICA = Entity("prod", "shop", "checkout-eu", "nginx")
KNOWN = Point(DAY_S + 2 * 86_400, 1e6, sender=REPLICA, to="203.0.113.9")


def told_of(store: Store, entity: Entity = NGINX) -> NoveltyEvidence:
    found = novelty.judge(store, NOW_NS, NoveltySettings())
    return evidence_of(found, found.entities.tolist().index(store.identity.find_entity(entity)), NOW_NS)


def without_probation(told: NoveltyEvidence) -> float:
    return repeat_score(dataclasses.replace(told, facts={**told.facts, "in_probation": 0.0}), OPTIONS)


def test_after_a_rollout_a_place_that_the_same_process_knows_elsewhere_counts_less(judged):
    [finding] = evaluate(judged(KNOWN, *rolled_out(sent(9e8))), DETECTION, NOW_NS).findings
    told = finding.evidence.novelty

    assert told.score == pytest.approx(without_probation(told) - math.log(OPTIONS.probation))
    assert (told.image, told.image_since_ns) == ("v2", (NOW_S - 60) * SECOND_NS)
    assert told.outside.is_familiar and told.facts["in_probation"] == 1
    since = rfc3339((NOW_S - 60) * SECOND_NS)
    assert f"In probation since {since} after image v2: what others" in "\n".join(explain(finding, DETECTION))
    again = from_json(to_json(finding))
    assert to_json(again) == to_json(finding)
    assert repeat(again.evidence, DETECTORS["novelty"]).agrees


def test_after_a_rollout_a_place_that_nobody_knew_counts_in_full(judged):
    [finding] = evaluate(judged(*rolled_out(sent(9e8))), DETECTION, NOW_NS).findings
    told = finding.evidence.novelty

    assert told.image == "v2" and told.score == without_probation(told)
    assert "so it counts in full" in "\n".join(explain(finding, DETECTION))


def test_what_all_processes_of_a_workload_meet_after_a_rollout_counts_less(judged):
    side = Entity("prod", "shop", "checkout", "sidecar")
    life = Point(DAY_S + 5 * 86_400, 1e6, sender=side)
    told = told_of(judged(life, *rolled_out(sent(9e8), sent(9e8, side))))

    assert told.outside.is_familiar
    assert told.score == pytest.approx(without_probation(told) - math.log(OPTIONS.probation))


def test_a_new_process_that_other_workloads_run_counts_less_after_a_rollout(judged):
    elsewhere = Point(DAY_S + 2 * 86_400, 1e6, sender=Entity("prod", "shop", "batch", "curl"))
    told = told_of(judged(elsewhere, *rolled_out(sent(9e8, CURL))), CURL)

    assert told.main is Channel.PROCESS
    assert told.score == pytest.approx(without_probation(told) - math.log(OPTIONS.probation))


def test_what_others_know_for_less_than_a_week_makes_nothing_familiar(judged):
    """An implant in another workload, or its contact, must not prepare the ground for the next step."""
    implant = Point(DAY_S + 5 * 86_400, 1e6, sender=Entity("prod", "shop", "batch", "curl"))
    contact = Point(DAY_S + 5 * 86_400, 1e6, sender=REPLICA, to="203.0.113.9")
    life = Point(DAY_S + 2 * 86_400, 1e6, sender=REPLICA, to="db.example")
    new_process = told_of(judged(implant, *rolled_out(sent(9e8, CURL))), CURL)
    new_place = told_of(judged(life, contact, *rolled_out(sent(9e8))))

    assert not new_process.facts["is_familiar"] and not new_place.outside.is_familiar
    assert new_process.score == without_probation(new_process)
    assert new_place.score == without_probation(new_place)


def test_a_small_contact_that_a_rollout_explains_is_not_told(judged):
    store = judged(KNOWN, *rolled_out(sent(4e7)))
    told = told_of(store)

    assert told.score < told.threshold < without_probation(told)
    assert evaluate(store, DETECTION, NOW_NS).findings == []


def test_a_beacon_is_told_with_how_long_it_beats_and_is_repeated_from_its_evidence(judged):
    first = NOW_S // 3600 * 3600 - 24 * 3600
    beats = [Point(first + at, 1000.0, to="beat.example", span_s=10) for at in range(60, 24 * 3600, 300)]
    store = judged(*beats, sent(1000.0, to="beat.example"))
    [finding] = evaluate(store, DETECTION, NOW_NS).findings

    assert "sent the same amount every hour for 24 hours to a place it met first in the cluster" in finding.headline
    assert from_json(to_json(finding)) == finding
    assert repeat_score(finding.evidence.novelty, OPTIONS) == pytest.approx(finding.evidence.novelty.score)
    assert (
        evaluate(judged(*beats[: len(beats) // 2], sent(1000.0, to="beat.example")), DETECTION, NOW_NS).findings == []
    )


def test_a_place_of_the_cluster_that_hardly_anybody_knows_is_rarer_than_one_all_know(judged):
    """The path of `ebbtide.store.callers` from samples to words: 30 processes know the resolver, one the ledger."""
    resolver, ledger = (Entity("prod", "system", name, name) for name in ("resolver", "ledger"))
    at = DAY_S + 5 * 86_400
    known = [
        Point(at, 1e4, sender=Entity("prod", "shop", f"w{number}", "w"), receiver=resolver) for number in range(30)
    ]
    known.append(Point(at, 1e4, sender=Entity("prod", "shop", "w0", "w"), receiver=ledger))
    to_resolver, to_ledger = (judged(*known, sent(9e8, receiver=place)) for place in (resolver, ledger))

    common, rare = told_of(to_resolver).inside, told_of(to_ledger).inside
    assert common.seldom == 1.0
    # Places: the resolver with 30, nginx (the worker sends to it) and the ledger with one; each counts one more.
    assert rare.seldom == pytest.approx((2 + 2 + OPTIONS.seldom_doubt) / (31 + 2 + 2 + OPTIONS.seldom_doubt))
    assert told_of(to_ledger).parts[Channel.INSIDE] - told_of(to_resolver).parts[Channel.INSIDE] == pytest.approx(
        -math.log(rare.seldom)
    )
    [finding] = evaluate(to_ledger, DETECTION, NOW_NS).findings
    assert repeat(from_json(to_json(finding)).evidence, DETECTORS["novelty"]).agrees
    assert "44 % of the cluster's contacts go to places so little known" in "\n".join(explain(finding, DETECTION))
