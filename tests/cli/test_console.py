import csv
import io
import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ebbtide.cli import console
from ebbtide.errors import ConfigError, Problem


@given(st.text())
def test_no_cell_is_run_by_a_spreadsheet(text):
    assert not str(console.safe_cell(text)).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_csv_reads_back(capsys):
    console.print_csv(("a", "b"), [('x, "y"', 1), ("=cmd|' /C calc'!A0", -2)])

    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows == [["a", "b"], ['x, "y"', "1"], ["'=cmd|' /C calc'!A0", "-2"]]


def test_markup_and_controls_in_labels_are_harmless(capsys):
    console.say("[red]not red[/red] \x1b[31mnor this\u202e")
    console.print_table(("name",), [("[bold]x[/bold]\x07",)])

    out = capsys.readouterr().out
    assert "[red]not red[/red]" in out
    assert "[bold]x[/bold]" in out
    assert "\x1b[31m" not in out and "\x07" not in out and "\u202e" not in out


def test_a_table_keeps_names_and_times_whole_on_a_narrow_terminal(capsys, monkeypatch):
    monkeypatch.setattr(console.out, "_width", 40)
    name, time, prose = "prod/kube-system/kube-apiserver/apiserver", "2026-11-25T00:51:10Z", "what the data say, else"
    console.print_table(("entity", "newest", "cluster", "sent"), [(name, time, prose, 1_000_000)])

    out = capsys.readouterr().out
    assert all(part in out for part in (name, time, "entity", "newest", "cluster", "1,000,000", "data"))

    console.print_table(("a", "b"), [("x", "some words that do not fit into a line of forty")])
    assert all(len(line) <= 40 for line in capsys.readouterr().out.splitlines())


def test_an_error_shows_its_problems_and_its_hint(capsys):
    problem = Problem("x.yaml:3", "no key evry", "every?")
    error = ConfigError("2 mistakes", where="x.yaml", hint="mend it", problems=(problem,))

    console.print_error(error)

    err = capsys.readouterr().err
    assert "error: x.yaml: 2 mistakes" in err
    assert "x.yaml:3: no key evry (every?)" in err
    assert "hint: mend it" in err


@pytest.mark.parametrize(("value", "written"), [(float("nan"), None), (float("inf"), None), (1.5, 1.5), ("a", "a")])
def test_a_json_line_has_only_what_json_has(value, written):
    assert json.loads(console.json_line({"x": value})) == {"x": written}


def test_a_json_line_has_times_in_utc():
    assert json.loads(console.json_line({"t": datetime(2026, 11, 24, 12)})) == {"t": "2026-11-24T12:00:00Z"}
