"""The numbers in a page: equal to those that went in, and harmless inside a script element."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_pages import START_NS, Page, chart, report

from ebbtide.report import render
from ebbtide.report.chart_data import chart_json
from ebbtide.series import MINUTE_NS


def times_ms(data):
    """The times as the page's script reads them."""
    if not data["even"]:
        return data["time"]
    start, step, count = data["time"]
    return [start + i * step for i in range(count)]


def test_the_page_reads_back_equal_to_what_went_in():
    (data,) = Page(render(report())).data
    assert times_ms(data) == [START_NS // 10**6 + i * 60_000 for i in range(4)]
    assert data["sent"] == [1e6, 2.5, None, 7e9]
    assert data["received"] == [0.1, 0.2, 0.3, None]
    assert (data["mean"], data["line"]) == (2.0, 5.5)
    assert (data["lower"], data["upper"]) == ([1.0] * 4, [3.0] * 4)
    assert data["marks"] == [[START_NS // 10**6 + 180_000, START_NS // 10**6 + 240_000]]
    assert data["labels"] == [[START_NS // 10**6 + 60_000, START_NS // 10**6 + 240_000]]


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_any_values_read_back_equal(values):
    sent = np.array(values)
    one = chart(times_ns=START_NS + np.arange(len(sent)) * MINUTE_NS, sent=sent, received=None, lower=None, upper=None)
    back = np.array([np.nan if value is None else value for value in json.loads(chart_json(one))["sent"]], float)
    assert np.array_equal(back, np.where(np.isfinite(sent), sent, np.nan), equal_nan=True)


@given(st.lists(st.integers(0, 4 * 10**12), min_size=0, max_size=20, unique=True))
def test_any_times_read_back_equal_in_milliseconds(milliseconds):
    times_ns = np.array(sorted(milliseconds), np.int64) * 10**6
    one = chart(times_ns=times_ns, sent=np.zeros(len(times_ns)), received=None, lower=None, upper=None)
    assert times_ms(json.loads(chart_json(one))) == sorted(milliseconds)


def test_even_times_are_three_numbers_and_whole_values_have_no_fraction():
    text = chart_json(chart(received=None, lower=None, upper=None))
    assert '"even":true,"time":[1704888000000,60000,4]' in text
    assert '"sent":[1000000,2.5,null,7000000000]' in text


def test_levels_that_are_not_finite_are_absent():
    data = json.loads(chart_json(chart(mean=np.nan, line=np.inf, lower=None, upper=None)))
    assert (data["mean"], data["line"], data["lower"]) == (None, None, None)


@pytest.mark.parametrize("text", ["</script>", "<!--", "&", "\u2028\u2029", "\ud800", "é"])
def test_json_is_plain_ascii_without_markup(text):
    found = chart_json(chart(text))
    assert found.isascii()
    assert not set("<>&") & set(found)
