"""The page: self-contained, escaped, and under a policy that names what it runs."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_pages import Page, chart, report

from ebbtide.report import Card, Report, Summary, render

GOLDEN = Path(__file__).parent / "golden" / "tiny.html"

HOSTILE = {
    "script": "</script><script>alert(1)</script>",
    "comment": "<!--<script>",
    "cdata": "]]>--><img src=x onerror=alert(1)>",
    "quotes": "\" onmouseover='alert(1)' x=\"`",
    "entity": "&lt;b&gt;&#0;&amp;",
    "template": "{{ 7 * 7 }}{% raw %}",
    "bidi": "\u202egnp.exe\u2066\u200b\u200f",
    "separators": "a\u2028b\u2029c\r\n\x00\x1b[31m",
    "surrogate": "\ud800 \udfff",
    "style": "</style><style>*{display:none}</style>",
    "long": "x" * 1000,
    "very long": "<" * 100_000,
    "link": "javascript:alert(1)",
    "empty": "",
}


@pytest.fixture(scope="module")
def plain():
    return Page(render(report()))


@pytest.mark.parametrize("name", sorted(set(HOSTILE) - {"empty"}))
def test_hostile_text_changes_no_element_and_no_attribute(name, plain):
    page = Page(render(report(HOSTILE[name])))
    assert page.shape == plain.shape
    assert page.inline == plain.inline


@settings(max_examples=30, deadline=None)
@given(st.text(min_size=1).filter(lambda text: bool(text.strip())))
def test_any_text_changes_no_element_and_no_attribute(text):
    assert Page(render(report(text))).shape == Page(render(report())).shape


def test_text_that_is_safe_to_see_is_shown_as_it_is():
    html = render(report("pay & <b>ship</b> \"now\" 'ü' 漢字"))
    assert "pay & <b>ship</b> \"now\" 'ü' 漢字" in Page(html).texts


@pytest.mark.parametrize("name", ["bidi", "separators", "surrogate"])
def test_what_cannot_be_seen_or_turns_the_text_is_shown_as_a_mark(name):
    html = render(report(HOSTILE[name]))
    assert not set("\u202e\u2066\u200b\u200f\u2028\u2029\x00\x1b\ud800\udfff\r") & set(html)
    assert "\ufffd" in html
    html.encode("utf-8")


def test_very_long_texts_are_cut():
    html = render(report("y" * 100_000))
    assert len(html) < 400_000
    assert "y" * 1999 + "…" in html


def test_the_policy_names_the_hash_of_every_script_and_style_and_allows_nothing_else(plain):
    policy = next(one["content"] for tag, one in plain.elements if one.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    hashes = {
        kind: [f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'" for one in found]
        for kind, found in plain.inline.items()
    }
    assert rules == {
        "default-src": "'none'",
        "script-src": " ".join(hashes["script"]),
        "style-src": " ".join(hashes["style"]),
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert (len(hashes["script"]), len(hashes["style"])) == (2, 1)


def test_nothing_outside_the_page_is_named_where_it_would_be_loaded(plain):
    assert not plain.attributes("src")
    assert all(one.startswith("#") or one == "data:," for one in plain.attributes("href"))
    assert {tag for tag, _ in plain.elements}.isdisjoint({"iframe", "object", "embed", "form", "base", "img"})
    assert not re.search(r"url\(|@import", "".join(plain.inline["style"]))
    assert not re.search(r"fetch\(|XMLHttpRequest|WebSocket|\bimport\b|eval\(", "".join(plain.inline["script"]))


def test_no_element_has_a_style_or_a_handler_the_policy_would_refuse(plain):
    assert not [name for _, attrs in plain.elements for name in attrs if name == "style" or name.startswith("on")]


def test_the_licence_of_what_is_built_in_comes_along(plain):
    assert plain.inline["script"][0].startswith("/*! uPlot\nThe MIT License (MIT)\n\nCopyright (c) 2022 Leon Sorokin")


def test_links_lead_to_cards():
    page = Page(render(report("6f9e-1")))
    ids = page.attributes("id")
    assert len(ids) == len(set(ids))
    links = {one for one in page.attributes("href") if one.startswith("#")}
    assert links == {"#findings", "#finding-6f9e-1"}
    assert {one[1:] for one in links} <= set(ids)


def test_the_same_report_gives_the_same_page():
    assert render(report()) == render(report())


def test_a_report_without_findings_says_so():
    page = Page(render(Report("Quiet", summaries=(Summary("sigma", 0),))))
    assert "Nothing was found." in page.texts
    assert not page.data
    assert "Found" not in page.texts


def test_the_legend_explains_what_is_there_and_nothing_else():
    card = Card("1", "headline", "sigma", "a", 1.0, 0, charts=(chart(received=None, labels=(), line=None),))
    texts = Page(render(Report("t", cards=(card,)))).texts
    assert {"sent", "usual band", "usual mean", "marked buckets"} <= set(texts)
    assert {"received", "label", "line"}.isdisjoint(texts)


def test_charts_with_the_same_labels_list_them_once():
    card = Card("1", "headline", "sigma", "a", 1.0, 0, charts=(chart("one"), chart("one"), chart("two")))
    page = Page(render(Report("t", cards=(card,))))
    assert sum(tag == "ol" for tag, _ in page.elements) == 2


def test_a_tiny_report_is_the_golden_page():
    """The golden file holds the page without what is inlined. It changes only with the template."""
    html = render(report("tiny"))
    for kind, found in Page(html).inline.items():
        for one in found:
            html = html.replace(one, f"({kind})")
    html = re.sub(r"sha256-[A-Za-z0-9+/=]+", "sha256-(hash)", html)
    assert html == GOLDEN.read_text(encoding="utf-8")
