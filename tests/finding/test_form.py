import contextlib
import json
from pathlib import Path

import pytest
from finding_samples import UPSTREAM, find, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from ebbtide.errors import DataError
from ebbtide.finding.form import SCHEMA_VERSION, from_json, to_json
from ebbtide.series import Entity

GOLDEN = Path(__file__).parent / "golden" / "finding.json"


def test_a_full_finding_is_written_as_ever() -> None:
    assert to_json(sample(), indent=1) + "\n" == GOLDEN.read_text("utf-8")


def test_the_golden_finding_is_read_back() -> None:
    assert from_json(GOLDEN.read_text("utf-8")) == sample()


def test_upstreams_row_and_marks_survive() -> None:
    [finding] = find({"udp.bytes": [500] * 6}, [[90, 110] * 50], UPSTREAM, Entity("prod", "", "w", "p"))
    assert finding.upstream is not None
    assert from_json(to_json(finding)) == finding
    marked = sample(hidden_by=("a", "b"), is_late=True)
    assert from_json(to_json(marked)) == marked


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(), max_size=30), st.floats(1e6, 1.7e308))
def test_any_name_and_number_survives(name: str, value: float) -> None:
    [finding] = find({"tcp.bytes": [value] * 8}, [[1e3] * 400], entity=Entity("c", name, "w", name))
    text = to_json(finding)
    assert text.isascii()
    assert from_json(text) == finding
    assert to_json(from_json(text)) == text


def test_the_schema_version_comes_first() -> None:
    assert next(iter(json.loads(to_json(sample())).items())) == ("schema", SCHEMA_VERSION)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}', "NaN", '{"schema": NaN}', "[" * 100_000]
)
def test_what_is_no_finding_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a finding"):
        from_json(text)


def paths(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += paths(inner, (*path, key))
    return found


PATHS = [path for path in paths(json.loads(to_json(sample()))) if "hits" not in path[:-1] or path[-2:] == ("hits", 0)]


@pytest.mark.parametrize("wrong", [None, 7.5, "x", [], [[]], {}, True])
def test_one_wrong_value_never_escapes_as_another_error(wrong: object) -> None:
    for path in PATHS:
        document = json.loads(to_json(sample()))
        inner = document
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = wrong
        with contextlib.suppress(DataError):
            to_json(from_json(json.dumps(document)))
