"""docs/threat-model.md: each threat has something against it, shown by a test that exists, or says what remains."""

import ast
import re

import pytest

from manifests import ROOT, settings

TEXT = (ROOT / "docs" / "threat-model.md").read_text("utf-8")
TABLE = TEXT[TEXT.index("## Threats") : TEXT.index("## What an operator")]
ROWS = [
    cells
    for line in TABLE.splitlines()
    if line.startswith("| ") and (cells := [one.strip() for one in line.strip("|").split("|")])[0] != "threat"
]
THREATS = [row for row in ROWS if not row[0].startswith("**")]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TEXT)))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_test_that_is_named_exists_and_asserts(file, test):
    [found] = [
        one
        for one in ast.walk(ast.parse((ROOT / file).read_text("utf-8")))
        if isinstance(one, ast.FunctionDef) and one.name == test
    ]
    words = ast.dump(found)
    assert "Assert(" in words or "raises" in words or "check" in words


def test_every_threat_is_answered_and_shown():
    assert len(THREATS) > 35
    for name, answer, shown, _ in THREATS:
        assert answer, name
        assert re.fullmatch(r"`tests/[\w/]+\.py::\w+`(, `tests/[\w/]+\.py::\w+`)*", shown), name


def test_what_is_not_solved_is_said():
    remains = [row[3] for row in THREATS if row[3]]
    assert len(remains) > len(THREATS) / 2


def test_every_open_port_of_the_manifest_is_a_way_in():
    ways = TEXT[TEXT.index("## Ways in") : TEXT.index("## Threats")]
    ports = re.findall(r"address: 0\.0\.0\.0:(\d+)", settings())
    assert len(ports) == 4
    assert [port for port in ports if port not in ways] == []
