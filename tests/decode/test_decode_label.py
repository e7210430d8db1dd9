"""Labels: identity word for word, evidence clean and bounded."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from requests_of_decode import STEADY

from ebbtide.decode.label import (
    ATTRIBUTES_BYTES_MAX,
    LABEL_CHARS_MAX,
    Repair,
    canonical,
    clean,
    evidence,
    is_clean,
    nested_text,
    number_text,
    text_of,
)

labels = st.dictionaries(st.text(max_size=8), st.text(max_size=20), max_size=5)
raw_labels = st.dictionaries(st.binary(max_size=6), st.binary(max_size=12), max_size=4)


@STEADY
@given(labels)
def test_the_order_of_labels_does_not_matter(one: dict[str, str]) -> None:
    assert canonical(one) == canonical(dict(reversed(one.items())))


@STEADY
@given(raw_labels)
def test_any_bytes_have_an_encoding_and_a_clean_copy(raw: dict[bytes, bytes]) -> None:
    one = {text_of(key): text_of(value) for key, value in raw.items()}
    json.loads(canonical(one))
    shown, _ = clean(one)
    assert is_clean(shown, canonical(shown)) or not canonical(shown).isascii() or b"\\" in canonical(shown)


@STEADY
@given(st.binary(max_size=8), st.binary(max_size=8))
def test_different_bytes_stay_different(one: bytes, other: bytes) -> None:
    # But for text that spells out the escape of a byte: \\xff and the byte itself.
    if one != other and b"\\" not in one + other:
        assert canonical({"k": text_of(one)}) != canonical({"k": text_of(other)})


def test_clean_labels_are_left_alone() -> None:
    one = {"source.workload.name": "checkout", "image": "'checkout:v1.4.2'"}
    assert is_clean(one, canonical(one)) and clean(one) == (one, Repair(0))


def test_long_labels_are_cut() -> None:
    shown, repair = clean({"k": "x" * 10_000_000})
    assert len(shown["k"]) == LABEL_CHARS_MAX and repair == Repair.LABEL


def test_control_characters_and_hidden_marks_are_replaced() -> None:
    shown, repair = clean({"k": "a\x00b\x1b[31m\x7f\u202e\u200b"})
    assert shown["k"] == "a\ufffdb\ufffd[31m\ufffd\ufffd\ufffd" and repair == Repair.CONTROL_CHARACTER


def test_bytes_that_are_not_utf8_are_shown_as_such() -> None:
    shown, repair = clean({"k": text_of(b"a\xffb")})
    assert shown["k"] == "a\\xffb" and Repair.INVALID_UTF8 in repair


def test_other_alphabets_are_no_fault() -> None:
    assert clean({"k": "größe 東京"}) == ({"k": "größe 東京"}, Repair(0))


def test_evidence_is_bounded_and_stays_json() -> None:
    encoded, repair = evidence({f"key{at:04}": "v" * 500 for at in range(2000)})
    assert len(encoded) <= ATTRIBUTES_BYTES_MAX and repair == Repair.ATTRIBUTES
    assert len(json.loads(encoded)["key0000"]) == 32


def test_labels_that_came_as_numbers() -> None:
    assert [number_text(one) for one in (True, 7, 0.5)] == ["true", "7", "0.5"]
    assert nested_text({"b": [1], "a": None}) == '{"a":null,"b":[1]}'
