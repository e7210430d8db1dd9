"""The fast path and a naive reading of the Splunk analytic agree, from OTLP bytes to the row."""

import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from build import NOTHING_LEARNED
from ebbtide.decode.preset import load_preset
from ebbtide.decode.session import Session
from ebbtide.detect.catalogue import load
from ebbtide.engine import evaluate
from ebbtide.registry import DETECTORS
from ebbtide.series import SECOND_NS
from ebbtide.store.store import Store
from upstream_oracle import DAY_S, HOUR_S, Raw, rows

UPSTREAM = load(DETECTORS).get("kubernetes_anomalous_outbound_network_activity_from_process")
#: An aligned evaluation time far enough from the epoch for 30 days before it.
NOON_S = 1_764_072_000

NUMBER = r"(-?[0-9.e+]+|Null)"
TEXT = re.compile(
    rf"(\S+) higher than average by {NUMBER} Standard Deviations\. \1={NUMBER} avg_\1={NUMBER} 'stdev_\1'={NUMBER}"
)


def otlp(points: list[Raw]) -> bytes:
    """One OTLP JSON request with a metric per point, as the reducer sends them."""
    metrics = []
    for p in points:
        attributes = {
            "k8s.cluster.name": p.cluster, "source.workload.name": p.workload, "source.process.name": p.process,
            "dest.workload.name": p.other or None, "aggregation": "az_az",
        }  # fmt: skip
        point = {
            "startTimeUnixNano": str(int((p.time_s - 30) * SECOND_NS)),
            "timeUnixNano": str(int(p.time_s * SECOND_NS)),
            "asDouble": p.value,
            "attributes": [{"key": k, "value": {"stringValue": v}} for k, v in attributes.items() if v is not None],
        }
        metrics.append(
            {"name": p.metric, "sum": {"aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [point]}}
        )
    return json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()


def fast_rows(points: list[Raw], now_s: float, cuts: int = 1, shard: int = 2000):
    session = Session(load_preset("splunk"))
    with Store.open() as store:
        store.set_floors(NOTHING_LEARNED)
        origin = store.begin("import", "test")
        size = max(1, -(-len(points) // cuts))
        for at in range(0, len(points), size):
            store.append(session.decode("otlp_json", otlp(points[at : at + size])), origin)
        store.roll_up()
        evaluation = evaluate(store, UPSTREAM, round(now_s * SECOND_NS), shard_entities=shard)
    found = {}
    for finding in evaluation.findings:
        row = finding.upstream
        anomalies = [read(text) for text in row.anomalies]
        found[row.host, row.workload, row.process] = (row.count, sorted(anomalies))
    return found


def read(text: str):
    match = TEXT.fullmatch(text)
    assert match, text
    metric, deviations, value, mean, spread = match.groups()
    if deviations != "Null":
        assert float(deviations) == pytest.approx((float(value) - float(mean)) / float(spread), abs=0.0051)
    else:
        assert float(spread) == 0
    return metric, float(value), float(mean), float(spread)


def agree(points: list[Raw], now_s: float, **how) -> int:
    slow, fast = rows(points, now_s), fast_rows(points, now_s, **how)
    assert fast.keys() == slow.keys()
    for key, (count, anomalies) in slow.items():
        assert fast[key][0] == count
        assert [row[0] for row in fast[key][1]] == [row[0] for row in anomalies]
        for ours, theirs in zip(fast[key][1], anomalies, strict=True):
            assert ours[1:] == pytest.approx(theirs[1:], rel=1e-9)
    return len(slow)


names = st.sampled_from(["web", "db", "(unknown)"])
maybe = st.one_of(names, st.none(), st.just(""))
clusters = st.sampled_from(["eu", "us", None])
metrics = st.sampled_from(["tcp.bytes", "tcp.packets", "udp.bytes", "udp.packets", "tcp.rtt.average"])
values = st.one_of(st.integers(0, 6).map(float), st.sampled_from([0.1, 1e9, 1000.0]))


@st.composite
def histories(draw):
    """Sparse points of a month and a busy last hour of a few names, with gaps, repeats and missing dimensions."""
    now_s = NOON_S + draw(st.sampled_from([0, 0, 10, 1234, 3599]))
    old = st.integers(-30 * DAY_S - 2 * HOUR_S, -HOUR_S - 1)
    recent = st.integers(-HOUR_S // 10, 0).map(lambda tick: tick * 10 + now_s % 10)
    point = st.builds(
        Raw,
        time_s=st.one_of(old, recent, recent).map(lambda t: now_s + t),
        metric=metrics,
        value=values,
        cluster=clusters,
        workload=st.one_of(names, maybe),
        process=st.one_of(names, maybe),
        other=st.sampled_from("ab"),
    )
    points = draw(st.lists(point, max_size=40))
    for metric in draw(st.lists(metrics, min_size=1, max_size=3)):
        name = {"metric": metric, "workload": "web", "process": "web"}
        height, cluster = draw(st.sampled_from([3.0, 30.0, 1e6])), draw(clusters)
        ticks = draw(st.lists(recent, min_size=4, max_size=12, unique=True))
        days = draw(st.lists(st.tuples(old, values, clusters), min_size=1, max_size=6))
        points += [Raw(now_s + t, value=height, cluster=cluster, **name) for t in ticks]
        points += [Raw(now_s + t, value=value, cluster=where, **name) for t, value, where in days]
    unique = {(p.time_s, p.metric, p.cluster, p.workload, p.process, p.other): p for p in points}
    return list(unique.values()), now_s


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories(), st.integers(1, 4), st.sampled_from([1, 2000]))
def test_any_history(history, cuts, shard):
    points, now_s = history
    agree(points, now_s, cuts=cuts, shard=shard)


def burst(n: int, value: float = 100.0, **changes) -> list[Raw]:
    word = {"metric": "tcp.bytes", "cluster": "eu", "workload": "web", "process": "nginx", "value": value} | changes
    return [Raw(time_s=NOON_S - 10 * (at + 1), **word) for at in range(n)]


def usual(values=(1.0, 2.0, 3.0), **changes) -> list[Raw]:
    word = {"metric": "tcp.bytes", "cluster": "eu", "workload": "web", "process": "nginx"} | changes
    return [Raw(time_s=NOON_S - 2 * HOUR_S - 60 * at, value=value, **word) for at, value in enumerate(values)]


@pytest.mark.parametrize(
    ("points", "found"),
    [
        (burst(6) + usual(), 1),
        (burst(5) + usual(), 0),
        (burst(3) + burst(3, metric="tcp.packets") + usual() + usual(metric="tcp.packets"), 1),
        (burst(6), 0),  # no baseline: silent
        (burst(6, process="sh") + usual(), 0),  # another process: silent
        (burst(6, metric="udp.bytes") + usual(), 0),  # UDP for the first time: silent
        (burst(6, 8.0, metric="udp.bytes") + usual(metric="udp.bytes"), 0),  # 4 x the mean of 2 is the line
        (burst(6, 8.1, metric="udp.bytes") + usual(metric="udp.bytes"), 1),
        (burst(6, 0.2) + usual([0.1] * 10), 1),  # no spread: any higher value
        (burst(6, 0.1) + usual([0.1] * 10), 0),
        (burst(6, 2.0) + usual([1.0]), 1),  # one point
        (burst(6) + usual(cluster="us"), 1),  # clusters pooled in the baseline
        (burst(6, cluster=None) + usual(), 0),  # no cluster: not a row
        (burst(6) + usual(cluster=None), 1),  # but a baseline
    ],
)
def test_cases_of_the_published_search(points, found):
    assert agree(points, NOON_S) == found


def test_points_sent_twice_count_once():
    points = burst(6) + usual()

    assert fast_rows(points + points, NOON_S) == fast_rows(points, NOON_S)


@pytest.mark.parametrize("offset_s", [0, 7, 1800, 3599])
def test_nothing_later_changes_a_verdict(offset_s):
    now_s = NOON_S + offset_s
    points = burst(6) + usual()
    later = [Raw(now_s + at, "tcp.bytes", 1e9, "eu", "web", "nginx") for at in range(0, 7200, 30)]

    assert fast_rows(points + later, now_s) == fast_rows(points, now_s)
