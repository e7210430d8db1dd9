from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.detect.catalogue import SourceFile, load, parse, read_directory, shipped
from ebbtide.detect.joined_detector import Joined
from ebbtide.detect.novelty_detector import Novelty
from ebbtide.detect.outbound_detector import Outbound
from ebbtide.detect.sigma import Sigma
from ebbtide.errors import ConfigError, NotFoundError

DETECTORS = {"sigma": Sigma(), "outbound": Outbound(), "novelty": Novelty(), "joined": Joined()}
UPSTREAM = "kubernetes_anomalous_outbound_network_activity_from_process"
CORRECTED = "outbound_network_activity_from_process_corrected"
MINE = """\
id: mine
uuid: 00000000-0000-0000-0000-000000000001
name: Mine
version: 1.0.0
date: 2024-01-10
author: me
status: test
description: d
metrics: [tcp.*]
by: [cluster, workload]
every: 1h
window: 1h
bucket: 10s
baseline: {by: [workload]}
detector: sigma
risk: {impact: 50, confidence: 50}
message: $host$
"""


def mistakes(text: str) -> list[tuple[str, str, str]]:
    detection, problems = parse(SourceFile("mine.yaml", text), DETECTORS)
    assert (detection is None) == bool(problems)
    return [(problem.where, problem.message, problem.hint) for problem in problems]


def test_shipped_detections_load() -> None:
    catalogue = load(DETECTORS)
    assert {UPSTREAM, CORRECTED} <= set(catalogue.detections)
    assert list(catalogue.detections) == sorted(catalogue.detections)
    assert len(shipped()) == len(catalogue.detections)


def test_the_upstream_detection_is_upstreams() -> None:
    d = load(DETECTORS).get(UPSTREAM)
    assert (str(d.uuid), d.author, str(d.date), d.status, d.type) == (
        "dd6afee6-e0a3-4028-a089-f47dd2842c22",
        "Matthew Moore, Splunk",
        "2024-01-10",
        "experimental",
        "Anomaly",
    )
    assert (d.metrics, d.by, d.baseline.by) == (
        ("tcp.*", "udp.*"),
        ("cluster", "workload", "process"),
        ("workload", "process"),
    )
    hour = 3600 * 10**9
    assert (d.window_ns, d.every_ns, d.lag_ns, d.bucket_ns) == (hour, hour, 0, 10 * 10**9)
    assert (d.baseline.length_ns, d.baseline.gap_ns) == (720 * hour, hour)
    assert (d.baseline.of, d.baseline.masks) == ("points", "ignore")
    assert d.options == Sigma.options().model_dump()
    assert (d.risk.score, d.risk.object, d.risk.object_type) == (25.0, "cluster", "system")
    assert d.message == "Kubernetes Anomalous Outbound Network Activity from Process in kubernetes cluster $host$"
    assert d.required_fields == (
        "tcp.*",
        "udp.*",
        "k8s.cluster.name",
        "source.workload.name",
        "dest.workload.name",
        "udp.packets",
    )
    assert d.known_false_positives == "unknown"
    assert d.story == ("Abnormal Kubernetes Behavior using Splunk Infrastructure Monitoring",)
    assert d.references == ("https://github.com/signalfx/splunk-otel-collector-chart",)
    assert "data('udp.bytes').publish(label='E')" in d.how_to_implement
    assert [macro.name for macro in d.macros] == [
        "kubernetes_metrics",
        f"{UPSTREAM}_filter",
    ]


def test_the_corrected_detection_is_told_what_it_corrects() -> None:
    d = load(DETECTORS).get(CORRECTED)
    options = Sigma.options.model_validate(d.options)
    assert d.by == d.baseline.by == ("cluster", "namespace", "workload", "process")
    assert (options.statistic, options.udp_stdev, options.one_point) == ("sum", "stdev", "silent")  # type: ignore[attr-defined]
    assert (d.bucket_ns, d.baseline.of, d.baseline.masks, d.risk.object) == (None, "buckets", "apply", "workload")
    assert set(options.floor) == set(d.metrics)  # type: ignore[attr-defined]
    assert {"T1041", "T1048", "T1030"} <= set(d.annotations.mitre_attack)


def test_a_users_file_joins_the_shipped_and_gets_its_defaults() -> None:
    catalogue = load(DETECTORS, [SourceFile("mine.yaml", MINE)])
    assert catalogue.get("mine").options["k"] == 3.0
    assert catalogue.origin["mine"] == "mine.yaml"


