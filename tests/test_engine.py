import dataclasses

import numpy as np
import pytest

from build import NGINX, Point, batch_of
from ebbtide.detect.catalogue import load
from ebbtide.engine import evaluate
from ebbtide.finding.evidence import repeat
from ebbtide.finding.form import from_json, to_json
from ebbtide.registry import DETECTORS
from ebbtide.series import HOUR_NS, SECOND_NS, Entity
from ebbtide.store.store import Store

CATALOGUE = load(DETECTORS)
UPSTREAM = CATALOGUE.get("kubernetes_anomalous_outbound_network_activity_from_process")
CORRECTED = CATALOGUE.get("outbound_network_activity_from_process_corrected")
HOUR_S = 3600
#: Two days of quiet traffic end here, on the hour.
NOW_S = 48 * HOUR_S


def quiet(sender: Entity = NGINX, until_s: int = NOW_S, **changes) -> list[Point]:
    rng = np.random.default_rng(len(str(sender)))
    return [
        Point(t, float(rng.integers(200_000, 300_000)), sender=sender, span_s=30, **changes)
        for t in range(30, until_s, 30)
    ]


def burst(sender: Entity = NGINX, minutes: int = 5, to: str = "203.0.113.9", end_s: int = NOW_S) -> list[Point]:
    end_s -= 1200
    return [Point(end_s - 30 * at, 50e6, sender=sender, to=to, span_s=30) for at in range(2 * minutes)]


def judged(points, detection=CORRECTED, now_s=NOW_S, **how):
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "test"))
        store.roll_up()
        return evaluate(store, detection, now_s * SECOND_NS, **how)


def test_a_burst_to_a_new_destination_is_found_and_explained():
    [finding] = judged(quiet() + burst()).findings

    assert finding.entity == NGINX
    assert "nginx in shop/checkout sent" in finding.headline
    assert "203.0.113.9, never seen before" in finding.headline
    assert finding.evidence.destinations[0].first_seen_ns is None
    assert finding.evidence.destinations[0].share > 0.9
    assert finding.risk.object_type == "workload"


def test_its_evidence_repeats_the_verdict_after_a_round_trip():
    [finding] = judged(quiet() + burst()).findings

    verdict = repeat(from_json(to_json(finding)).evidence, DETECTORS["sigma"])

    assert verdict.agrees, verdict.differences
    assert verdict.is_complete


def test_quiet_traffic_is_scored_and_silent():
    result = judged(quiet())

    assert result.findings == []
    assert (result.entities, result.scored) == (1, 1)


def test_a_new_process_is_said_to_have_no_baseline_and_is_not_silence():
    shell = dataclasses.replace(NGINX, process="sh")

    result = judged(quiet() + burst(shell))

    assert [finding.entity for finding in result.findings] == []
    assert result.unscored == {"no_baseline": 1}


def test_clusters_and_namespaces_are_apart_in_the_corrected_detection_and_pooled_upstream():
    twin = dataclasses.replace(NGINX, cluster="dev")
    points = quiet() + burst(twin) + quiet(twin, until_s=60)

    assert judged(points).findings == []
    assert [one.entity.cluster for one in judged(points, UPSTREAM).findings] == ["dev"]


def test_a_missing_label_the_detection_needs_is_counted():
    nameless = dataclasses.replace(NGINX, process="")

    result = judged(quiet(nameless) + burst(nameless), UPSTREAM)

    assert (result.entities, result.missing, result.findings) == (0, 1, [])


def test_the_cut_into_shards_changes_nothing():
    senders = [dataclasses.replace(NGINX, process=f"p{at}") for at in range(7)]
    points = [p for one in senders for p in quiet(one)] + burst(senders[2]) + burst(senders[5])

    whole, cut = judged(points), judged(points, shard_entities=2)

    assert [to_json(one) for one in whole.findings] == [to_json(one) for one in cut.findings]
    assert (whole.scored, whole.entities) == (cut.scored, cut.entities)
    assert len(whole.findings) == 2


def test_a_masked_attack_does_not_teach_the_baseline():
    attack = [Point(t, 60e6, to="x", span_s=30) for t in range(20 * HOUR_S, 30 * HOUR_S, 30)]
    with Store.open() as store:
        store.append(batch_of(quiet() + attack + burst()), store.begin("import", "test"))
        store.roll_up()
        poisoned = evaluate(store, CORRECTED, NOW_S * SECOND_NS)
        store.mask(NGINX, 20 * HOUR_NS, 30 * HOUR_NS, "attack")
        masked = evaluate(store, CORRECTED, NOW_S * SECOND_NS)

    assert poisoned.findings == []
    assert len(masked.findings) == 1


@pytest.mark.parametrize("detection", [UPSTREAM, CORRECTED])
def test_an_empty_store_is_an_answer(detection):
    with Store.open() as store:
        result = evaluate(store, detection, NOW_S * SECOND_NS)

    assert (result.entities, result.scored, result.findings) == (0, 0, [])


@pytest.mark.parametrize("detection", ["outbound", "novelty"])
def test_what_is_learned_counts_only_the_clusters_that_are_asked_for(detection):
    points = [
        Point(at_s, 1e6, sender=dataclasses.replace(NGINX, cluster=cluster))
        for cluster in ("prod", "stage")
        for at_s in range(600, 7200, 600)
    ]
    with Store.open() as store:
        store.append(batch_of(points), store.begin("import", "test"))
        store.roll_up()
        one, both = (
            evaluate(store, CATALOGUE.get(detection), 7200 * SECOND_NS, clusters=clusters)
            for clusters in ({"prod"}, None)
        )

    assert (one.unscored, both.unscored) == ({"no_baseline": 1}, {"no_baseline": 2})
    if detection == "novelty":
        assert (one.entities, both.entities) == (1, 2)
