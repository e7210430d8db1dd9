import dataclasses

import numpy as np
import pytest
from finding_samples import CORRECTED, NEIGHBOUR, NOON_NS, PLACES, STRANGER, UPSTREAM, find, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.baseline.moments import Moments
from ebbtide.detect.detector import Baseline
from ebbtide.detect.sigma import Sigma, SigmaOptions
from ebbtide.finding.assemble import findings
from ebbtide.finding.evidence import HITS_KEPT, repeat
from ebbtide.finding.form import from_json, to_json
from ebbtide.series import METRICS, Endpoint, EndpointClass, Entity, Window


@st.composite
def options(draw: st.DrawFn) -> SigmaOptions:
    return SigmaOptions(
        k=draw(st.sampled_from([0.5, 1.0, 3.0])),
        statistic=draw(st.sampled_from(["mean", "sum"])),
        udp_stdev=draw(st.sampled_from(["mean", "stdev"])),
        one_point=draw(st.sampled_from(["zero", "silent"])),
        zero_stdev=draw(st.sampled_from(["hit", "silent"])),
        count=draw(st.sampled_from(["metric_buckets", "buckets"])),
        more_than=draw(st.integers(0, 6)),
        min_points=draw(st.integers(1, 3)),
        floor_share=draw(st.sampled_from([0.0, 0.3])),
        floor=draw(st.sampled_from([{}, {"tcp.bytes": 10.0}])),
    )


@settings(max_examples=150, deadline=None)
@given(options(), st.integers(0, 2**32 - 1), st.sampled_from([10, 30]), st.integers(1, 40))
def test_the_evidence_alone_repeats_what_sigma_said(chosen: SigmaOptions, seed: int, bucket_s: int, width: int) -> None:
    random = np.random.default_rng(seed)
    entities = tuple(Entity("c", "n", f"w{i}", "p") for i in range(4))
    shape = (len(entities), len(METRICS), width)
    points = random.integers(0, 4, shape).astype(np.int32)
    total = np.where(points > 0, random.lognormal(5, 2, shape), 0.0)
    window = Window(entities, METRICS, NOON_NS, bucket_s * 10**9, total, points)
    sets = [[Moments.of(random.lognormal(4, 1, random.integers(0, 9))) for _ in METRICS] for _ in entities]
    stack = [
        np.array([[getattr(one, name)[0] for one in row] for row in sets])
        for name in ("count", "mean", "m2", "minimum", "maximum")
    ]
    baseline = Baseline(Moments(*stack), 0, NOON_NS)
    detection = CORRECTED.model_copy(update={"options": chosen.model_dump(mode="json")})
    anomalies = Sigma().score(window, baseline, chosen)
    found = findings(detection, window, baseline, anomalies, NOON_NS)
    assert [one.entity for one in found] == [entities[i] for i in np.flatnonzero(anomalies.fired)]
    for one in found:
        verdict = repeat(from_json(to_json(one)).evidence, Sigma())
        assert (verdict.differences, verdict.agrees, verdict.is_complete) == ((), True, True)
        assert verdict.count == one.count


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": 27}, "count 28, recorded 27"),
        ({"count": 29}, "count 28, recorded 29"),
        ({"detector": "other"}, "detector sigma, recorded other"),
        ({"metrics": ()}, "no hits"),
    ],
)
def test_a_record_that_was_changed_does_not_agree(change: dict[str, object], said: str) -> None:
    evidence = dataclasses.replace(sample().evidence, **change)  # type: ignore[arg-type]
    verdict = repeat(evidence, Sigma())
    assert not verdict.agrees
    assert any(said in one for one in verdict.differences)


def test_a_changed_line_hit_or_baseline_does_not_agree() -> None:
    evidence = sample().evidence
    first, *rest = evidence.metrics
    moved = dataclasses.replace(first, line=first.line + 1)
    lowered = dataclasses.replace(first, hits=(dataclasses.replace(first.hits[0], total=1.0), *first.hits[1:]))
    raised = dataclasses.replace(first, baseline=dataclasses.replace(first.baseline, mean=1e12))
    for wrong in (moved, lowered, raised):
        assert not repeat(dataclasses.replace(evidence, metrics=(wrong, *rest)), Sigma()).agrees


def test_hits_beyond_the_cap_are_counted_and_bound_the_count() -> None:
    [finding] = find({"tcp.bytes": [1e6] * 500}, [[1e3] * 400])
    [metric] = finding.evidence.metrics
    assert (len(metric.hits), metric.hits_left_out, metric.total) == (HITS_KEPT, 139, 500e6)
    verdict = repeat(finding.evidence, Sigma())
    assert (verdict.agrees, verdict.is_complete, verdict.count) == (True, False, HITS_KEPT)
    assert not repeat(dataclasses.replace(finding.evidence, count=501), Sigma()).agrees
    assert not repeat(dataclasses.replace(finding.evidence, count=360), Sigma()).agrees


def test_an_hour_of_ten_second_buckets_is_kept_whole() -> None:
    [finding] = find({"tcp.bytes": [1e6] * 361}, [[1e3] * 400], UPSTREAM)
    assert finding.evidence.metrics[0].hits_left_out == 0


def test_the_worst_hit_is_the_furthest_above_its_line() -> None:
    [finding] = find({"tcp.bytes": [1e6, 1e6, 5e6, 1e6, 1e6, 1e6]}, [[1e3] * 200 + [3e3] * 200])
    [metric] = finding.evidence.metrics
    assert (metric.value, metric.mean, metric.baseline.count) == (5e6, 2e3, 400)
    assert metric.deviations == pytest.approx((5e6 - 2e3) / metric.stdev)
    [flat] = find({"tcp.bytes": [1e6] * 6}, [[0] * 400])[0].evidence.metrics
    assert flat.deviations is None


def test_destinations_have_short_names() -> None:
    assert [one.name for one in PLACES] == ["203.0.113.9", "shop/cart"]
    nameless = dataclasses.replace(PLACES[0], endpoint=Endpoint(kind=EndpointClass.METADATA))
    assert nameless.name == "metadata"
    assert (STRANGER.kind, NEIGHBOUR.kind) == (EndpointClass.EXTERNAL, EndpointClass.INTERNAL)


def test_destinations_that_are_not_listed_are_known_to_be_there() -> None:
    evidence = sample().evidence
    assert not evidence.has_other_destinations
    assert dataclasses.replace(evidence, destinations_left_out=1).has_other_destinations
    assert dataclasses.replace(evidence, destinations=evidence.destinations[:1]).has_other_destinations
