"""Sections on the small fleet: they run, and show what was measured."""

import pytest

from ebbtide.lab import quality_sections as sections
from ebbtide.lab.quality import _append


@pytest.fixture(scope="module")
def measured(bench):
    return sections.measure(bench, seed=1)


@pytest.mark.parametrize("name", ["main_table", "return_table"])
def test_a_section_is_a_table(measured, name):
    text = getattr(sections, name)(measured)
    assert "|---|" in text and "nan" not in text


def test_the_log_has_a_line_per_run(measured, tmp_path):
    log = tmp_path / "log.md"
    _append(log, measured)
    _append(log, measured)
    lines = log.read_text().splitlines()
    assert len(lines) == 4 and lines[0].startswith("| date | version | detector | seed | 100 |")
