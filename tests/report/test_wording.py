"""Words and numbers of a page."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.report.wording import LONGEST, anchor, day, duration, iso, si, utc, visible


@given(st.text())
def test_visible_text_can_be_printed_on_one_line_and_encoded(text):
    found = visible(text)
    assert len(found) <= LONGEST
    assert not any(ord(c) < 32 or 0x202A <= ord(c) <= 0x202E or 0x2066 <= ord(c) <= 0x2069 for c in found)
    found.encode("utf-8")


def test_what_is_harmless_stays():
    assert visible("naïve – 漢字 a\u00a0b") == "naïve – 漢字 a\u00a0b"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "", "0"),
        (999.4, "", "999"),
        (999.6, "", "1_k"),
        (999_999.0, "bytes", "1_MB"),
        (1234.0, "packets", "1.23_k_packets"),
        (38_905_900.0, "scaled units", "38.9_M_scaled units"),
        (-1500.0, "bytes", "−1.5_kB"),
        (0.00012345, "", "0.000123"),
        (1e30, "bytes", "1e+12_EB"),
        (math.inf, "bytes", "–"),
        (math.nan, "", "–"),
    ],
)
def test_numbers_have_three_digits_and_a_prefix(value, unit, text):
    assert si(value, unit).replace("\u00a0", "_") == text


@given(st.floats(1e-3, 1e20))
def test_numbers_are_right_to_half_a_percent(value):
    number, _, prefix = si(value).partition("\u00a0")
    size = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}[prefix]
    assert float(number) * size == pytest.approx(value, rel=0.005)


def test_times_outside_the_calendar_are_clipped():
    assert utc(10**30)[:4] == "9999"
    assert iso(-(10**30)) == "0001-01-01T00:00:00Z"
    assert day(0) == "1 Jan"
    assert duration(0) == "0 s"


def test_anchors_are_safe_and_short():
    assert anchor("a b\"'<>&%") == "finding-a_b______"
    assert len(anchor("x" * 1000)) == len("finding-") + 80
