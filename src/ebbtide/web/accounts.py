"""What a learned detection was judged with, as tables for the page of a finding: one account per detector."""

from __future__ import annotations

from dataclasses import dataclass

from ebbtide.finding.evidence import Evidence
from ebbtide.finding.joined_words import unit_in
from ebbtide.finding.novelty_words import explain_novelty, novelty_contributions
from ebbtide.finding.outbound_words import contributions, explain_outbound


@dataclass(frozen=True, slots=True)
class Table:
    """What each part said: a caption, `heads` (the last one is of a column to the right), and `rows` under them."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Account:
    """What a part of the finding is about, and as of when it fired last (0: not kept).

    `said`: how unusual it was, against the budget; `tables` with at least a row each; `notes`: what was known.
    """

    title: str
    at_ns: int
    said: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


def accounts(evidence: Evidence) -> list[Account]:
    """One account per learned detector of the evidence; none where a line per bucket was used."""
    unit = unit_in(evidence)
    found = []
    if evidence.outbound is not None:
        pairs = [(pair.metric, contributions(pair)) for pair in evidence.outbound.pairs]
        heads = ("Statistic", "Against its record", "A day like this", "Share")
        tables = tuple(Table(f"{name}: what each statistic added", heads, tuple(rows)) for name, rows in pairs if rows)
        said = _said(explain_outbound(evidence.outbound, unit))
        found.append(Account("Its amount", evidence.outbound.at_ns, said, tables))
    if evidence.novelty is not None:
        lines = explain_novelty(evidence.novelty, unit)
        rows = tuple(novelty_contributions(evidence.novelty, unit))
        heads = ("What is new", "How much", "The like of this process", "")
        table = Table("What is new, and how rare that is", heads, rows)
        notes = tuple(line for line in lines if line.startswith(("Known for", "Its workload")))
        found.append(Account("What is new", evidence.novelty.at_ns, _said(lines), (table,) if rows else (), notes))
    return found


def _said(lines: list[str]) -> str:
    said = lines[0].removeprefix("How unusual: ")
    return said[:1].upper() + said[1:]
