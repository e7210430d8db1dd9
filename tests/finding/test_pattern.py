import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.finding.pattern import LONGEST_PATTERN, Pattern, PatternError

atoms = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\.", "(?:ab)"])
pieces = st.builds(
    "".join, st.lists(st.builds(str.__add__, atoms, st.sampled_from(["", "*", "+", "?", "{1,2}"])), max_size=5)
)


@given(st.lists(pieces, min_size=1, max_size=3).map("|".join), st.text("ab1.\n", max_size=8))
def test_matches_what_python_matches(pattern, text):
    assert Pattern(pattern).matches(text) == (re.fullmatch(pattern, text, re.DOTALL) is not None)


@pytest.mark.parametrize(
    "pattern", ["(", "a{2,1}", r"(a)\1", "(?=a)", "[z-a]", "(a{99}){99}", "a" * (LONGEST_PATTERN + 1)]
)
def test_what_re2_does_not_take_is_refused_with_a_reason(pattern):
    with pytest.raises(PatternError, match=r"\w"):
        Pattern(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|a)*", "(a*)*b", "(.*)*x"])
def test_patterns_that_stall_backtracking_matchers_do_not_stall(pattern):
    assert not Pattern(pattern).matches("a" * 50_000 + "!")


@given(st.text(st.characters(), max_size=50))
def test_any_text_can_be_asked_about(text):
    assert Pattern(".*").matches(text)
