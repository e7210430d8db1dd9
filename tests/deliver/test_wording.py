import csv
import io

import pytest
from delivery_samples import NASTY, delivery, nasty

from ebbtide.deliver.wording import TOKENS, Format, check_template, render, severity, tokens_of


def test_every_token_has_a_value():
    assert set(tokens_of(delivery())) == set(TOKENS)


@pytest.mark.parametrize("form", Format)
def test_hostile_names_are_one_line_without_controls(form):
    for token in TOKENS:
        text = render(f"${token}$", nasty(), form)
        assert not [char for char in text if ord(char) < 32 or char in "\x7f\u202e"]


def test_a_token_inside_a_name_is_not_filled():
    assert "$uid$" in render("$workload$", nasty(), Format.TEXT)


def test_markdown_has_no_markup_mention_or_link_of_the_names():
    text = render("$workload$", nasty(), Format.MARKDOWN)
    for live in ("@everyone", "<!here>", "<script>", "[x](", "://e"):
        assert live not in text
    assert "*b*" not in text.replace("\\*", "")


def test_html_has_no_elements_of_the_names():
    text = render("<b>$workload$</b>", nasty(), Format.HTML)
    assert text.count("<") == 2


def test_csv_is_one_cell_each_and_no_formula():
    text = render("$workload$,$count$,$process$", nasty(), Format.CSV)
    [row] = list(csv.reader(io.StringIO(text)))
    assert len(row) == 3
    assert row[0].startswith("'=")


def test_our_own_link_stays_a_link_in_markdown():
    assert render("$link$", delivery(), Format.MARKDOWN) == "https://ebbtide.example/findings/u"


def test_unknown_tokens_are_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"unknown token \$hots\$; known are change"):
        check_template("up in $hots$")
    assert check_template("$headline$ costs $5") == "$headline$ costs $5"


@pytest.mark.parametrize(("score", "word"), [(0, "informational"), (20.5, "low"), (60, "medium"), (100, "critical")])
def test_severity_follows_the_bands(score, word):
    assert severity(score) == word


def test_the_nasty_name_is_nasty():
    assert "\r\n" in NASTY
