"""The lanes at a glance: places in percent, in order, and bounded."""

from __future__ import annotations

from report_pages import START_NS, report

from ebbtide.report import Card, Report, Row
from ebbtide.report.timeline import MOST_LANES, timeline
from ebbtide.series import DAY_NS, HOUR_NS


def card(entity, opened_ns, verdict=None):
    return Card(f"{entity}-{opened_ns}", "headline", "sigma", entity, 50.0, opened_ns, verdict=verdict)


def test_nothing_to_show_is_no_timeline():
    assert timeline(Report("t")) is None


def test_places_by_hand():
    # 100 h of labels and 2 h of margin (a fiftieth) on either side: 104 h are 100 %.
    rows = (
        Row("a", START_NS, START_NS + 50 * HOUR_NS, "first", ()),
        Row("b", START_NS + 98 * HOUR_NS, START_NS + 100 * HOUR_NS, "last", ()),
    )
    found = timeline(Report("t", rows=rows, cards=(card("a", START_NS + 50 * HOUR_NS, "found"),)))
    assert [lane.entity for lane in found.lanes] == ["a", "b"]
    first, last = found.lanes[0].bars[0], found.lanes[1].bars[0]
    assert (first.at, first.width) == (round(200 / 104, 3), round(5000 / 104, 3))
    assert (last.at, last.width) == (round(10000 / 104, 3), round(200 / 104, 3))
    (dot,) = found.lanes[0].dots
    assert (dot.at, dot.verdict) == (50.0, "found")
    assert dot.anchor == f"finding-a-{START_NS + 50 * HOUR_NS}"


def test_ticks_are_whole_days_or_hours_and_few():
    month = timeline(Report("t", cards=(card("a", START_NS), card("a", START_NS + 30 * DAY_NS))))
    assert [text for _, text in month.ticks] == ["14 Jan", "18 Jan", "22 Jan", "26 Jan", "30 Jan", "3 Feb", "7 Feb"]
    moment = timeline(Report("t", cards=(card("a", START_NS),)))
    assert [text for _, text in moment.ticks] == ["10 Jan 12:00"]


def test_more_lanes_than_fit_are_counted():
    many = Report("t", cards=tuple(card(f"entity-{i}", START_NS + i) for i in range(MOST_LANES + 3)))
    found = timeline(many)
    assert (len(found.lanes), found.left_out) == (MOST_LANES, 3)


def test_every_label_and_finding_of_a_report_has_its_place():
    found = timeline(report())
    (lane,) = found.lanes
    assert (len(lane.bars), len(lane.dots)) == (2, 1)
    assert all(0 <= one.at <= 100 for one in (*lane.bars, *lane.dots))
