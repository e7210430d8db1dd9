import io
import json
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from ebbtide.health import Health, Judged, Problem, Severity, SinkHealth, Source, SourceState
from ebbtide.series import SECOND_NS
from ebbtide.telemetry import Log, exposition

HEALTH = Health(
    at_ns=100 * SECOND_NS,
    started_ns=10 * SECOND_NS,
    sources=(Source('a"\n\\', SourceState.LATE, 90 * SECOND_NS, 80 * SECOND_NS, 30, 4, -1.5, 7),),
    detections=(Judged("d", 80 * SECOND_NS, 80 * SECOND_NS, 0.5, 7, 5, {"no_baseline": 2}, 1, "boom"),),
    sinks=(SinkHealth("s", "webhook", 9, 2, 1, "refused", 70 * SECOND_NS, 60.0), SinkHealth("quiet", "lines", 0, 0, 0)),
    received={"accepted": 11, "rejected_negative": 3},
    capacity={"series": 21.0},
    problems=(Problem(Severity.CRITICAL, "x"),),
)


def samples(health: Health) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = exposition(health).decode()
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_every_part_of_a_health_record_is_a_metric():
    found = samples(HEALTH)
    cluster = ("cluster", 'a"\n\\')

    assert found["ebbtide_ready", ()] == 0
    assert found["ebbtide_start_time_seconds", ()] == 10
    assert found["ebbtide_problems", (("severity", "critical"),)] == 1
    assert found["ebbtide_points_total", (("outcome", "rejected_negative"),)] == 3
    assert found["ebbtide_capacity", (("name", "series"),)] == 21
    assert found["ebbtide_source_watermark_timestamp_seconds", (cluster,)] == 80
    assert found["ebbtide_source_state", (cluster, ("state", "late"))] == 1
    assert found["ebbtide_source_clock_skew_seconds", (cluster,)] == -1.5
    assert found["ebbtide_detection_scored", (("detection", "d"),)] == 5
    assert found["ebbtide_detection_unscored", (("detection", "d"), ("reason", "no_baseline"))] == 2
    assert found["ebbtide_detection_failing", (("detection", "d"),)] == 1
    assert found["ebbtide_sink_delivered_total", (("kind", "webhook"), ("sink", "s"))] == 9
    assert found["ebbtide_sink_waiting", (("sink", "s"),)] == 2
    assert found["ebbtide_sink_heartbeat_timestamp_seconds", (("sink", "s"),)] == 70
    assert found["ebbtide_sink_heartbeat_interval_seconds", (("sink", "s"),)] == 60
    assert ("ebbtide_sink_heartbeat_timestamp_seconds", (("sink", "quiet"),)) not in found


def test_an_idle_service_still_has_its_families():
    assert b"# HELP ebbtide_sink_waiting" in exposition(Health(0))


def test_the_log_is_lines_of_json_above_its_level():
    out = io.StringIO()
    log = Log(out, "warning", now=lambda: 1_500_000_000)

    log("info", "nothing")
    log("warning", "sink_failed", sink="a\nb")

    assert json.loads(out.getvalue()) == {
        "ts": "1970-01-01T00:00:01.500+00:00",
        "level": "warning",
        "event": "sink_failed",
        "sink": "a\nb",
    }
    assert out.getvalue().count("\n") == 1


def test_every_metric_is_in_the_documentation():
    text = (Path(__file__).parents[1] / "docs" / "operations.md").read_text("utf-8")
    names = {name.removesuffix("_total") for name, _ in samples(HEALTH)}

    assert [
        name for name in names if name not in text and f"`_{name.partition('_')[2].partition('_')[2]}`" not in text
    ] == []
