"""A whole study on a small simulated cluster, and its figures and page."""

import hashlib
import json
import re

import pytest

from ebbtide.backtest import replay
from ebbtide.detect.catalogue import load
from ebbtide.errors import NoDataError
from ebbtide.lab.cluster_figures import UNION, figures, to_json
from ebbtide.lab.cluster_ground import ground_of_store
from ebbtide.lab.cluster_inject import Plot, plant_round
from ebbtide.lab.cluster_judge import Told, findings, judge_event
from ebbtide.lab.cluster_negatives import choose_negatives
from ebbtide.lab.cluster_page import render
from ebbtide.lab.cluster_scenarios import choose
from ebbtide.lab.cluster_study import Settings, Span, Study, default_span, exposure_of
from ebbtide.lab.overlay import copy_store, injected_batches, lay_over
from ebbtide.lab.simulate_plan import PER_DAY
from ebbtide.lab.simulate_write import fill
from ebbtide.registry import DETECTORS
from ebbtide.series import DAY_NS, HOUR_NS
from ebbtide.store.store import Store
from simulated import small

#: Every two hours: how often a detection looks is not the matter here.
DETECTIONS = tuple(one.model_copy(update={"every_ns": 2 * HOUR_NS}) for one in load(DETECTORS).detections.values())
SCENARIOS = choose(["X1", "X6", "X8", "X10", "X11"])
INTERVAL_NS = 30 * 10**9


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store of the first two days, and one of all three."""
    place = tmp_path_factory.mktemp("study")
    simulation = small(days=3)
    first = simulation.plan.parameters.first
    with Store.open(place / "base.duckdb") as store:
        fill(store, simulation, between=(first, first + 2 * PER_DAY))
    copy_store(place / "base.duckdb", place / "whole.duckdb")
    with Store.open(place / "whole.duckdb") as store:
        fill(store, simulation, between=(first + 2 * PER_DAY, first + 3 * PER_DAY))
    return place


def span() -> Span:
    first = small(days=3).plan.parameters.first
    return Span(*((first + at) * INTERVAL_NS for at in (PER_DAY + PER_DAY // 2, 2 * PER_DAY, 3 * PER_DAY)))


@pytest.fixture(scope="module")
def measured(stores, tmp_path_factory):
    negatives = choose_negatives(["rollout", "duplicates"])
    settings = Settings(DETECTIONS, replay, SCENARIOS, negatives, rounds=1)
    said: list[str] = []
    study = Study(tmp_path_factory.mktemp("work"), settings, said.append)
    before = hashlib.sha256((stores / "whole.duckdb").read_bytes()).hexdigest()
    result = study.run(stores / "whole.duckdb", span())
    study.run_negatives(stores / "base.duckdb", small(days=3).plan, result)
    assert hashlib.sha256((stores / "whole.duckdb").read_bytes()).hexdigest() == before
    assert len(said) == 4
    return result


def test_the_exposure_is_entities_times_the_days_that_were_heard(stores):
    with Store.open(stores / "whole.duckdb") as store:
        exposure = exposure_of(store, span().from_ns, span().to_ns)
        half = exposure_of(store, span().from_ns, span().from_ns + 12 * HOUR_NS)

    assert exposure.entities >= 20
    assert exposure.entity_days == pytest.approx(exposure.entities, rel=0.05)
    assert half.entity_days == pytest.approx(half.entities / 2, rel=0.05)


def test_the_twin_tells_what_a_backtest_tells(stores, measured):
    with Store.open(stores / "whole.duckdb") as store:
        for detection in DETECTIONS:
            expected = {
                (finding.entity, finding.opened_ns, finding.at_ns)
                for one in replay(store, detection, span().calibrate_ns + 1, span().to_ns, detection.every_ns)
                for finding in one.findings
            }
            told = {(row.entity, row.from_ns, row.at_ns) for row in measured.twin if row.detection == detection.id}
            assert told == expected
            assert measured.scored[detection.id] > 0


def test_an_event_is_judged_by_a_store_that_really_holds_it(stores, measured, tmp_path):
    """The same round by hand: inject, replay everything, compare."""
    copy = copy_store(stores / "whole.duckdb", tmp_path / "hand.duckdb")
    detection = DETECTIONS[0]
    with Store.open(copy) as store:
        ground = ground_of_store(store, span().to_ns)
        planted = plant_round(
            ground, choose(["X1", "X6", "X8", "X10", "X11"]), Plot(span().from_ns, span().to_ns), 1, 0
        )
        lay_over(store, injected_batches(planted, ground.metrics), "by hand")
        rows = [
            Told(detection.id, finding.entity, finding.opened_ns, finding.end_ns, finding.at_ns, 1.0)
            for one in replay(store, detection, span().from_ns + 1, span().to_ns, detection.every_ns)
            for finding in one.findings
        ]
    twin = [row for row in measured.twin if row.detection == detection.id and row.at_ns > span().from_ns]
    assert [one.event for one in planted] == [one.injection.event for one in measured.planted]
    for one, kept in zip(planted, measured.planted, strict=True):
        mine = [row for row in kept.told if row.detection == detection.id]
        by_hand, by_study = judge_event(one, rows, twin), judge_event(one, mine, twin)
        assert (by_hand.is_raw, by_hand.is_paired) == (by_study.is_raw, by_study.is_paired)


def test_the_figures_add_up(measured):
    told = figures(measured)

    assert [one.detection for one in told] == [*(one.id for one in DETECTIONS), UNION]
    for one in told:
        assert sum(row.events for row in one.scenarios) == len(measured.planted)
        attacks = [row for row in one.scenarios if not row.is_benign]
        assert one.paired.value == pytest.approx(
            sum(row.paired for row in attacks) / sum(row.events for row in attacks)
        )
        assert one.paired.value <= one.raw.value
        assert all(row.paired <= row.raw <= row.events for row in one.scenarios)
        assert len(one.negatives) == 2
    both = told[-1]
    rows = [row for row in measured.twin if row.at_ns > measured.span.from_ns]
    assert both.false.value <= len(findings(rows)) / measured.exposure.entity_days * 1000
    assert both.raw.value >= max(one.raw.value for one in told[:-1])
    assert both.budgets == ()
    realised = [at.realised.value for at in told[0].budgets]
    assert realised == sorted(realised, reverse=True)


def test_duplicates_change_nothing(measured):
    for one in figures(measured):
        negative = next(row for row in one.negatives if row.name == "duplicates")
        assert negative.new == 0
        assert negative.changed == negative.unchanged


def test_the_figures_are_json(measured):
    text = json.dumps(to_json(figures(measured)), allow_nan=False)

    assert len(json.loads(text)) == len(DETECTIONS) + 1


def test_the_page_is_harmless_and_loads_nothing(measured):
    page = render("<script>alert(1)</script>\u202e", ["note <b>"], figures(measured))

    assert "<script" not in page
    assert "\u202e" not in page
    assert "note &lt;b&gt;" in page
    assert not re.search(r"(src|href)=", page)
    assert "default-src &#39;none&#39;" in page
    assert page.count("<svg") == len(DETECTIONS)
    assert "rollout (must be 0)" in page
    assert render("a", [], figures(measured)) == render("a", [], figures(measured))


def test_the_default_span_is_the_last_third(stores):
    with Store.open(stores / "whole.duckdb") as store:
        known = default_span(store)
    with Store.open(None) as empty, pytest.raises(NoDataError):
        default_span(empty)

    assert known.to_ns == span().to_ns
    assert known.to_ns - known.from_ns == DAY_NS
    assert known.calibrate_ns <= known.from_ns
