import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.finding.pattern import LONGEST_PATTERN, MOST_STATES, Pattern, PatternError

ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\.", r"\w", r"\S", "1", "(?:ab|b)", "(a|)", "()"]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{0}", "{2}", "{1,}", "{0,2}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(PATTERNS, st.text("ab1.\n", max_size=7))
def test_it_matches_what_pythons_own_matcher_does(pattern: str, text: str) -> None:
    assert Pattern(pattern).matches(text) == bool(re.fullmatch(pattern, text, re.ASCII))


@pytest.mark.parametrize(
    ("pattern", "text", "is_match"),
    [
        ("curl|wget", "wget", True),
        ("curl|wget", "wget2", False),
        ("^curl$", "curl", True),
        ("", "", True),
        ("", "a", False),
        (".*", "größe", True),
        ("kube-.+", "kube-", False),
        (r"10\.0\.\d{1,3}\.\d{1,3}", "10.0.12.255", True),
        (r"[]a-]+", "]-a", True),
        (r"[^\s-]", "-", False),
        (r"a{2,3}", "aaaa", False),
        (r"\{x\}\\", "{x}\\", True),
    ],
)
def test_patterns_by_hand(pattern: str, text: str, is_match: bool) -> None:
    assert Pattern(pattern).matches(text) is is_match


@pytest.mark.parametrize(
    ("pattern", "position", "message"),
    [
        ("a**", 2, "two repetitions"),
        ("*a", 0, "nothing to work on"),
        ("(a", 0, "without `)`"),
        ("a)", 1, "without `(`"),
        ("[a", 0, "without `]`"),
        ("[b-a]", 3, "lower to a higher"),
        ("a{2,1}", 1, "wrong way round"),
        ("a{x}", 1, "write {m}"),
        ("a{", 1, "write {m}"),
        ("(?=a)", 0, "look-around"),
        ("(?i)a", 0, "flags"),
        (r"(a)\1", 3, "not supported"),
        (r"a\b", 1, "not supported"),
        ("a\\", 2, "too early"),
        ("a$b", 1, "nothing to work on"),
        ("(" * 30 + ")" * 30, 20, "in one another"),
        ("a" * (LONGEST_PATTERN + 1), LONGEST_PATTERN, "longer than"),
        ("(a{99}){99}", 0, f"more than {MOST_STATES} states"),
        ("(((((){999}){999}){999}){999}){999}", 0, "states"),
        ("(((((a{0}){999}){999}){999}){999}){999}", 0, "states"),
    ],
)
def test_what_is_not_in_the_language_is_refused_with_its_place(pattern: str, position: int, message: str) -> None:
    with pytest.raises(PatternError, match=re.escape(message)) as caught:
        Pattern(pattern)
    assert caught.value.position == position


@settings(max_examples=300, deadline=None)
@given(st.text("ab(|)*+?{}[]^$\\.-,019dws", max_size=30))
def test_no_pattern_escapes_as_another_error(text: str) -> None:
    try:
        pattern = Pattern(text)
    except PatternError as error:
        assert 0 <= error.position <= len(text)
    else:
        pattern.matches("ab01-")


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a|aa)+b", ".*.*.*.*.*b", "(.*a){12}b", "((a*)*)*b"])
def test_patterns_that_stall_others_walk_a_bounded_number_of_states(pattern: str) -> None:
    # Each takes a backtracking matcher 2^n or n^k steps; here it is at most MOST_STATES tests per character.
    compiled = Pattern(pattern)
    steps = 0
    for state in compiled._states:
        if state.test is not None:
            inner = state.test

            def counted(char: str, inner: object = inner) -> bool:
                nonlocal steps
                steps += 1
                return inner(char)  # type: ignore[operator, no-any-return]

            state.test = counted
    assert not compiled.matches("a" * 500)
    assert steps <= 500 * MOST_STATES
