"""Findings as one self-contained page: `render(Report) -> str`. Pure; no network, neither when made nor when read."""

from __future__ import annotations

from ebbtide.report.render import render
from ebbtide.report.report import Card, Chart, Destination, Label, Report, Row, Summary

__all__ = ["Card", "Chart", "Destination", "Label", "Report", "Row", "Summary", "render"]
