"""Fresh draws, halves and the shipped scale, on the small fleet."""

import pytest

from ebbtide.lab import quality_checks as checks
from ebbtide.lab import quality_sections as sections


@pytest.fixture(scope="module")
def measured(bench):
    return sections.measure(bench, seed=1)


def cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()[2:]]


def test_fresh_draws_are_other_events_under_the_same_thresholds(measured):
    rows = cells(checks.seeds_table(measured))

    assert [row[0] for row in rows] == ["2", "3", "4", "5"]
    assert len({tuple(row[1:6]) for row in rows}) > 1
    findings = {tuple(cell.split()[1] for cell in row[1:6]) for row in rows}
    assert len(findings) == 1  # the clean stream is the same


def test_each_half_is_scored_by_what_the_other_learned(measured):
    rows = cells(checks.halves_table(measured))

    assert [row[0] for row in rows] == ["half 2 by half 1", "half 1 by half 2"]
    assert all(0.3 < float(row[2].split()[0]) <= 1.0 for row in rows)


def test_the_shipped_scale_needs_nothing_learned(measured):
    [row] = cells(checks.shipped_table(measured))

    assert row[0] == "as shipped" and float(row[2].split()[0]) > 0.3
