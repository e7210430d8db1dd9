import dataclasses

import pytest
from finding_samples import NGINX, NOON_NS, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.errors import ConfigError
from ebbtide.finding.filters import (
    FIELDS,
    Filter,
    Matcher,
    apply,
    matchers_text,
    parse_matchers,
    suggest,
)
from ebbtide.finding.pattern import Pattern
from ebbtide.series import Entity


def filter_of(text: str, **changes: object) -> Filter:
    made = Filter("f", parse_matchers(text), "ops", "backup", NOON_NS)
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "is_covered"),
    [
        ('{namespace="shop"}', True),
        ('{namespace="sho"}', False),
        ('namespace="shop",process=~"curl|nginx"', True),
        ('{ namespace = "shop" , process !~ "ngi.*" }', False),
        ('{process=~"ngin"}', False),
        ('{workload!="cart",cluster="prod",}', True),
        ('{detection=~"outbound_.*_corrected"}', True),
        ('{risk.object="prod/shop/checkout"}', True),
        ('{technique=~"T1041|T1048|T1030|T1567"}', True),
        ('{tactic="Exfiltration"}', True),
        ('{uid="x"}', False),
    ],
)
def test_matchers_by_hand(text: str, is_covered: bool) -> None:
    assert filter_of(text).covers(sample()) is is_covered


@pytest.mark.parametrize(
    ("text", "is_covered"),
    [
        ('{destination="203.0.113.9"}', False),
        ('{destination=~"203\\.0\\.113\\.9|shop/cart"}', True),
        ('{destination.class=~"internal|external"}', True),
        ('{destination.namespace="shop"}', False),
        ('{destination!="8.8.8.8",namespace="shop"}', True),
        ('{destination!="shop/cart",namespace="shop"}', False),
        ('{metric="tcp.bytes"}', False),
        ('{metric=~"tcp.*"}', True),
    ],
)
def test_a_matcher_must_hold_for_every_value(text: str, is_covered: bool) -> None:
    assert filter_of(text).covers(sample()) is is_covered


def test_destinations_that_are_not_listed_are_not_covered() -> None:
    found = sample()
    partial = dataclasses.replace(found, evidence=dataclasses.replace(found.evidence, destinations_left_out=1))
    both = filter_of('{destination=~"203.*|shop/.*"}')
    assert both.covers(found)
    assert not both.covers(partial)


def test_a_field_without_values_is_empty() -> None:
    found = sample()
    bare = dataclasses.replace(found, evidence=dataclasses.replace(found.evidence, destinations=()))
    assert not filter_of('{destination="203.0.113.9"}').covers(bare)
    assert filter_of('{destination="",namespace="shop"}').covers(bare)


def test_filtered_findings_are_kept_and_marked_and_counted_once() -> None:
    shop, other = filter_of('{namespace="shop"}'), filter_of('{namespace="other"}', id="g")
    first = apply([shop, other], [sample(), sample(entity=Entity("p", "x", "y"))], NOON_NS)
    assert [one.hidden_by for one in first.findings] == [("f",), ()]
    assert [one.hits for one in first.filters] == [1, 0]
    again = apply(first.filters, first.findings, NOON_NS + 1)
    assert (again.findings, [one.hits for one in again.filters]) == (first.findings, [1, 0])


def test_a_filter_hides_from_its_creation_until_its_expiry() -> None:
    short = filter_of('{namespace="shop"}', expires_ns=NOON_NS + 10)
    hidden = [bool(apply([short], [sample()], NOON_NS + t).findings[0].hidden_by) for t in (-1, 0, 9, 10)]
    assert hidden == [False, True, True, False]
    marked = apply([short], [sample()], NOON_NS).findings
    assert apply([short], marked, NOON_NS + 10).findings[0].hidden_by == ()


def test_what_is_suggested_hides_the_finding_and_no_neighbour() -> None:
    found = sample()
    text = matchers_text(suggest(found))
    assert filter_of(text).covers(found)
    assert not filter_of(text).covers(sample(entity=dataclasses.replace(NGINX, process="curl")))
    assert "namespace" not in matchers_text(suggest(sample(entity=Entity("prod", "", "w"))))


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "filter", "hide everything"),
        ("{}", "filter", "hide everything"),
        ('{process=~".*"}', "filter", "hide everything"),
        ('{process!="curl"}', "filter", "hide everything"),
        ('{namespace=""}', "filter", "hide everything"),
        ('{namespace="a"', "filter:15", "without `}`"),
        ("{namespace=kube}", "filter:2", "no matcher"),
        ('{namespace="a" process="b"}', "filter:16", "comma is missing"),
        ('{namespace="a",namespce="b"}', "filter:16", "no field 'namespce'"),
        ('{process=~"a(b"}', "filter:11", "missing"),
        ('{process=="a"}', "filter:2", "no matcher"),
        ("x" * 5000, "filter", "longer than"),
    ],
)
def test_a_mistake_is_refused_with_its_place(text: str, where: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_matchers(text)
    assert (caught.value.where, message in caught.value.message) == (where, True), caught.value


def test_a_misspelt_field_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_matchers('{namespce="b"}', "filters.yaml:3")
    assert (caught.value.where, caught.value.hint) == ("filters.yaml:3:2", "did you mean `namespace`?")


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.sampled_from(sorted(FIELDS)))
def test_any_value_survives_being_written(value: str, field: str) -> None:
    matcher = Matcher(field, "=", value)
    assert parse_matchers(matchers_text([matcher])) == (matcher,)


@pytest.mark.parametrize("pattern", [r"\d+\.x", r'say "hi"', r"a\\b", "[^/]+", r"\{x\}"])
def test_a_pattern_survives_being_written(pattern: str) -> None:
    matcher = Matcher("process", "=~", pattern, Pattern(pattern))
    assert parse_matchers(matchers_text([matcher])) == (matcher,)


@settings(deadline=None)
@given(st.text('{}"=!~,\\ abnamespace', max_size=40))
def test_no_text_escapes_as_another_error(text: str) -> None:
    try:
        parse_matchers(text)
    except ConfigError as error:
        assert error.where.startswith("filter")


@settings(deadline=None)
@given(
    st.sampled_from(["shop", "x", ""]),
    st.sampled_from(["shop", "x", "sh.*", ""]),
    st.sampled_from(["=", "!=", "=~", "!~"]),
)
def test_on_one_value_a_negation_is_the_opposite(namespace: str, value: str, operator: str) -> None:
    found = sample(entity=dataclasses.replace(NGINX, namespace=namespace))
    pattern = Pattern(value) if "~" in operator else None
    opposite = {"=": "!=", "!=": "=", "=~": "!~", "!~": "=~"}[operator]
    one = Matcher("namespace", operator, value, pattern)  # type: ignore[arg-type]
    two = Matcher("namespace", opposite, value, pattern)  # type: ignore[arg-type]
    assert one.holds(found) != two.holds(found)