def test_every_mistake_has_its_line_and_a_hint() -> None:
    text = MINE.replace("window:", "windov:").replace("{by: [workload]}", "\n  by: [workload]\n  lenght: 30d")
    assert mistakes(text) == [
        ("mine.yaml:1", "`window` is missing", "add `window:`"),
        ("mine.yaml:16", "unknown key `baseline.lenght`", "did you mean `length`?"),
        ("mine.yaml:12", "unknown key `windov`", "did you mean `window`?"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("every: 1h", "every: 60", "mine.yaml:11", "not a duration"),
        ("detector: sigma", "detector: sigmo", "mine.yaml:15", "no detector 'sigmo'"),
        ("detector: sigma", "detector: sigma\noptions: {kk: 1}", "mine.yaml:16", "unknown key `options.kk`"),
        ("detector: sigma", "detector: sigma\noptions:\n  more_than: -1", "mine.yaml:17", "`options.more_than`"),
        ("name: Mine", "name: Mine\nname: Other", "mine.yaml:4", "twice"),
        ("name: Mine", "name: !!python/name:os.system x", "mine.yaml:3", "tags are refused"),
        ("metrics: [tcp.*]", "metrics: [tcp.*, 'a b']", "mine.yaml:9", "pattern"),
        ("by: [cluster, workload]", "by:\n- cluster\n- wrkload", "mine.yaml:12", "Input should be"),
        ("name: Mine", "name: &a Mine\nauthor: *a", "mine.yaml:4", "aliases are refused"),
        ("name: Mine", "name: 'Mine", "mine.yaml", "is not YAML"),
        ("name: Mine", "name:\t- [", "mine.yaml:3", "is not YAML"),
        ("date: 2024-01-10", "date: 2024-01-99", "mine.yaml:5", "cannot be read"),
        ("impact: 50", "impact: " + "9" * 5000, "mine.yaml:16", "cannot be read"),
        ("name: Mine", "name: " + "[" * 500, "mine.yaml:3", "nested more than"),
        ("message: $host$", "message: $hots$", "mine.yaml:17", "did you mean $host$?"),
        (
            "message: $host$",
            'message: m\ntests:\n- name: t\n  window: {tcp.bytes: "one"}\n  expect: nothing',
            "mine.yaml:20",
            "'one' is no number",
        ),
    ],
)
def test_a_mistake_is_found_at_its_line(old: str, new: str, where: str, message: str) -> None:
    found = mistakes(MINE.replace(old, new))
    assert any(place.startswith(where) and message in said for place, said, _ in found), found


def test_what_is_no_detection_is_refused() -> None:
    assert mistakes("")[0][1].startswith("is not a detection")
    assert mistakes("- 1")[0][1].startswith("is not a detection")
    assert mistakes("a: 1\n---\nb: 2")[0][1].startswith("is not YAML")
    assert "larger than 128 KiB" in mistakes("# " + "x" * 200_000)[0][1]
    assert "alias" in mistakes("a: &a [1]\nb: [*a,*a]")[0][1]


def test_very_many_mistakes_are_counted() -> None:
    found = mistakes(MINE + "\n".join(f"key{i}: 1" for i in range(200)))
    assert len(found) == 51
    assert found[-1][1] == "and 150 more mistakes"


def test_ids_and_uuids_do_not_clash() -> None:
    upstream = next(file for file in shipped() if file.name.startswith(UPSTREAM))
    mine, twin = SourceFile("mine.yaml", MINE), SourceFile("twin.yaml", MINE)
    copied = SourceFile("copied.yaml", MINE.replace("id: mine", "id: copied"))
    orphan = SourceFile("orphan.yaml", MINE.replace("id: mine", "id: orphan\noverrides: true"))
    with pytest.raises(ConfigError) as caught:
        load(DETECTORS, [SourceFile("again.yaml", upstream.text), mine, twin, copied, orphan])
    messages = [str(problem) for problem in caught.value.problems]
    assert len(messages) == 4
    assert "again.yaml:1" in messages[0] and "overrides: true" in messages[0]
    assert "is used in mine.yaml too" in messages[1]
    assert "give it a new uuid" in messages[2]
    assert "no shipped detection 'orphan'" in messages[3]
    assert "copied.yaml:1" in str(caught.value)


def test_a_shipped_detection_can_be_overridden() -> None:
    upstream = next(file for file in shipped() if file.name.startswith(UPSTREAM))
    text = upstream.text.replace("options: {}  ", "overrides: true\noptions: {k: 4}  ")
    catalogue = load(DETECTORS, [SourceFile("mine.yaml", text)])
    assert (catalogue.get(UPSTREAM).options["k"], catalogue.origin[UPSTREAM]) == (4.0, "mine.yaml")


def test_changed_detections_take_the_place_of_those_with_their_ids() -> None:
    known = load(DETECTORS)
    changed = known.with_changed([known.get(CORRECTED).model_copy(update={"version": "9.9.9"})])
    assert changed.get(CORRECTED).version == "9.9.9"
    assert changed.get(UPSTREAM) is known.get(UPSTREAM)
    assert (list(changed.detections), changed.origin) == (list(known.detections), known.origin)


def test_an_unknown_id_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFoundError) as caught:
        load(DETECTORS).get("outbound_network_activity_from_proces_corrected")
    assert CORRECTED in caught.value.hint


def test_a_directory_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text(MINE)
    (tmp_path / "a.yaml").write_text("id: a")
    (tmp_path / "notes.txt").write_text("no")
    assert [Path(file.name).name for file in read_directory(tmp_path)] == ["a.yaml", "b.yml"]
    (tmp_path / "c.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"c\.yaml: is not UTF-8"):
        read_directory(tmp_path)
    with pytest.raises(ConfigError, match="cannot read"):
        read_directory(tmp_path / "absent")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.integers(0, len(MINE)))
def test_no_text_escapes_as_another_error(noise: str, at: int) -> None:
    parse(SourceFile("x.yaml", noise), DETECTORS)
    parse(SourceFile("x.yaml", MINE[:at] + noise + MINE[at:]), DETECTORS)


def test_a_part_runs_by_itself_only_where_the_whole_does_not():
    catalogue = load(DETECTORS)

    assert {"outbound", "novelty"}.isdisjoint(catalogue.by_default()) and "joined" in catalogue.by_default()
    assert {"outbound", "novelty"} < set(catalogue.by_default(without=("joined",)))
    assert "novelty" not in catalogue.by_default(without=("joined", "novelty"))


def test_the_defaults_look_every_minute_and_history_is_judged_every_five() -> None:
    shipped, minute = load(DETECTORS), 60 * 10**9
    for id in ("joined", "outbound", "novelty"):
        assert (shipped.get(id).every_ns, shipped.get(id).history_ns) == (minute, 5 * minute)
    hourly = shipped.get("outbound_network_activity_from_process_corrected")
    assert hourly.history_ns == hourly.every_ns == 60 * minute
