import dataclasses

import numpy as np
import pytest
from finding_samples import CORRECTED, NGINX, NOON_NS, PLACES, STRANGER, baseline_of, find, sample, window_of

from ebbtide.detect.sigma import Sigma
from ebbtide.finding.assemble import Context, findings
from ebbtide.finding.evidence import DESTINATIONS_KEPT
from ebbtide.series import HOUR_NS, Entity

QUIET = Entity("prod", "shop", "cart", "redis")


def test_one_finding_per_entity_with_all_its_metrics() -> None:
    finding = sample()
    assert [one.metric for one in finding.evidence.metrics] == ["tcp.bytes", "tcp.new_sockets"]
    assert (finding.count, finding.evidence.count) == (28, 28)
    assert (finding.at_ns, finding.opened_ns) == (NOON_NS, NOON_NS - HOUR_NS + 60 * 10**9)


def test_entities_that_did_not_fire_and_metrics_without_hits_are_left_out() -> None:
    window = window_of({"tcp.bytes": [1e6] * 8, "tcp.packets": [1] * 8}, (QUIET, NGINX, QUIET))
    window.total[[0, 2]] = 0
    window.points[[0, 2]] = 0
    baseline = baseline_of([[1e3] * 400, [1e3] * 400], 3)
    anomalies = Sigma().score(window, baseline, CORRECTED.options_for(Sigma()))  # type: ignore[arg-type]
    [finding] = findings(CORRECTED, window, baseline, anomalies, NOON_NS)
    assert finding.entity == NGINX
    assert [one.metric for one in finding.evidence.metrics] == ["tcp.bytes"]


def test_no_entities_give_no_findings() -> None:
    window, baseline = window_of({"tcp.bytes": [1e6]}, ()), baseline_of([[1]], 0)
    window = dataclasses.replace(window, total=np.zeros((0, 1, 1)), points=np.zeros((0, 1, 1), np.int32))
    baseline = dataclasses.replace(baseline, moments=baseline_of([[1]], 1).moments.take(np.array([], np.int64)))
    anomalies = Sigma().score(window, baseline, CORRECTED.options_for(Sigma()))  # type: ignore[arg-type]
    assert findings(CORRECTED, window, baseline, anomalies, NOON_NS) == []


def test_the_order_of_destinations_is_by_bytes_and_the_rest_is_counted() -> None:
    many = tuple(
        dataclasses.replace(
            PLACES[0], endpoint=dataclasses.replace(STRANGER, workload=f"203.0.113.{i}"), bytes=float(i)
        )
        for i in range(DESTINATIONS_KEPT + 3)
    )
    [finding] = find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], context=Context({NGINX: many}))
    assert [one.bytes for one in finding.evidence.destinations] == [12, 11, 10, 9, 8, 7, 6, 5, 4, 3]
    assert finding.evidence.destinations_left_out == 3


def test_what_the_caller_knows_is_told() -> None:
    context = Context(usual_hour={NGINX: {"tcp.bytes": 5.0}}, confidence={NGINX: 90}, unit="scaled units", is_late=True)
    [finding] = find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], context=context)
    [metric] = finding.evidence.metrics
    assert (metric.usual_hour, metric.unit, finding.risk.score, finding.is_late) == (5.0, "scaled units", 45, True)


def test_a_detections_own_headline_takes_the_place_of_ours() -> None:
    mine = CORRECTED.model_copy(update={"headline": "$process$ again ($count$)"})
    [finding] = find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], mine)
    assert finding.headline == "nginx again (8)"


def test_firing_without_a_hit_is_the_detectors_mistake() -> None:
    window, baseline = window_of({"tcp.bytes": [1] * 8}), baseline_of([[1e3] * 400])
    anomalies = Sigma().score(window, baseline, CORRECTED.options_for(Sigma()))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="without a hit"):
        findings(CORRECTED, window, baseline, dataclasses.replace(anomalies, fired=np.array([True])), NOON_NS)


def test_the_entities_of_a_shard_do_not_change_each_others_findings() -> None:
    entities = (QUIET, NGINX)
    window, baseline = window_of({"tcp.bytes": [1e6] * 8}, entities), baseline_of([[1e3] * 400], 2)
    anomalies = Sigma().score(window, baseline, CORRECTED.options_for(Sigma()))  # type: ignore[arg-type]
    together = findings(CORRECTED, window, baseline, anomalies, NOON_NS)
    alone = [find({"tcp.bytes": [1e6] * 8}, [[1e3] * 400], entity=entity)[0] for entity in entities]
    assert together == alone
