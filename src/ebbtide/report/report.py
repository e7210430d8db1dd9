"""What a report says, as records; `render` makes a page of it.

Strings may be anything: they are escaped, and made harmless to read, when the page is made. Times are Unix
nanoseconds. Arrays are in the metric's own unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ebbtide.series import Float64, Int64

#: A level along a chart: one value a point, the same value throughout, or none. NaN and infinite are not drawn.
Level: TypeAlias = Float64 | float | None


@dataclass(frozen=True, slots=True)
class Label:
    """A labelled incident over [start_ns, end_ns), as a chart shows it."""

    start_ns: int
    end_ns: int
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """One metric of one entity over time, with what was usual and where the line was.

    `times_ns` (int64, (n,)) rises strictly; `sent` and `received` (float64, (n,)) go with it, NaN is a gap. The usual
    band is `lower` to `upper`, both or neither; for moments that is mean - stdev to mean + stdev. `marks` are the
    buckets that counted, [start_ns, end_ns). Down-sample before (2,000 points are plenty), by maxima, or hits vanish.
    Raises ValueError where shapes disagree.
    """

    title: str
    metric: str
    unit: str
    times_ns: Int64
    sent: Float64
    received: Float64 | None = None
    mean: Level = None
    line: Level = None
    lower: Level = None
    upper: Level = None
    marks: tuple[tuple[int, int], ...] = ()
    labels: tuple[Label, ...] = ()

    def __post_init__(self) -> None:
        for name in ("sent", "received", "mean", "line", "lower", "upper"):
            value = getattr(self, name)
            if isinstance(value, np.ndarray) and value.shape != self.times_ns.shape:
                raise ValueError(f"{name} has shape {value.shape}, times_ns {self.times_ns.shape}")
        if self.times_ns.ndim != 1 or (np.diff(self.times_ns) <= 0).any():
            raise ValueError("the times of a chart must rise strictly")
        if (self.lower is None) != (self.upper is None):
            raise ValueError("a band needs both a lower and an upper edge")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where it went: the place, how much in words, its share of all (0 to 1, None: not known), when first seen."""

    name: str
    amount: str
    share: float | None = None
    seen: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Card:
    """One finding. `facts` are (name, text) pairs, `explanation` the lines of the finding in plain text.

    `command` repeats it. `verdict`: `found` a labelled incident, `extra` where no label is, None without labels.
    """

    uid: str
    headline: str
    detection: str
    entity: str
    risk_score: float
    opened_ns: int
    facts: tuple[tuple[str, str], ...] = ()
    explanation: tuple[str, ...] = ()
    destinations: tuple[Destination, ...] = ()
    command: str = ""
    verdict: Literal["found", "extra"] | None = None
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A labelled incident over [start_ns, end_ns), and for each of the report's summaries which finding found it.

    `found_by`: uids, in the order of `Report.summaries`; None is missed. `kind` is a word to tell incidents apart
    (`outbound`).
    """

    entity: str
    start_ns: int
    end_ns: int
    text: str
    found_by: tuple[str | None, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """What one detection came to: its findings, labelled incidents found and missed, findings without a label.

    Without labels `found`, `missed` and `extra` are None.
    """

    detection: str
    findings: int
    found: int | None = None
    missed: int | None = None
    extra: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """The page. Cards are shown in the order given. Raises ValueError if a row does not fit the summaries."""

    title: str
    subtitle: str = ""
    notes: tuple[str, ...] = ()
    summaries: tuple[Summary, ...] = ()
    rows: tuple[Row, ...] = ()
    cards: tuple[Card, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.found_by) != len(self.summaries):
                raise ValueError(f"a row speaks of {len(row.found_by)} detections, the report of {len(self.summaries)}")
