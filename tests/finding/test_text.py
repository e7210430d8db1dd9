import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.finding.text import (
    bytes_text,
    count_text,
    duration_text,
    one_line,
    parse_rfc3339,
    percent_text,
    ratio_text,
    rfc3339,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("nginx", "nginx"),
        ("a\r\nb", "a��b"),
        ("evil‮exe", "evil�exe"),
        ("zero​width", "zero�width"),
        ("e\x1b]0;title\x07", "e�]0;title�"),
        ("a   b\u00a0 c", "a b c"),
        ("lone \ud800 surrogate", "lone � surrogate"),
        ("q" + "\u0301" * 50, "q\u0301\u0301"),
        ("x" * 200, "x" * 79 + "…"),
        ("line\u2028two", "line�two"),
    ],
)
def test_hostile_text_becomes_one_harmless_line(text: str, line: str) -> None:
    assert one_line(text) == line


@settings(deadline=None)
@given(st.text(st.characters(), max_size=600), st.integers(2, 120))
def test_a_line_is_bounded_and_has_no_controls(text: str, longest: int) -> None:
    line = one_line(text, longest)
    assert len(line) <= longest
    assert not {unicodedata.category(char) for char in line} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    line.encode("utf-8")


def test_numbers_for_people() -> None:
    assert [bytes_text(value) for value in (999.6, 9.96e3, 1e21)] == ["1.0 kB", "10 kB", "1,000 EB"]
    assert bytes_text(float("inf")) == "countless B"
    assert [count_text(value) for value in (0, 999.5, 1e6, float("inf"))] == ["0", "999.5", "1.0 million", "countless"]
    assert [ratio_text(value) for value in (9.94, 9.96, 1e9)] == ["9.9", "10", "1,000,000,000"]
    assert [percent_text(share) for share in (-1, 0, 0.5, 2)] == ["0 %", "0 %", "50 %", "100 %"]
    assert duration_text(0) == "0 s"


@settings(deadline=None)
@given(st.integers(-(2**62), 2**62))
def test_instants_survive_to_the_nanosecond(instant_ns: int) -> None:
    assert parse_rfc3339(rfc3339(instant_ns)) == instant_ns


@pytest.mark.parametrize(
    "text", ["", "2024-01-10", "2024-01-10T12:00:00", "2024-13-10T12:00:00Z", "2024-01-10T12:00:00+01:00"]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_rfc3339(text)
