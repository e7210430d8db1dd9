"""Prints what each fault measured, as one table at the end of `make faults`."""

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A test records its figure as `what was done | how much | what was lost and how it went on`."""
    figures = [
        str(value).split(" | ")
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
        if name == "figure" and report.when == "call"
    ]
    if figures:
        terminalreporter.section("faults")
        for what, much, outcome in figures:
            terminalreporter.write_line(f"{what}\n    {much}\n    {outcome}")
