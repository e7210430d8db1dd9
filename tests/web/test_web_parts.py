"""The parts of the pages by themselves: addresses, what is usual, policies, commands, charts, words."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from finding_samples import sample
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import QueryParams

from ebbtide.errors import UsageError
from ebbtide.finding.evidence import Member
from ebbtide.health import SourceState
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, Endpoint, EndpointClass, Entity
from ebbtide.store.profile import Known
from ebbtide.store.search import Place, Search
from ebbtide.store.store import Store
from ebbtide.web.chart import CONTEXT_NS, MOST_POINTS, finding_chart, members
from ebbtide.web.entity import learning, series
from ebbtide.web.offline import health_of
from ebbtide.web.pages import standing
from ebbtide.web.pages_more import fields_of, options_from
from ebbtide.web.policy import egress_policy, usual_of
from ebbtide.web.query import (
    cursor_of,
    entity_href,
    entity_path,
    parse_cursor,
    parse_entity,
    parse_instant,
    read_query,
)
from ebbtide.web.rendering import asset, unusual
from ebbtide.web.runbook import steps
from ebbtide.web.tuning import Bench, JobState, Range, default_range
from ebbtide.web.usual import band, levels, week
from ebbtide.web.views import Views
from web_fixtures import CATALOGUE, CORRECTED, END_NS, NGINX, STRANGER

NAME = st.text(st.characters(exclude_categories=("Cs",)), max_size=8).filter(lambda one: one != "-")


@given(st.builds(Entity, NAME, NAME, NAME, NAME))
def test_an_entity_comes_back_from_its_path(entity):
    assert parse_entity(entity_path(entity)) == entity
    assert not {"", ".", ".."} & set(entity_href(entity).split("/")[2:])


@given(st.integers(0, 1_000_000), st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(0, 2**62))
def test_a_cursor_comes_back_to_the_last_digit(skip, first, second):
    place = Place(first, second, "3f2a")
    if abs(first) < 2**63:
        assert parse_cursor(cursor_of(place, skip)) == (skip, place)
    assert cursor_of(None) is None


@given(st.text(max_size=30))
def test_other_cursors_are_refused(text):
    try:
        parse_cursor(text)
    except UsageError as error:
        assert error.hint


def test_an_address_says_the_whole_list():
    query = read_query(
        QueryParams("state=all&cluster=a&cluster=b&q=nginx+shop&sort=newest&group=none&from=2024-01-10T12:00Z")
    )

    assert query.search == Search(
        "all", clusters=("a", "b"), words=("nginx", "shop"), order="newest", from_ns=1704888000 * 10**9
    )
    assert (
        query.href(cluster=None, after="x")
        == "?state=all&q=nginx+shop&from=2024-01-10T12%3A00Z&sort=newest&group=none&after=x"
    )
    assert "cluster=b" in query.toggled("cluster", "a") and "cluster=a" not in query.toggled("cluster", "a")
    assert read_query(QueryParams("state=x&sort=y&group=z&verdict=w")).search == Search()
    assert read_query(QueryParams('q={destination="a"}')).group == "none"
    assert "not a time" in str(read_query(QueryParams("from=soon")).error)
    with pytest.raises(UsageError):
        parse_instant("2024-13-10T12:00:00Z")


def test_the_band_is_of_the_same_hour_of_other_days():
    hours = np.arange(24 * 10) * HOUR_NS
    sent = np.where(np.arange(240) % 24 == 3, 100.0, 1.0) + np.repeat(np.arange(10.0), 24)
    sent[3] = np.nan

    found = band(hours, sent)

    expected = np.percentile(sent[27::24], [10, 90])
    assert (found.lower[3], found.upper[3]) == tuple(expected)
    assert np.isnan(band(hours[:48], sent[:48]).lower).all()  # two days say nothing


def test_the_week_begins_on_monday_and_means_what_is_known():
    thursday = np.arange(24 * 14) * HOUR_NS  # the epoch was one
    sent = np.arange(24.0 * 14)
    sent[1] = np.nan

    mean = week(thursday, sent)

    assert mean[3, 0] == (0 + 168) / 2
    assert mean[3, 1] == 169
    assert levels(np.array([[np.nan, 0.0, 1.0, 2.0, 3.0, 9.0]]), 2) == [[None, 0, 1, 1, 2, 2]]


def known(name, kind, hours=5, namespace="", first=0):
    return Known(Endpoint("", namespace, name, "", kind), 10.0, 1.0, hours, first, first + HOUR_NS)


def test_a_policy_allows_what_is_usual_and_is_what_kubernetes_takes(tmp_path):
    usual = [
        known("cart", EndpointClass.INTERNAL, namespace="shop"),
        known("198.51.100.7", EndpointClass.EXTERNAL),
        known("2001:db8::1", EndpointClass.EXTERNAL),
        known("api.example.com\n# evil: true", EndpointClass.EXTERNAL),
        known("x", EndpointClass.INTERNAL, namespace='a"b'),
    ]
    text = egress_policy(Entity("prod", "shop", "Check out\nkind: Pod", "nginx"), usual)
    policy = yaml.safe_load(text)

    egress = policy["spec"]["egress"]
    assert egress[0]["ports"][0]["port"] == 53
    assert egress[1] == {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "shop"}}}]}
    assert [one["ipBlock"]["cidr"] for one in egress[2]["to"]] == ["198.51.100.7/32", "2001:db8::1/128"]
    assert policy["metadata"] == {"name": "check-out-kind-pod-usual-egress", "namespace": "shop"}
    assert "#   api.example.com\ufffd# evil: true\n" in text
    (tmp_path / "policy.yaml").write_text(text)
    validate = Path(sys.executable).with_name("kubernetes-validate")
    ran = subprocess.run([validate, str(tmp_path / "policy.yaml")], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_usual_is_what_was_talked_to_in_several_hours_before():
    all_known = [known("a", EndpointClass.EXTERNAL), known("b", EndpointClass.EXTERNAL, hours=1),
                 known("c", EndpointClass.EXTERNAL, first=9)]  # fmt: skip
    assert [one.endpoint.workload for one in usual_of(all_known, 9)] == ["a"]


def test_commands_quote_whatever_a_name_holds():
    finding = sample(entity=Entity("prod", "shop; rm -rf /", "$(reboot)\n'", "nginx`id`"))

    text = "\n".join(step.command for step in steps(finding))

    assert "--namespace 'shop; rm -rf /'" in text
    assert """-- '$(reboot)\ufffd'"'"''""" in text
    assert "nginx`id`" not in text


def test_of_many_the_steps_and_the_policy_are_for_the_riskiest_and_the_receiver_is_looked_at_first():
    member = Entity("prod", "shop", "web", "nginx")
    fleet = (Member(member, "u", 1, 70.0, ""), Member(Entity("prod", "shop", "api", "node"), "v", 1, 10.0, ""))
    one = sample(entity=Entity("prod", "ingress", "controller", ""))
    about = dataclasses.replace(one, evidence=dataclasses.replace(one.evidence, fleet=fleet))

    first, *others = steps(about)
    assert about.riskiest == member and one.riskiest == one.entity
    assert first.command.startswith("kubectl get events --namespace ingress ")
    assert all("ingress" not in step.command for step in others)
    assert "kubectl label --namespace shop pod POD ebbtide.io/quarantine=true" in [step.command for step in others]
    assert len(steps(one)) == len(others)


@pytest.fixture
def finding(shop_read):
    return shop_read.findings.all()[0].finding


def test_a_chart_holds_the_tested_buckets(shop_read, finding):
    chart = finding_chart(shop_read, finding, CATALOGUE.get(CORRECTED), None, END_NS + HOUR_NS)

    assert (chart.metric, chart.unit, chart.statistic, chart.grain) == ("tcp.bytes", "bytes", "sum", "bucket")
    shown = dict(zip(chart.time, chart.sent, strict=True))
    for hit in finding.evidence.metrics[0].hits:
        assert shown[hit.start_ns // 10**6] == hit.value
        assert [hit.start_ns // 10**6, (hit.start_ns + finding.evidence.bucket_ns) // 10**6] in [
            list(m) for m in chart.marks
        ]
    assert chart.line == finding.evidence.metrics[0].line
    assert chart.received is None
    assert [one.weeks for one in chart.ghosts] == [1, 2]  # 16 days hold two
    assert max(one for one in chart.ghosts[0].sent if one is not None) < chart.line
    assert chart.time[0] == (finding.opened_ns - CONTEXT_NS) // 10**6
    assert chart.sent[-1] is None  # the data end before
    assert chart.time[-1] == (END_NS + HOUR_NS) // 10**6 - 300_000  # what is to come is not drawn
    assert finding_chart(shop_read, finding, None, "nope", END_NS) is None


def test_a_chart_without_samples_is_of_hours_and_keeps_what_counted(shop, finding):
    from ebbtide.store.retention import Retention

    shop.retain(END_NS + 40 * HOUR_NS, Retention(samples_ns=HOUR_NS))
    chart = finding_chart(shop, finding, CATALOGUE.get(CORRECTED), None, END_NS + HOUR_NS)

    assert chart.grain == "hour"
    shown = dict(zip(chart.time, chart.sent, strict=True))
    hit = finding.evidence.metrics[0].hits[0]
    assert shown[hit.start_ns // 10**6] == hit.value
    quiet = shown[(finding.opened_ns - 5 * HOUR_NS) // 10**6]
    assert 250_000 < quiet < 450_000


def test_a_long_chart_is_folded_by_maxima(demo):
    longest = max((one.finding for one in demo.findings.all()), key=lambda one: one.end_ns - one.opened_ns)
    detection = CATALOGUE.get(longest.detection_id)

    chart = finding_chart(demo, longest, detection, None, longest.end_ns + DAY_NS)

    assert len(chart.time) <= MOST_POINTS
    worst = next(one for one in longest.evidence.metrics if one.metric == chart.metric)
    assert max(one for one in chart.sent if one is not None) >= worst.value
    assert members(demo, longest, detection) == [demo.identity.find_entity(longest.entity)]


def test_learning_and_series(shop_read):
    number = shop_read.identity.find_entity(NGINX)

    known = learning(shop_read, [number], END_NS)
    assert (known.state, known.image, known.image_since) == ("learned", "", None)
    assert learning(shop_read, [], END_NS).state == "unknown"
    found = series(shop_read, NGINX, [number], "tcp.bytes", END_NS + 1)
    assert found.sent[:24] == [None] * 24 and found.sent[-1] > 10 * found.sent[-2]
    assert found.time[-1] == (END_NS - HOUR_NS) // 10**6


def test_a_row_says_how_unusual_it_is(shop_read, finding):
    [row] = shop_read.search.rows([finding.uid])

    assert "x its usual hour, " in unusual(row) and unusual(row).endswith("σ above its mean")
    assert "higher than all" in standing(finding.evidence.metrics[0])["rarity"]
    assert asset("app.css").startswith("/static/app.css?v=")
    assert asset("uplot/uPlot.min.css") != asset("app.css")


def test_the_health_of_a_file(shop_read):
    health = health_of(shop_read)

    [source] = health.sources
    assert (source.cluster, source.state, source.interval_s, source.gap_minutes) == ("prod", SourceState.LIVE, 300, 0)
    assert health.is_ready and health.capacity["entities"] == 2
    with Store.open() as empty:
        assert any("no samples" in one.text for one in health_of(empty).problems)


def test_time_stands_still_where_data_end(shop_read):
    assert shop_read.reading.horizon(END_NS + HOUR_NS // 2) == END_NS + HOUR_NS // 2
    assert shop_read.reading.horizon(END_NS + 9 * DAY_NS) == END_NS + 10 * 10**9


def test_views_are_used_again_until_the_names_change(shop):
    views = Views(shop)
    with views.borrow() as first, views.borrow() as second:
        assert first is not second
    with views.borrow() as again:
        assert again in (first, second)
    shop.generation += 1
    with views.borrow() as fresh:
        assert fresh not in (first, second)
    with pytest.raises(RuntimeError), views.borrow() as broken:
        raise RuntimeError
    with views.borrow() as after:
        assert after is not broken
    views.close()


def test_options_of_a_form():
    detection = CATALOGUE.get(CORRECTED)
    fields = fields_of(detection, DETECTORS["sigma"].options)
    same = {one.name: one.value for one in fields}

    assert options_from(fields, same) == {}
    changed = options_from(
        fields, same | {"k": "4.5", "statistic": "mean", "floor": '{"tcp.bytes": 1}', "more_than": "7"}
    )
    assert changed == {"k": 4.5, "statistic": "mean", "floor": {"tcp.bytes": 1}, "more_than": 7}
    for bad in ({"k": "NaN"}, {"k": "four"}, {"floor": "{"}):
        with pytest.raises(UsageError):
            options_from(fields, same | bad)


def test_a_backtest_by_default_looks_less_often_rather_than_being_refused(shop_read, monkeypatch):
    often = CATALOGUE.get(CORRECTED).model_copy(update={"every_ns": 10 * SECOND_NS})
    assert default_range(shop_read, often).every_ns == 5 * MINUTE_NS
    monkeypatch.setattr("ebbtide.web.tuning.MOST_TICKS", 50)
    bounded = default_range(shop_read, often)
    assert bounded.every_ns % (5 * MINUTE_NS) == 0 and 25 < len(bounded.ticks) <= 50


def test_the_bench_is_bounded_and_says_what_failed(shop_read):
    detection = CATALOGUE.get(CORRECTED)
    range_ = default_range(shop_read, detection)
    bench = Bench(shop_read, DETECTORS)
    try:
        jobs = [bench.start(detection, {"k": 3 + at}, range_, "ann") for at in range(4)]
        with pytest.raises(UsageError, match="enough backtests wait"):
            bench.start(detection, {}, range_, "ann")
        for job in reversed(jobs):
            bench.cancel(job.id)
        assert jobs[-1].state is JobState.CANCELLED
    finally:
        bench.close()
    assert all(job.is_over for job in jobs)
    assert bench.jobs()[0] is jobs[-1]
    assert Range(0, 10 * HOUR_NS, HOUR_NS).ticks == range(0, 10 * HOUR_NS + 1, HOUR_NS)


def test_a_failing_detector_fails_its_backtest_alone(shop_read):
    class Broken:
        name = "sigma"
        options = DETECTORS["sigma"].options

        def score(self, window, baseline, options):
            raise RuntimeError("out of luck")

    detection = CATALOGUE.get(CORRECTED)
    bench = Bench(shop_read, {"sigma": Broken()})
    job = bench.start(detection, {}, default_range(shop_read, detection), "ann")
    bench._worker.shutdown(wait=True)

    assert (job.state, job.error) == (JobState.FAILED, "sigma failed: out of luck")


def test_strangers_are_in_the_finding(finding):
    assert finding.evidence.destinations[0].endpoint.workload in (STRANGER, "api.example.com")
