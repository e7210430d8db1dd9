"""Markdown tables of measured figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers.

    >>> print(table(["a", "b"], [["x", "1"]]))
    | a | b |
    |---|--:|
    | x | 1 |
    """
    lines = [_line(head), "|---|" + "--:|" * (len(head) - 1)]
    lines += [_line(row) for row in rows]
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def pair(recall: float, findings: float) -> str:
    """Recall with the realised findings per 1000 entity-days behind it.

    >>> pair(0.7312, 13.28), pair(0.8, 99.0)
    ('0.73 (13.3)', '0.80 (99)')
    """
    return f"{recall:.2f} ({findings:.0f})" if findings >= 20 else f"{recall:.2f} ({findings:.1f})"


def two(values: Iterable[float]) -> list[str]:
    """Numbers to two decimals, a dash where there is none.

    >>> two([0.126, float("nan")])
    ['0.13', '-']
    """
    return ["-" if math.isnan(value) else f"{value:.2f}" for value in values]
