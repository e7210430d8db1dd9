import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from ebbtide.detect.detection import Detection, parse_duration, project
from ebbtide.series import METRICS, Entity

SMALLEST = {
    "id": "mine",
    "uuid": "00000000-0000-0000-0000-000000000001",
    "name": "Mine",
    "version": "2.1.0",
    "date": "2024-01-10",
    "author": "me",
    "status": "test",
    "description": "",
    "metrics": ["tcp.*"],
    "by": ["cluster", "workload"],
    "every": "1h",
    "window": "1h",
    "bucket": "10s",
    "baseline": {"by": ["workload"]},
    "detector": "sigma",
    "risk": {"impact": 80, "confidence": 70},
    "message": "$host$",
}


def make(**changes: object) -> Detection:
    return Detection.model_validate(SMALLEST | changes)


def test_durations_by_hand() -> None:
    assert [parse_duration(text) for text in ("0", 0, "10s", "2m", "1h", "30d")] == [
        0,
        0,
        10 * 10**9,
        120 * 10**9,
        3600 * 10**9,
        30 * 86400 * 10**9,
    ]


@pytest.mark.parametrize("text", [10, "10", "", "1.5h", "-1h", "1w", "1 h", "1h30m", None, True, "9999999s", "١s "])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_a_small_detection_has_the_defaults() -> None:
    mine = make()
    assert (mine.major, mine.lag_ns, mine.type, mine.baseline.gap_ns) == (2, 0, "Anomaly", 3600 * 10**9)
    assert mine.risk.score == 56
    assert mine.annotations.kill_chain is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": 1}, "Extra inputs"),
        ({"bucket": "15s"}, "multiple of 10s"),
        ({"bucket": "0"}, "multiple of 10s"),
        ({"bucket": "2h"}, "longer than the window"),
        ({"baseline": {"by": ["process"]}}, "pools away"),
        ({"baseline": {"by": ["workload"], "length": "1h", "gap": "1h"}}, "nothing is left"),
        ({"by": ["workload", "workload"]}, "twice"),
        ({"message": "$hosts$"}, r"did you mean \$host\$"),
        ({"message": "a\nb"}, "pattern"),
        ({"version": "1"}, "pattern"),
        ({"id": "Not-Snake"}, "pattern"),
        ({"risk": {"impact": 101, "confidence": 1}}, "less than or equal to 100"),
        ({"annotations": {"mitre_attack": ["T12"]}}, "pattern"),
        ({"metrics": []}, "at least 1"),
    ],
)
def test_a_mistake_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(**change)


def test_a_pattern_selects_by_case_and_over_dots() -> None:
    assert make(metrics=["tcp.*"]).selects([*METRICS, "TCP.bytes", "tcp.rtt.average"]) == (
        "tcp.bytes",
        "tcp.packets",
        "tcp.new_sockets",
        "tcp.rtt.average",
    )


def test_the_bucket_of_a_source_is_at_least_ten_seconds() -> None:
    source = make(bucket="source")
    assert [source.bucket_of(seconds * 10**9) for seconds in (1, 10, 30)] == [10 * 10**9, 10 * 10**9, 30 * 10**9]
    assert make().bucket_of(30 * 10**9) == 10 * 10**9


@settings(deadline=None)
@given(st.sets(st.sampled_from(["cluster", "namespace", "workload", "process"])))
def test_projecting_twice_changes_nothing(by: set[str]) -> None:
    once = project(Entity("a", "b", "c", "d"), by)  # type: ignore[arg-type]
    assert project(once, by) == once  # type: ignore[arg-type]
    assert sum(bool(value) for value in (once.cluster, once.namespace, once.workload, once.process)) == len(by)
