"""The records of a report: what does not fit together is refused when it is made."""

from __future__ import annotations

import numpy as np
import pytest
from report_pages import START_NS, chart

from ebbtide.report import Report, Row, Summary


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"sent": np.zeros(3)}, r"sent has shape \(3,\)"),
        ({"line": np.zeros((4, 1))}, r"line has shape \(4, 1\)"),
        ({"times_ns": np.array([3, 2, 1, 0])}, "rise strictly"),
        ({"times_ns": np.array([0, 1, 1, 2])}, "rise strictly"),
        ({"upper": None}, "lower and an upper"),
    ],
)
def test_a_chart_that_does_not_fit_is_refused(changes, complaint):
    with pytest.raises(ValueError, match=complaint):
        chart(**changes)


def test_a_row_speaks_of_every_detection():
    row = Row("a", START_NS, START_NS + 1, "label", ("1", None))
    with pytest.raises(ValueError, match="2 detections, the report of 1"):
        Report("t", summaries=(Summary("sigma", 0),), rows=(row,))
