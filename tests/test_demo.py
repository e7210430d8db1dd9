"""The demonstration on the shipped recording: the same figures every time, and a page that shows them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from ebbtide import demo, recording
from ebbtide.backtest import replay
from ebbtide.demo import Comparison, labelled_span
from ebbtide.demo_report import build
from ebbtide.detect.catalogue import load
from ebbtide.registry import DETECTORS
from ebbtide.report.render import render
from ebbtide.series import HOUR_NS
from ebbtide.store.check import check
from ebbtide.store.store import Store
from once import demo_comparisons, recording_copy


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(recording_copy(tmp_path_factory)) as store:
        yield store


@pytest.fixture(scope="module")
def comparisons(tmp_path_factory) -> dict[str, Comparison]:
    return demo_comparisons(tmp_path_factory)


def test_the_store_of_the_recording_is_sound(store):
    assert check(store) == []


def test_both_directions_are_known(store):
    _, sent, received = store.contacts.history(0, "tcp.bytes", recording.START_NS, recording.START_NS + 48 * HOUR_NS)

    assert len(sent) == 49 - 1
    assert (sent > 0).all() and (received > 0).all()


@pytest.mark.parametrize(
    ("name", "findings", "found", "extra"),
    [
        ("upstream", 20, 7, 14),
        ("corrected", 25, 7, 18),
        ("joined", 0, 0, 0),
    ],
)
def test_findings_beside_labels(comparisons, name, findings, found, extra):
    one = comparisons[name]

    assert len(one.backtest.episodes) == findings
    assert one.count(is_outbound=True) == (found, 23)
    assert one.count(is_outbound=False)[1] == 49
    assert len(one.extra) == extra


def test_every_tick_was_judged(comparisons):
    first, last = labelled_span()
    for one in comparisons.values():
        assert one.backtest.ticks == (last - first) // HOUR_NS + 1
        metrics = 1 if one.backtest.detection.id == "joined" else 4
        assert one.backtest.scored == one.backtest.ticks * 4 * metrics
        assert not one.backtest.unscored


def test_the_long_incident_is_found_by_both_rules(comparisons):
    [at] = [i for i, one in enumerate(recording.incidents()) if one.end_ns - one.start_ns > 50 * HOUR_NS]

    assert all(one.found_by[at] is not None for name, one in comparisons.items() if name in ("upstream", "corrected"))


def test_the_page_has_a_card_and_charts_for_every_finding(store, comparisons):
    report = build(store, list(comparisons.values()), "ebbtide demo")
    page = render(report)

    assert len(report.cards) == 45
    assert all(card.charts and card.charts[0].marks for card in report.cards)
    assert {row.entity for row in report.rows} == {card.entity for card in report.cards}
    assert "bytes in" not in " ".join(card.headline for card in report.cards)
    assert all(card.headline in page.replace("&#39;", "'") for card in report.cards)
    assert len(page) < 5_000_000


def test_parts_of_the_days_judged_apart_are_what_one_process_says(store, monkeypatch, tmp_path_factory):
    [start] = [one.start_ns for one in recording.incidents() if one.end_ns - one.start_ns > 50 * HOUR_NS]
    span = start // HOUR_NS * HOUR_NS, start // HOUR_NS * HOUR_NS + 12 * HOUR_NS
    monkeypatch.setattr(demo, "labelled_span", lambda: span)
    detection = load(DETECTORS).get("kubernetes_anomalous_outbound_network_activity_from_process")

    with ThreadPoolExecutor(1) as pool:
        parts = demo.submit(pool, recording_copy(tmp_path_factory), detection)
        apart = [evaluation for part in parts for evaluation in part.result()]

    assert len(parts) == demo.PARTS
    assert apart == list(replay(store, detection, *span, HOUR_NS))
    assert any(one.findings for one in apart)
