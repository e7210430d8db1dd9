"""Reports to test with, and pages read back the way a browser would."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import numpy as np

from ebbtide.report import Card, Chart, Destination, Label, Report, Row, Summary
from ebbtide.series import MINUTE_NS

START_NS = 1_704_888_000 * 10**9


def chart(text="A day around it", **changes):
    fields = {
        "title": text,
        "metric": text,
        "unit": text,
        "times_ns": START_NS + np.arange(4) * MINUTE_NS,
        "sent": np.array([1e6, 2.5, np.nan, 7e9]),
        "received": np.array([0.1, 0.2, 0.3, np.inf]),
        "mean": 2.0,
        "line": 5.5,
        "lower": np.array([1.0, 1.0, 1.0, 1.0]),
        "upper": np.array([3.0, 3.0, 3.0, 3.0]),
        "marks": ((START_NS + 3 * MINUTE_NS, START_NS + 4 * MINUTE_NS),),
        "labels": (Label(START_NS + MINUTE_NS, START_NS + 4 * MINUTE_NS, text),),
    }
    return Chart(**(fields | changes))


def report(text="text"):
    """A report in which every string is `text`."""
    card = Card(
        uid=text,
        headline=text,
        detection=text,
        entity=text,
        risk_score=56.25,
        opened_ns=START_NS + 3 * MINUTE_NS,
        facts=((text, text),),
        explanation=(text, "", text),
        destinations=(Destination(text, text, 0.74, text), Destination(text, text)),
        command=text,
        verdict="found",
        charts=(chart(text),),
    )
    return Report(
        title=text,
        subtitle=text,
        notes=(text,),
        summaries=(Summary(text, 1, 1, 1, 0),),
        rows=(
            Row(text, START_NS + MINUTE_NS, START_NS + 4 * MINUTE_NS, text, (text,), text),
            Row(text, START_NS + 60 * MINUTE_NS, START_NS + 90 * MINUTE_NS, text, (None,)),
        ),
        cards=(card,),
    )


class Page(HTMLParser):
    """What an HTML parser makes of a page: its elements, their attributes, and what is in scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.inline = {"script": [], "style": []}
        self.data = []
        self.texts = []
        self._open = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag in self.inline:
            self._open = (tag, dict(attrs).get("type"))

    def handle_endtag(self, tag):
        self._open = None

    def handle_data(self, data):
        if self._open is None:
            self.texts.append(data)
        elif self._open == ("script", "application/json"):
            self.data.append(json.loads(data))
        else:
            self.inline[self._open[0]].append(data)

    @property
    def shape(self):
        """Elements with the names of their attributes: what hostile text must not change."""
        return [(tag, tuple(attrs)) for tag, attrs in self.elements]

    def attributes(self, name):
        return [attrs[name] for _, attrs in self.elements if name in attrs]
