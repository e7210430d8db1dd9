import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.detect.catalogue import load
from ebbtide.detect.examples import parse_buckets, run_examples
from ebbtide.detect.sigma import Sigma
from ebbtide.registry import DETECTORS

CATALOGUE = load(DETECTORS)
#: Those that are judged with a window and moments; `outbound` is shown in tests/test_outbound.py.
WITH_EXAMPLES = [name for name, one in CATALOGUE.detections.items() if one.detector == "sigma"]


def test_values_by_hand() -> None:
    assert parse_buckets("2 x 500, 900, -, 3+4.5, 2x1") == ((500,), (500,), (900,), (), (3, 4.5), (1,), (1,))
    assert parse_buckets(7) == ((7,),)


@pytest.mark.parametrize(
    "text", ["", "a", "1,,2", "-5", "1 x", "nan", "inf", "99999 x 1, 2 x 1", "x 3", None, True, []]
)
def test_what_is_no_value_is_refused(text: object) -> None:
    with pytest.raises(ValueError):
        parse_buckets(text)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 10**6), max_size=4), min_size=1, max_size=20))
def test_what_is_written_is_read(buckets: list[list[int]]) -> None:
    text = ", ".join("+".join(map(str, bucket)) or "-" for bucket in buckets)
    assert parse_buckets(text) == tuple(tuple(bucket) for bucket in buckets)


@pytest.mark.parametrize("name", CATALOGUE.detections)
def test_the_shipped_examples_hold(name: str) -> None:
    results = run_examples(CATALOGUE.get(name), Sigma())
    assert [(result.name, result.got) for result in results if not result.passed] == []


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_shipped_detections_show_a_finding_silence_no_baseline_and_the_boundary(name: str) -> None:
    tests = CATALOGUE.get(name).tests
    assert {example.expect for example in tests} == {"finding", "nothing"}
    assert any("no_baseline" in example.unscored.values() for example in tests)
    assert any(example.expect == "nothing" and example.count == 5 for example in tests)


def test_a_wrong_example_fails_and_says_what_it_got() -> None:
    detection = CATALOGUE.get("kubernetes_anomalous_outbound_network_activity_from_process")
    first = detection.tests[0].model_copy(update={"expect": "nothing", "count": None})
    [result] = run_examples(detection.model_copy(update={"tests": (first,)}), Sigma())
    assert not result.passed
    assert (result.expected, result.got) == ("nothing", "finding, 6 hits")


def test_metrics_the_detection_does_not_look_at_play_no_part() -> None:
    detection = CATALOGUE.get("kubernetes_anomalous_outbound_network_activity_from_process")
    odd = detection.tests[0].model_copy(update={"window": {"net.bytes": ((5.0,),) * 10}, "baseline": {}})
    [result] = run_examples(detection.model_copy(update={"tests": (odd,)}), Sigma())
    assert result.got == "nothing, 0 hits"
